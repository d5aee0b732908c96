import { chainAfter, encodeRecord, POSITION_ZERO, type DataRecord, type Lsn, type RecordChain } from '@shapecast/log';
import { BUCKETS, openNatsMessaging, type DurableRecord, type Messaging, type TxStream } from '@shapecast/messaging';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { randomBytes } from 'node:crypto';
import { sharedNatsUrl } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { part } from '../testing/parts.ts';
import { Trimmer, type TrimmerOptions } from './trimmer.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface World {
  readonly messaging: Messaging;
  readonly stream: TxStream;
  readonly events: string[];
  /** Confirmed to Postgres. */
  confirmed: Lsn;
  /** Stores transactions of one change each, at LSN 10, 20, ... of about `bytes`; false when the stream is full. */
  write(count: number, bytes?: number): Promise<boolean>;
  /** As if shard `shard` had stored for certain all up to LSN `lsn`. */
  reached(shard: number, lsn: number, seq?: number, applied?: number): Promise<void>;
  trim(options?: Partial<TrimmerOptions>): Promise<Trimmer>;
}

const incarnation = 3;

async function openWorld(maxBytes = 64 * 1024 * 1024): Promise<World> {
  const source = `test_${randomBytes(6).toString('hex')}`;
  const messaging = await openNatsMessaging(
    { url: sharedNatsUrl(), streamMaxBytes: maxBytes, streamReplicas: 1 },
    { clock: systemClock, log: silentLogger },
    AbortSignal.timeout(60_000),
  );
  closing.push(() => messaging.close());
  const stream = await messaging.txStreams.create({ source, incarnation });
  closing.push(() => messaging.txStreams.delete(stream.id));
  const cursors = await messaging.registries.open<DurableRecord>(BUCKETS.durable.name);
  const events: string[] = [];
  const log: Logger = {
    ...silentLogger,
    child: () => log,
    warn: (fields) => void events.push(String((fields as { type?: unknown }).type)),
  };
  let chain: RecordChain = { position: POSITION_ZERO, progressLsn: 0n as Lsn };
  let seq = 0;
  const trimmers = new Map<string, Trimmer>();
  const world: World = {
    messaging,
    stream,
    events,
    confirmed: 1_000_000n as Lsn,
    async write(count, bytes = 10) {
      for (let i = 0; i < count; i += 1) {
        const parts = [part(10 * (seq + 1), [0], randomBytes(bytes / 2).toString('hex'))];
        const record: DataRecord = { kind: 'data', incarnation, epoch: 1, prev: chain, parts };
        const full = await stream.publish(encodeRecord(record), { expectedLastSeq: seq, msgId: `${seq}` }).then(
          () => false,
          (error: { details?: { reason?: string } }) => {
            if (error.details?.reason !== 'full') throw error;
            return true;
          },
        );
        if (full) return false;
        seq += 1;
        chain = chainAfter(record);
      }
      return true;
    },
    async reached(shard, lsn, at = lsn / 10, applied = undefined) {
      const record = { v: 1, seq: at, lsn: String(lsn), at: 0, ...(applied && { applied }) } as const;
      await cursors.put(`${source}.${incarnation}.${shard}`, record);
    },
    async trim(options = {}) {
      const all = { sourceId: source, shards: 2, trimMarginMs: 0, trimIntervalMs: 10, ...options };
      const key = JSON.stringify(all);
      const deps = {
        stream,
        registries: messaging.registries,
        confirmed: () => world.confirmed,
        clock: systemClock,
        log,
      };
      const trimmer = trimmers.get(key) ?? new Trimmer(deps, all);
      trimmers.set(key, trimmer);
      await trimmer.look();
      return trimmer;
    },
  };
  return world;
}

const firstSeq = async ({ stream }: World) => (await stream.info()).firstSeq;

