import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A service whose wall clock can be set: it is ahead by as many milliseconds as the file with its name says. Entry of all
 * processes of a run; which service it is, is in the name of the instance.
 */
const instance = process.env['SHAPECAST_INSTANCE_ID'] ?? '';
const file = join(process.env['SHAPECAST_CHAOS_CLOCKS'] ?? '', instance);

const RealDate = Date;
const LOOK_MS = 250;
let aheadMs = 0;

function look(): void {
  try {
    aheadMs = Number(readFileSync(file, 'utf8'));
  } catch {
    aheadMs = 0;
  }
}

globalThis.Date = class extends RealDate {
  constructor(...given: [] | [number]) {
    if (given.length === 0) super(RealDate.now() + aheadMs);
    else super(...given);
  }

  static override now(): number {
    return RealDate.now() + aheadMs;
  }
} as DateConstructor;

look();
setInterval(look, LOOK_MS).unref();
const role = instance.replace(/-\d+$/, '');
await import(new URL(`../../../services/${role}/src/main.ts`, import.meta.url).href);
