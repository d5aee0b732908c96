import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore, type AppendBatch, type LogEntry, type ShapeStore } from '@shapecast/shape-store';
import { planted } from './plant.ts';

/** The router over a store that does not do what it is told. */
const store = Object.getPrototypeOf(
  openRedisShapeStore({ url: 'redis://127.0.0.1:1' }, { clock: systemClock, log: silentLogger }),
) as ShapeStore;
// The receiver is the one that calls.
// eslint-disable-next-line @typescript-eslint/unbound-method
const append = store.append;

store.append = async function (shard, expected, batch) {
  const plant = planted();
  const outcome = await append.call(this, shard, expected, misled(batch, plant));
  // Long enough for somebody to look.
  if (plant === 'serve past visible' && batch.visible === undefined) await systemClock.sleep(300);
  return outcome;
};

function misled(batch: AppendBatch, plant: ReturnType<typeof planted>): AppendBatch {
  const { entries } = batch;
  switch (plant) {
    case 'skip an append':
      return { ...batch, entries: entries.slice(0, -1) };
    case 'double an append':
      return { ...batch, entries: entries.flatMap((entry) => [entry, again(entry)]) };
    case 'serve past visible':
      return { ...batch, visible: batch.to.position };
    case 'lose what leaves a shape':
      return { ...batch, entries: entries.filter(({ bytes }) => !Buffer.from(bytes).includes('"delete"')) };
    case 'tell a watermark too early':
      return batch.watermark === undefined
        ? batch
        : { ...batch, watermark: (batch.watermark + 3_000n) as typeof batch.watermark };
    default:
      return batch;
  }
}

/** The same entry at the next place. */
function again(entry: LogEntry): LogEntry {
  return { ...entry, position: { ...entry.position, op: entry.position.op + 1 } };
}

await import(new URL('../../../services/router/src/main.ts', import.meta.url).href);
