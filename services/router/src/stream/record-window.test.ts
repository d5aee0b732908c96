import {
  chainAfter,
  encodeRecord,
  POSITION_ZERO,
  sliceRecord,
  type DataRecord,
  type Lsn,
  type RecordChain,
} from '@shapecast/log';
import { openMemoryMessaging, type TxStream } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { ITEMS } from '../testing/model.ts';
import { firstPlace, followsCursor, locateCursor, newShardPlace } from './locate-cursor.ts';
import { RecordWindow } from './record-window.ts';
import type { WindowReader } from './window-reader.ts';

const ALL = { maxRecords: 1_000, maxChanges: 1_000_000, maxBytes: 1_000_000_000 };
const closing: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A stream and a writer of one-change transactions at LSN 10, 20, ... */
async function openStream() {
  const messaging = openMemoryMessaging(systemClock);
  closing.push(() => messaging.close());
  const stream = await messaging.txStreams.create({ source: 'test', incarnation: 1 });
  let chain: RecordChain = { position: POSITION_ZERO, progressLsn: 0n as Lsn };
  let seq = 0;
  let lsn = 0n;
  const send = async (payload: Uint8Array) => {
    seq += 1;
    await stream.publish(payload, { expectedLastSeq: seq - 1, msgId: String(seq) });
  };
  const write = async (count: number, options: { readonly size?: number; readonly sliced?: boolean } = {}) => {
    for (let i = 0; i < count; i += 1) {
      lsn += 10n;
      const change = {
        kind: 'insert' as const,
        op: 0,
        relation: ITEMS,
        new: [String(lsn), 'a', 'x'.repeat(options.size ?? 10)],
      };
      const part = {
        lsn: lsn as Lsn,
        endLsn: lsn as Lsn,
        xid: lsn,
        commitTimeUs: 0n,
        begin: true,
        commit: true,
        changes: [change],
      };
      const record: DataRecord = { kind: 'data', incarnation: 1, epoch: 1, prev: chain, parts: [part] };
      const encoded = encodeRecord(record);
      if (options.sliced) for (const slice of sliceRecord(encoded, record, 500)) await send(encodeRecord(slice));
      else await send(encoded);
      chain = chainAfter(record);
    }
  };
  /** A record without operations. */
  const lead = () => send(encodeRecord({ kind: 'leader', incarnation: 1, epoch: 1, prev: chain, holder: 'one' }));
  return { stream, write, lead };
}

function openWindow(stream: TxStream, maxBytes = 1_000_000, stallMs = 20): RecordWindow {
  const window = new RecordWindow({ stream, clock: systemClock, log: silentLogger }, { maxBytes, stallMs });
  closing.push(() => window.close());
  return window;
}

/** Takes until `count` LSNs have come. */
async function takeLsns(reader: WindowReader, count: number): Promise<number[]> {
  const lsns: number[] = [];
  await waitFor(() => {
    for (const { record } of reader.take(ALL)) {
      if (record.kind === 'data') lsns.push(...record.parts.map((part) => Number(part.lsn)));
    }
    return lsns.length >= count;
  });
  return lsns;
}

const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => 10 * (from + i));

