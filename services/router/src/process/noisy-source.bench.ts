/**
 * How long a small source waits, from its record in the tx stream until readers are told, while another one in the same router process
 * works through a backlog of N changes (200,000): alone, with fair turns, and with each source on its own. Real Redis, streams in memory.
 * Prints one JSON line per case. Run: `npm exec node services/router/src/process/noisy-source.bench.ts [N]`.
 */
import { decodeShardHint, openMemoryMessaging, shardHintSubject } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, waitFor } from '@shapecast/testkit';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { RouterProcess } from './router-process.ts';

const CHANGES = Number(process.argv[2] ?? 200_000);
const SHAPES = 16;
const PAUSE_MS = 10;
const SAMPLES = 150;

const clock = systemClock;
const redis = await startRedis();
const store = openRedisShapeStore({ url: redis.url }, { clock, log: silentLogger });

/** Milliseconds from each write of a source until its hint. */
async function sample(harness: Harness, shape: PlacedShape, until: () => boolean): Promise<number[]> {
  let told = Promise.withResolvers<void>();
  const { source, incarnation, shard } = shape.shard;
  const onHint = (payload: Uint8Array) => {
    const hint = decodeShardHint(payload);
    if ('handles' in hint && hint.handles.includes(shape.handle)) told.resolve();
  };
  harness.messaging.hints.subscribe(shardHintSubject(source, incarnation, shard), onHint, () => undefined);
  const times: number[] = [];
  for (let id = 0; !until(); id += 1) {
    told = Promise.withResolvers<void>();
    harness.commit((tx) => tx.insert(harness.items, { id: `q${id}`, owner: 'quiet', note: 'n' }));
    const since = performance.now();
    await harness.flush();
    await told.promise;
    times.push(performance.now() - since);
    await clock.sleep(PAUSE_MS);
  }
  return times;
}

async function measure(name: string, noisy: boolean, fair: boolean): Promise<void> {
  const messaging = openMemoryMessaging(clock, { streamMaxBytes: 2 * 1024 ** 3 });
  const parts = { messaging, store, clock, log: silentLogger };
  const shared = new RouterProcess(parts, { id: 'bench' });
  shared.start();
  const start = async (harness: Harness) => {
    const router = await harness.startRouter('bench', { worker: { metaPollMs: 100 } }, fair ? { process: shared } : {});
    await waitFor(() => router.report().ready);
    return router;
  };
  const live = async (harness: Harness, owner: string) => {
    const shape = await harness.createShape({ where: `owner = '${owner}'`, log: 'changes_only' });
    await waitFor(async () => (await store.readHead(shape.shard, shape.handle))?.state === 'live');
    return shape;
  };
  const quiet = new Harness({ shards: 8, store, messaging });
  await quiet.open();
  const small = await start(quiet).then(() => live(quiet, 'quiet'));
  const loud = new Harness({ shards: 8, store, messaging });
  await loud.open();
  const first = await start(loud);
  for (let i = 0; i < SHAPES; i += 1) await live(loud, `o${i}`);
  await first.stop();
  let samples = 0;
  let until = () => samples++ >= SAMPLES;
  let done = () => 0;
  if (noisy) {
    for (let id = 0; id < CHANGES; id += 100) {
      loud.commit((tx) => {
        for (let i = id; i < id + 100; i += 1)
          tx.insert(loud.items, { id: `${i}`, owner: `o${i % SHAPES}`, note: `a note of ordinary length, ${i}` });
      });
      if (id % 10_000 === 0) await loud.flush();
    }
    await loud.flush();
    const second = await start(loud);
    done = () => second.usage().counters?.entries ?? 0;
    until = () => done() >= CHANGES;
  }
  const since = performance.now();
  const times = (await sample(quiet, small, until)).sort((a, b) => a - b);
  const seconds = (performance.now() - since) / 1_000;
  const at = (share: number) => Math.round((times[Math.floor(times.length * share)] ?? 0) * 10) / 10;
  const rate = noisy ? { noisyPerSecond: Math.round(done() / seconds) } : {};
  const result = { case: name, samples: times.length, p50: at(0.5), p90: at(0.9), p99: at(0.99), ...rate };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  for (const harness of [quiet, loud]) await harness.stopRouters();
  await shared.stop();
}

await measure('alone', false, true);
await measure('beside a backlog, fair turns', true, true);
await measure('beside a backlog, each on its own', true, false);
await store.close();
await redis.stop();