describe('trimming the tx stream', () => {
  test('drops what commits below the slowest shard, and keeps its last transaction', async () => {
    const world = await openWorld();
    await world.write(20);
    await world.reached(0, 200);
    await world.reached(1, 120);
    const trimmer = await world.trim();
    expect(await world.stream.info()).toMatchObject({ firstSeq: 12, lastSeq: 20 });
    expect(trimmer.report).toMatchObject({ messages: 9, shard: 1 });
    await world.reached(1, 200);
    await world.trim();
    expect(await firstSeq(world)).toBe(20);
  });

  test('never drops what a shard without a cursor has not read', async () => {
    const world = await openWorld();
    await world.write(20);
    await world.reached(0, 200);
    const trimmer = await world.trim();
    expect(await firstSeq(world)).toBe(1);
    expect(trimmer.report).toMatchObject({ shard: 1 });
    // It is not all of the WAL behind: how far it is, nobody knows.
    expect(trimmer.report).not.toHaveProperty('behindBytes');
    await world.reached(1, 150);
    expect((await world.trim()).report).toMatchObject({ shard: 1, behindBytes: 50 });
  });

  test('keeps what Postgres may send again', async () => {
    const world = await openWorld();
    await world.write(20);
    for (const shard of [0, 1]) await world.reached(shard, 200);
    world.confirmed = 75n as Lsn;
    await world.trim();
    expect(await firstSeq(world)).toBe(8);
  });

  test('keeps records for the margin', async () => {
    const world = await openWorld();
    await world.write(5);
    await systemClock.sleep(400);
    await world.write(5);
    for (const shard of [0, 1]) await world.reached(shard, 100);
    await world.trim({ trimMarginMs: 3_600_000 });
    expect(await firstSeq(world)).toBe(1);
    await world.trim({ trimMarginMs: 300 });
    expect(await firstSeq(world)).toBe(5);
  });

  test('goes by positions where a cursor is of a stream that lost its tail', async () => {
    const world = await openWorld();
    await world.write(20);
    // Refilled with fewer messages than it had: sequence 19 is of transactions that this shard has not seen.
    for (const shard of [0, 1]) await world.reached(shard, 60, 19);
    await world.trim();
    expect(await firstSeq(world)).toBe(6);
  });

  test('F109 a stream with a limit takes any number of transactions while everybody reads them, margin or not', async () => {
    const world = await openWorld(256 * 1024);
    const margin = { trimMarginMs: 3_600_000 };
    let written = 0;
    for (let round = 0; round < 8; round += 1) {
      expect(await world.write(10, 10_000)).toBe(true);
      written += 10;
      for (const shard of [0, 1]) await world.reached(shard, 10 * written);
      await world.trim(margin);
    }
    expect(await world.stream.info()).toMatchObject({ lastSeq: 80 });
    expect((await world.stream.info()).bytes).toBeLessThan(256 * 1024);
    expect(world.events).toEqual([]);
  });

  test('F109 a shard that does not read fills the stream, is told of, and once it has read the stream takes more', async () => {
    const world = await openWorld(256 * 1024);
    await world.reached(0, 10_000);
    await world.reached(1, 20);
    expect(await world.write(100, 10_000)).toBe(false);
    await world.trim();
    await world.trim();
    expect(await firstSeq(world)).toBe(2);
    expect(world.events).toEqual(['stream_nearly_full']);
    await world.reached(1, 10 * (await world.stream.info()).lastSeq);
    await world.trim();
    expect(await world.write(15, 10_000)).toBe(true);
  });

  test('R 9.5.1 a transaction larger than the stream gets through: what every shard has applied of it goes', async () => {
    const world = await openWorld(256 * 1024);
    const fill = async () => {
      while (await world.write(1, 10_000));
      return (await world.stream.info()).lastSeq;
    };
    // As if all were one transaction.
    const full = await fill();
    await world.reached(0, 0, 0, full);
    await world.trim();
    expect(await firstSeq(world)).toBe(1);
    await world.reached(1, 0, 0, full - 4);
    await world.trim();
    expect(await firstSeq(world)).toBe(full - 4);
    expect(await fill()).toBeGreaterThan(full + 10);
  });

  test('F189 several at a time, and one after the other, come to the same', async () => {
    const world = await openWorld();
    await world.write(50);
    for (const shard of [0, 1]) await world.reached(shard, 300);
    await Promise.all([world.trim(), world.trim({ trimIntervalMs: 1 }), world.trim({ trimIntervalMs: 2 })]);
    await world.trim();
    expect(await world.stream.info()).toMatchObject({ firstSeq: 30, lastSeq: 50 });
  });
});