describe('RecordWindow', () => {
  test('gives every reader the records from its place on, each once', async () => {
    const { stream, write } = await openStream();
    await write(20);
    const window = openWindow(stream);
    const one = window.open(
      1,
      () => {},
      () => {},
    );
    const two = window.open(
      15,
      () => {},
      () => {},
    );
    expect(await takeLsns(one, 20)).toEqual(upTo(1, 20));
    expect(await takeLsns(two, 6)).toEqual(upTo(15, 20));
    await write(5);
    expect(await takeLsns(one, 5)).toEqual(upTo(21, 25));
    expect(await takeLsns(two, 5)).toEqual(upTo(21, 25));
  });

  test('tells readers when there is something to take', async () => {
    const { stream, write } = await openStream();
    let told = 0;
    const reader = openWindow(stream).open(
      1,
      () => (told += 1),
      () => {},
    );
    await write(1);
    await waitFor(() => told > 0);
    expect(reader.take(ALL)).toHaveLength(1);
  });

  test('a reader before the window reads for itself until it meets it', async () => {
    const { stream, write } = await openStream();
    await write(50);
    const window = openWindow(stream);
    const late = window.open(
      40,
      () => {},
      () => {},
    );
    expect(await takeLsns(late, 11)).toEqual(upTo(40, 50));
    const early = window.open(
      1,
      () => {},
      () => {},
    );
    expect(await takeLsns(early, 50)).toEqual(upTo(1, 50));
    await write(10);
    expect(await takeLsns(early, 10)).toEqual(upTo(51, 60));
    expect(await takeLsns(late, 10)).toEqual(upTo(51, 60));
  });

  test('F113 what it holds of a stream that was refilled before that was noticed is given to nobody', async () => {
    const [before, after] = [await openStream(), await openStream()];
    await before.write(3);
    await after.lead();
    await after.write(2);
    const refilled = Promise.withResolvers<void>();
    let isRefilled = false;
    // The subscription survives, as NATS's do: it goes on behind the last sequence that it has given.
    const stream: TxStream = {
      ...{ id: after.stream.id, maxPayloadBytes: after.stream.maxPayloadBytes, fencesPipelines: true },
      info: () => after.stream.info(),
      get: (seq) => after.stream.get(seq),
      last: () => after.stream.last(),
      publish: (payload, options) => after.stream.publish(payload, options),
      trim: (seq) => after.stream.trim(seq),
      async *read(fromSeq, options, signal) {
        let next = fromSeq;
        for (; next <= 3 && !isRefilled; next += 1) yield (await before.stream.get(next))!;
        await refilled.promise;
        yield* after.stream.read(next, options, signal);
      },
    };
    const window = openWindow(stream);
    let lost = 0;
    const reader = window.open(
      1,
      () => {},
      () => (lost += 1),
    );
    expect(await takeLsns(reader, 3)).toEqual(upTo(1, 3));
    await after.write(3);
    isRefilled = true;
    refilled.resolve();
    await waitFor(() => lost > 0);
    reader.seek(1);
    expect(await takeLsns(reader, 5)).toEqual(upTo(1, 5));
    expect(lost).toBe(1);
  });

  test('a reader that stands still does not stop the others, and misses nothing', async () => {
    const { stream, write } = await openStream();
    const window = openWindow(stream, 20_000, 2);
    const slow = window.open(
      1,
      () => {},
      () => {},
    );
    const fast = window.open(
      1,
      () => {},
      () => {},
    );
    await write(200, { size: 1_000 });
    expect(await takeLsns(fast, 200)).toEqual(upTo(1, 200));
    expect(await takeLsns(slow, 200)).toEqual(upTo(1, 200));
  });

  test('goes back and forth on demand', async () => {
    const { stream, write } = await openStream();
    await write(30);
    const reader = openWindow(stream).open(
      10,
      () => {},
      () => {},
    );
    await takeLsns(reader, 21);
    reader.seek(5);
    expect(await takeLsns(reader, 26)).toEqual(upTo(5, 30));
    reader.seek(29);
    expect(await takeLsns(reader, 2)).toEqual(upTo(29, 30));
  });

  test('takes no more than asked for, but at least one', async () => {
    const { stream, write } = await openStream();
    await write(10);
    const window = openWindow(stream);
    const reader = window.open(
      1,
      () => {},
      () => {},
    );
    await waitFor(() => window.lastSeq === 10);
    expect(reader.take({ ...ALL, maxChanges: 3 })).toHaveLength(3);
    expect(reader.take({ ...ALL, maxRecords: 2 })).toHaveLength(2);
    expect(reader.take({ ...ALL, maxBytes: 1 })).toHaveLength(1);
    expect(reader.take(ALL)).toHaveLength(4);
    expect(reader.take(ALL)).toHaveLength(0);
  });

  test('puts sliced records together and counts their messages', async () => {
    const { stream, write } = await openStream();
    await write(1);
    await write(1, { sliced: true, size: 2_000 });
    await write(1);
    const reader = openWindow(stream).open(
      1,
      () => {},
      () => {},
    );
    const seqs: [number, number][] = [];
    await waitFor(() => {
      for (const { firstSeq, seq } of reader.take(ALL)) seqs.push([firstSeq, seq]);
      return seqs.length === 3;
    });
    const last = (await stream.info()).lastSeq;
    expect(seqs).toEqual([
      [1, 1],
      [2, last - 1],
      [last, last],
    ]);
    expect(last).toBeGreaterThan(5);
  });
});

