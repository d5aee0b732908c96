import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startNats } from '@shapecast/testkit';
import { freshStreamId } from '../messaging.contract.ts';
import type { Messaging } from '../messaging.ts';
import { openMemoryMessaging } from '../memory/open-memory-messaging.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

/** How fast one process stores and reads messages of a tx stream: `node src/nats/tx-stream.bench.ts`. Prints one JSON line each. */
interface Load {
  readonly messages: number;
  readonly bytes: number;
  /** Publishes in flight. */
  readonly window: number;
}

const LOADS: readonly Load[] = [
  { messages: 100_000, bytes: 200, window: 2_000 },
  { messages: 20_000, bytes: 8_192, window: 500 },
  { messages: 400, bytes: 500 * 1024, window: 16 },
];

async function measure(name: string, messaging: Messaging, load: Load): Promise<void> {
  const stream = await messaging.txStreams.create(freshStreamId());
  const payload = new Uint8Array(load.bytes).fill(65);
  // The memory stream holds publishes back until someone reads.
  const live = read(stream, load.messages);
  const cpu = process.cpuUsage();
  const start = performance.now();
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < load.messages) {
      const seq = (next += 1);
      const outcome = await stream.publish(payload, { expectedLastSeq: seq - 1, msgId: `1:1:${seq}` });
      if (outcome.kind !== 'stored') throw new Error(`publish ${seq} was not stored`);
    }
  };
  await Promise.all(Array.from({ length: load.window }, lane));
  const published = performance.now() - start;
  await live;
  const used = process.cpuUsage(cpu);
  const readStart = performance.now();
  const { firstSeq } = await stream.info();
  await read(stream, load.messages, firstSeq);
  const reread = performance.now() - readStart;
  const latency = await latencyMs(messaging);
  report({
    name,
    ...load,
    publishPerSecond: Math.round((load.messages / published) * 1_000),
    publishAndReadCpuMicrosPerMessage: Math.round((used.user + used.system) / load.messages),
    readPerSecond: Math.round(((load.messages + 1 - firstSeq) / reread) * 1_000),
    storedToReadMs: latency,
  });
  await messaging.txStreams.delete(stream.id);
}

async function read(
  stream: Awaited<ReturnType<Messaging['txStreams']['create']>>,
  last: number,
  from = 1,
): Promise<void> {
  for await (const { seq } of stream.read(from, { maxBufferedBytes: 8 * 1024 ** 2 }, new AbortController().signal)) {
    if (seq === last) return;
  }
}

/** From the call of publish to the message at a waiting reader: median of 200. */
async function latencyMs(messaging: Messaging): Promise<number> {
  const stream = await messaging.txStreams.create(freshStreamId());
  const stop = new AbortController();
  const messages = stream.read(1, { maxBufferedBytes: 1024 ** 2 }, stop.signal)[Symbol.asyncIterator]();
  const took: number[] = [];
  for (let i = 0; i < 201; i += 1) {
    const arriving = messages.next();
    if (i > 0) await systemClock.sleep(2);
    const start = performance.now();
    await Promise.all([arriving, stream.publish(new Uint8Array(200), { expectedLastSeq: i, msgId: `id${i}` })]);
    if (i > 0) took.push(performance.now() - start);
  }
  stop.abort();
  await messages.return?.();
  await messaging.txStreams.delete(stream.id);
  return Number((took.sort((a, b) => a - b)[100] ?? 0).toFixed(3));
}

function report(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

const server = await startNats();
const nats = await openNatsMessaging(
  { url: server.url, streamMaxBytes: 1024 ** 3 },
  { clock: systemClock, log: silentLogger },
  AbortSignal.timeout(60_000),
);
for (const load of LOADS) await measure('nats', nats, load);
await nats.close();
await server.stop();
const memory = openMemoryMessaging(systemClock);
for (const load of LOADS) await measure('memory', memory, load);
await memory.close();
