import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Message, ShapeStreamOptions } from '@electric-sql/client';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('read-once.ts', import.meta.url));

export interface ReadOnce {
  readonly messages: readonly Message[];
  /** Of all answers, in order. */
  readonly statuses: readonly number[];
  readonly handle: string;
  readonly offset: string;
}

/** Reads a shape up to date with the official client in a process that ends afterwards (`read-once.ts`). */
export async function readInNewProcess(options: ShapeStreamOptions): Promise<ReadOnce> {
  const { stdout } = await run(process.execPath, [PROGRAM, JSON.stringify(options)], { timeout: 60_000 });
  return JSON.parse(stdout) as ReadOnce;
}