describe('records of an epoch that is over', () => {
  const progress = (epoch: number, lsn: number) =>
    encodeRecord({
      ...{ kind: 'progress', incarnation: 1, epoch, xmin: 1n, lsn: BigInt(lsn) as Lsn },
      prev: { position: POSITION_ZERO, progressLsn: 0n as Lsn },
    });
  /** Stores them as they come: a NATS cluster does not fence a pipeline (ADR 24). */
  async function streamOf(...epochs: number[]) {
    const { stream } = await openStream();
    for (const [i, epoch] of epochs.entries()) {
      await stream.publish(progress(epoch, i), { expectedLastSeq: i, msgId: String(i) });
    }
    return stream;
  }
  async function epochsOf(stream: TxStream, fromSeq: number, count: number): Promise<[number, number][]> {
    const reader = openWindow(stream).open(
      fromSeq,
      () => {},
      () => {},
    );
    const seen: [number, number][] = [];
    await waitFor(() => {
      for (const { seq, record } of reader.take(ALL)) seen.push([seq, record.epoch]);
      return seen.length >= count;
    });
    return seen;
  }

  test('are passed over, wherever they slipped in', async () => {
    const stream = await streamOf(1, 2, 1, 1, 2, 1, 3, 2, 3);
    expect(await epochsOf(stream, 1, 5)).toEqual([
      [1, 1],
      [2, 2],
      [5, 2],
      [7, 3],
      [9, 3],
    ]);
  });

  test('are what they are to who goes back to them', async () => {
    const stream = await streamOf(1, 1, 2, 2);
    const window = openWindow(stream);
    const reader = window.open(
      4,
      () => {},
      () => {},
    );
    await waitFor(() => reader.take(ALL).length === 1);
    reader.seek(1);
    const seen: number[] = [];
    await waitFor(() => {
      for (const { record } of reader.take(ALL)) seen.push(record.epoch);
      return seen.length === 4;
    });
    expect(seen).toEqual([1, 1, 2, 2]);
  });
});

describe('places in the tx stream', () => {
  const at = (lsn: number, op = 0) => ({ lsn: BigInt(lsn) as Lsn, op });

  test('are found by position, also inside a record and behind slices', async () => {
    const { stream, write } = await openStream();
    await write(10);
    await write(1, { sliced: true, size: 2_000 });
    await write(5);
    expect(await locateCursor(stream, at(40))).toBe(5);
    expect(await locateCursor(stream, at(40, -1))).toBe(4);
    expect(await locateCursor(stream, at(45))).toBe(5);
    expect(await locateCursor(stream, at(100))).toBe(11);
    expect(await locateCursor(stream, at(9_999))).toBe((await stream.info()).lastSeq);
  });

  test('are not found when the records after them are gone', async () => {
    const { stream, write } = await openStream();
    await write(10);
    await stream.trim(6);
    expect(await locateCursor(stream, at(40))).toBeUndefined();
    expect(await locateCursor(stream, at(50))).toBe(6);
    expect(await firstPlace(stream)).toEqual({ seq: 6, position: at(50) });
  });

  test('a cursor is only followed by what continues its position', async () => {
    const { stream, write } = await openStream();
    await write(3);
    expect(await followsCursor(stream, { seq: 2, position: at(20) })).toBe(true);
    expect(await followsCursor(stream, { seq: 2, position: at(15) })).toBe(false);
    expect(await followsCursor(stream, { seq: 3, position: at(30) })).toBe(true);
    expect(await followsCursor(stream, { seq: 3, position: at(40) })).toBe(false);
    expect(await followsCursor(stream, { seq: 4, position: at(40) })).toBe(false);
  });

  test('a new shard begins near the end', async () => {
    const { stream, write } = await openStream();
    expect(await newShardPlace(stream)).toBeUndefined();
    await write(300);
    expect(await newShardPlace(stream)).toEqual({ seq: 45, position: at(440) });
  });
});
