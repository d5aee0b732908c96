import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore, type LogRead, type ShapeStore } from '@shapecast/shape-store';
import { planted } from './plant.ts';

/** The API over a store that shows it something else than it holds. */
const store = Object.getPrototypeOf(
  openRedisShapeStore({ url: 'redis://127.0.0.1:1' }, { clock: systemClock, log: silentLogger }),
) as ShapeStore;
// The receiver is the one that calls.
/* eslint-disable @typescript-eslint/unbound-method */
const { readLog, readHead, readHeads } = store;
/* eslint-enable @typescript-eslint/unbound-method */
const first = process.env['SHAPECAST_INSTANCE_ID'] === 'api-1';

store.readLog = async function (...given) {
  const read = await readLog.apply(this, given);
  const plant = planted();
  if (plant === 'other bytes from one pod' && first) return { ...read, entries: read.entries.map(otherBytes) };
  if (plant === 'hide a change') return { ...read, entries: read.entries.slice(1) };
  return read;
};

store.readHead = async function (...given) {
  const head = await readHead.apply(this, given);
  return planted() === 'end a shape for nothing' ? undefined : head;
};

store.readHeads = async function (...given) {
  const heads = await readHeads.apply(this, given);
  return planted() === 'end a shape for nothing' ? heads.map(() => undefined) : heads;
};

function otherBytes(entry: LogRead['entries'][number]): LogRead['entries'][number] {
  const text = Buffer.from(entry.bytes)
    .toString()
    .replace(/"txids":\[\d+\]/, '"txids":[1]');
  return { ...entry, bytes: Buffer.from(text) };
}

await import(new URL('../../../services/api/src/main.ts', import.meta.url).href);
