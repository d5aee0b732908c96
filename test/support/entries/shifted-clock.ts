import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A service whose wall clock is wrong, and is set while it runs: `Date` is shifted by the milliseconds in a file named after the
 * instance, which is read again and again. What the machine's clocks for durations say stays as it is, as it does when somebody sets
 * the time. The role is the first word of the instance id.
 */
const instance = process.env['SHAPECAST_INSTANCE_ID'] ?? '';
const file = join(process.env['OTEL_CLOCK_SHIFTS'] ?? '', instance);
const RealDate = Date;
let shiftMs = readShift();

function readShift(): number {
  try {
    return Number(readFileSync(file, 'utf8')) || 0;
  } catch {
    return 0;
  }
}

setInterval(() => (shiftMs = readShift()), 20).unref();

const now = () => RealDate.now() + shiftMs;
globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args: unknown[]) => Reflect.construct(target, args.length === 0 ? [now()] : args) as object,
  get: (target, name) => (name === 'now' ? now : (Reflect.get(target, name) as unknown)),
});
// When the process started its machine believed this as well.
const { timeOrigin } = performance;
const atStart = shiftMs;
Object.defineProperty(performance, 'timeOrigin', { get: () => timeOrigin + atStart });

const [role = ''] = instance.split('-');
await import(`../../../services/${role}/src/main.ts`);
