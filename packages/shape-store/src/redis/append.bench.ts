/**
 * How fast a shard takes entries: steps of 500 and of 5,000 entries over 1,000 live shapes, one after the other, as a router
 * does, with and without notes of where the entries come from. Prints JSON. `serverUs` is the time Redis spent in the scripts, per
 * entry; `serverCpuUs` the processor time of Redis, which others on the machine do not add to; `clientUs` that of this process.
 *
 *     node packages/shape-store/src/redis/append.bench.ts
 */
import { randomUUID } from 'node:crypto';
import type { Lsn } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startRedis } from '@shapecast/testkit';
import { Redis } from 'ioredis';
import type { AppendBatch, LogEntry, ShapeStore, ShardId } from '../shape-store.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

const SHAPES = 1_000;
const SECONDS = 4;
const BYTES = 220;

const server = await startRedis();
const probe = new Redis(server.url);
const store = openRedisShapeStore({ url: server.url }, { clock: systemClock, log: silentLogger });
const payload = Buffer.from('x'.repeat(BYTES));
const results = [];
for (const entriesPerStep of [500, 5_000]) {
  for (const noted of [false, true]) results.push(await measure(store, entriesPerStep, noted));
}
process.stdout.write(`${JSON.stringify({ shapes: SHAPES, entryBytes: BYTES, results }, undefined, 2)}\n`);
await store.close();
probe.disconnect();
await server.stop();

async function measure(target: ShapeStore, entriesPerStep: number, noted: boolean) {
  const shard: ShardId = { source: randomUUID(), incarnation: 1, shard: 0 };
  const handles = await Promise.all(Array.from({ length: SHAPES }, (_, i) => createLive(target, shard, i)));
  let state = await target.acquire(shard, 'bench');
  await probe.config('RESETSTAT');
  const cpu = process.cpuUsage();
  const serverCpu = await serverCpuUs();
  const start = performance.now();
  let total = 0;
  let lsn = 1_000n;
  let slowest = 0;
  for (let seq = 1; performance.now() - start < SECONDS * 1_000; seq += 1) {
    const entries: LogEntry[] = [];
    const transactions: { lsn: Lsn; xid: bigint }[] = [];
    for (let i = 0; i < entriesPerStep; i += 1) {
      lsn += 8n;
      transactions.push({ lsn: lsn as Lsn, xid: lsn });
      const handle = handles[(total + i) % SHAPES] as string;
      const origin = noted ? { committedMs: 1_700_000_000_000 + seq, publishedMs: 1_700_000_000_002 + seq } : undefined;
      entries.push({ handle, position: { lsn: lsn as Lsn, op: 0 }, xid: lsn, bytes: payload, origin });
    }
    const position = { lsn: lsn as Lsn, op: 0 };
    const to = { seq, position, openTxSeq: 0 };
    const batch: AppendBatch = {
      entries,
      transactions,
      to,
      visible: position,
      watermark: position.lsn,
      xmin: lsn - 9_000n,
      appliedMs: 1_700_000_000_005 + seq,
    };
    const began = performance.now();
    const outcome = await target.append(shard, state, batch);
    if (outcome !== 'ok') throw new Error(outcome);
    slowest = Math.max(slowest, performance.now() - began);
    state = { ...state, cursor: to };
    total += entriesPerStep;
  }
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const usedUs = (await serverCpuUs()) - serverCpu;
  const stats = /cmdstat_evalsha:calls=(\d+),usec=(\d+)/.exec(await probe.info('commandstats'));
  const [calls, usec] = [Number(stats?.[1]), Number(stats?.[2])];
  return {
    entriesPerStep,
    noted,
    entriesPerSecond: Math.round(total / seconds),
    slowestStepMs: Math.round(slowest * 10) / 10,
    serverUsPerEntry: Math.round((usec / total) * 100) / 100,
    serverCpuUsPerEntry: Math.round((usedUs / total) * 100) / 100,
    serverMsPerCall: Math.round(usec / calls) / 1_000,
    clientUsPerEntry: Math.round(((user + system) / total) * 100) / 100,
  };
}

async function serverCpuUs(): Promise<number> {
  const [, user] = /used_cpu_user:([\d.]+)/.exec(await probe.info('cpu')) ?? [];
  return Number(user) * 1e6;
}

async function createLive(target: ShapeStore, shard: ShardId, index: number): Promise<string> {
  const { handle } = await target.getOrCreate(shard, {
    digest: `shape ${index}`,
    definition: {
      v: 1,
      oid: 1,
      schema: 'public',
      table: `t${index}`,
      keyColumns: ['id'],
      hasPrimaryKey: true,
      columns: ['id', 'value'],
      allColumns: true,
      where: '',
      replica: 'default',
      log: 'full',
    },
    fingerprint: { oid: 1, schema: 'public', table: `t${index}`, keyColumns: ['id'], columnCount: 2, columns: [] },
    chunkBytes: 10_485_760,
  });
  const token = randomUUID();
  await target.snapshotBegin(shard, handle, token);
  await target.snapshotKnown(shard, handle, token, { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as Lsn });
  await target.snapshotPart(shard, handle, token, { chunk: 0, bytes: Buffer.from('{}'), close: true });
  await target.snapshotDone(shard, handle, token);
  await target.promote(shard, handle, 100);
  return handle;
}
