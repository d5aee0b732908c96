/**
 * What sealing does to a log of 100,000 entries: memory of Redis before and after, the longest time that one script kept the
 * server, and how fast a whole chunk is read from the stream and from its blob. Prints JSON.
 *
 *     node packages/shape-store/src/redis/seal.bench.ts
 */
import { createHash, randomUUID } from 'node:crypto';
import { SNAPSHOT_END, type Lsn } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startRedis } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import type { LogEntry, ShapeStore, ShardId } from '../shape-store.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const ENTRIES = 100_000;
const STEP = 2_000;
const READS = 30;

const results = [];
for (const chunkBytes of [1024 ** 2, 10 * 1024 ** 2]) results.push(await measure(chunkBytes));
process.stdout.write(`${JSON.stringify({ entries: ENTRIES, results }, undefined, 2)}\n`);

async function measure(chunkBytes: number) {
  const server = await startRedis({ appendonly: false });
  const probe = new Redis(server.url);
  const store = openRedisShapeStore({ url: server.url }, { clock: systemClock, log: silentLogger });
  try {
    const shard: ShardId = { source: randomUUID(), incarnation: 1, shard: 0 };
    const handle = await createLive(store, shard, chunkBytes);
    const jsonBytes = await fill(store, shard, handle);
    const streamReadMs = await readFirstChunk(store, shard, handle);
    const before = await usedMemory(probe);

    await probe.config('SET', 'slowlog-log-slower-than', '0', 'slowlog-max-len', '100000');
    await probe.slowlog('RESET');
    const began = performance.now();
    const cpu = process.cpuUsage();
    let chunks = 0;
    for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
      const step = await store.seal(shard, cursor);
      if (step.sealed) chunks += 1;
      cursor = step.cursor;
    }
    const sealMs = performance.now() - began;
    const { user, system } = process.cpuUsage(cpu);
    const log = (await probe.slowlog('GET', 100_000)) as [number, number, number, string[]][];
    const slowest = (name: string) =>
      Math.max(0, ...log.filter(([, , , args]) => args[0]?.toLowerCase() === name).map(([, , us]) => us));
    const after = await usedMemory(probe);
    return {
      chunkBytes,
      chunks,
      jsonBytes,
      memoryBefore: before,
      memoryAfter: after,
      ratio: Math.round((before / after) * 100) / 100,
      sealMsPerChunk: Math.round(sealMs / Math.max(1, chunks)),
      cpuMsPerMebibyte: Math.round(((user + system) / 1_000 / (jsonBytes / 1024 ** 2)) * 100) / 100,
      slowestScriptMs: slowest('evalsha') / 1_000,
      slowestRangeMs: slowest('xrange') / 1_000,
      streamReadMs,
      blobReadMs: await readFirstChunk(store, shard, handle),
    };
  } finally {
    await store.close();
    probe.disconnect();
    await server.stop();
  }
}

async function usedMemory(probe: Redis): Promise<number> {
  // What is freed in the background counts until it is.
  await new Promise((resolve) => setTimeout(resolve, 200));
  return Number(/used_memory_dataset:(\d+)/.exec(await probe.info('memory'))?.[1]);
}

async function readFirstChunk(store: ShapeStore, shard: ShardId, handle: string): Promise<number> {
  const head = await store.readHead(shard, handle);
  if (!head) throw new Error('no head');
  const began = performance.now();
  for (let i = 0; i < READS; i += 1) await store.readLog(shard, head, SNAPSHOT_END);
  return Math.round(((performance.now() - began) / READS) * 100) / 100;
}

async function fill(store: ShapeStore, shard: ShardId, handle: string): Promise<number> {
  let state = await store.acquire(shard, 'bench');
  let jsonBytes = 0;
  for (let from = 1; from <= ENTRIES; from += STEP) {
    const entries = Array.from({ length: STEP }, (_, i) => message(handle, from + i));
    for (const { bytes } of entries) jsonBytes += bytes.length;
    const { position } = entries.at(-1) as LogEntry;
    const to = { seq: from, position, openTxSeq: 0 };
    const batch = { entries, transactions: [], to, visible: position, watermark: position.lsn };
    const outcome = await store.append(shard, state, batch);
    if (outcome !== 'ok') throw new Error(outcome);
    state = { ...state, cursor: to };
  }
  return jsonBytes;
}

function message(handle: string, n: number): LogEntry {
  const id = (n * 31) % 4_000;
  const lsn = BigInt(26_795_384 + n * 97) as Lsn;
  // Half of it cannot be compressed to less than its entropy.
  const body = `order ${id} shipped at ${n * 10_000} ${createHash('sha256').update(String(n)).digest('base64')}`;
  const text =
    `{"key":"\\"public\\".\\"items\\"/\\"${id}\\"","value":{"id":"${id}","body":"${body}"},"headers":{"operation":"update",` +
    `"relation":["public","items"],"txids":[${743 + n}],"lsn":"${lsn}","op_position":0,"last":true}}`;
  return { handle, position: { lsn, op: 0 }, xid: BigInt(743 + n), bytes: Buffer.from(text) };
}

async function createLive(store: ShapeStore, shard: ShardId, chunkBytes: number): Promise<string> {
  const { handle } = await store.getOrCreate(shard, {
    digest: 'shape',
    definition: {
      v: 1,
      oid: 1,
      schema: 'public',
      table: 'items',
      keyColumns: ['id'],
      hasPrimaryKey: true,
      columns: ['id', 'body'],
      allColumns: true,
      where: '',
      replica: 'default',
      log: 'full',
    },
    fingerprint: { oid: 1, schema: 'public', table: 'items', keyColumns: ['id'], columnCount: 2, columns: [] },
    chunkBytes,
  });
  const token = randomUUID();
  await store.snapshotBegin(shard, handle, token);
  await store.snapshotKnown(shard, handle, token, { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as Lsn });
  await store.snapshotPart(shard, handle, token, { chunk: 0, bytes: Buffer.from('{}'), close: true });
  await store.snapshotDone(shard, handle, token);
  await store.promote(shard, handle, 100);
  return handle;
}
