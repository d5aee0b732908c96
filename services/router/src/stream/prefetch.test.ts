import { chainAfter, encodeRecord, POSITION_ZERO, type DataRecord, type Lsn, type RecordChain } from '@shapecast/log';
import { openMemoryMessaging, type TxStream } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { ITEMS } from '../testing/model.ts';
import { RecordWindow } from './record-window.ts';
import type { WindowReader } from './window-reader.ts';

const RECORDS = 600;
const ROW_BYTES = 1_000;
const BOUND = 200_000;
const SHARDS = 12;

/** A window over a stream of 600 records of a kilobyte each. */
async function openWindow(): Promise<{ window: RecordWindow; stream: TxStream }> {
  const messaging = openMemoryMessaging(systemClock);
  const stream = await messaging.txStreams.create({ source: 'test', incarnation: 1 });
  let prev: RecordChain = { position: POSITION_ZERO, progressLsn: 0n as Lsn };
  for (let seq = 1; seq <= RECORDS; seq += 1) {
    const lsn = BigInt(10 * seq) as Lsn;
    const change = { kind: 'insert', op: 0, relation: ITEMS, new: [String(seq), 'a', 'x'.repeat(ROW_BYTES)] } as const;
    const part = { lsn, endLsn: lsn, xid: lsn, commitTimeUs: 0n, begin: true, commit: true, changes: [change] };
    const record: DataRecord = { kind: 'data', incarnation: 1, epoch: 1, prev, parts: [part] };
    await stream.publish(encodeRecord(record), { expectedLastSeq: seq - 1, msgId: String(seq) });
    prev = chainAfter(record);
  }
  const window = new RecordWindow({ stream, clock: systemClock, log: silentLogger }, { maxBytes: BOUND, stallMs: 5 });
  onTestFinished(async () => {
    await window.close();
    await messaging.close();
  });
  return { window, stream };
}

function open(window: RecordWindow, fromSeq: number): WindowReader {
  const nothing = () => {};
  return window.open(fromSeq, nothing, nothing);
}

function take(reader: WindowReader, seqs: number[]): void {
  for (const { seq } of reader.take({ maxRecords: 8, maxChanges: 100, maxBytes: 20_000 })) seqs.push(seq);
}

const all = Array.from({ length: RECORDS }, (_, i) => i + 1);

test('O 3.2, 3.3 shards whose store stands still hold no more than the bound together, and the others go on', async () => {
  const { window } = await openWindow();
  const readers = Array.from({ length: SHARDS }, () => open(window, 1));
  const seqs: number[][] = readers.map(() => []);
  const [moving, ...stuck] = readers as [WindowReader, ...WindowReader[]];
  // What they hold is over the bound by less than one record each.
  const slack = (4 + 1) * (ROW_BYTES + 1_000);
  let most = 0;
  await waitFor(
    () => {
      take(moving, seqs[0] as number[]);
      most = Math.max(most, window.heldBytes);
      return seqs[0]?.length === RECORDS;
    },
    { intervalMs: 1 },
  );
  expect(seqs[0]).toEqual(all);
  expect(most).toBeLessThan(BOUND + slack);
  expect(RECORDS * ROW_BYTES).toBeGreaterThan(2 * (BOUND + slack));

  // All go on again, one after the other: a reader that has had its turn leaves room for the next.
  await waitFor(
    () => {
      for (const [i, reader] of stuck.entries()) take(reader, seqs[i + 1] as number[]);
      most = Math.max(most, window.heldBytes);
      return seqs.every((taken) => taken.length === RECORDS);
    },
    { intervalMs: 1, describe: () => seqs.map((taken) => taken.length).join() },
  );
  for (const taken of seqs) expect(taken).toEqual(all);
  expect(most).toBeLessThan(BOUND + slack);
});

test('of more readers behind the window than may read at a time, each gets its turn though some take nothing at all', async () => {
  const { window } = await openWindow();
  const first = open(window, RECORDS);
  await waitFor(() => window.lastSeq === RECORDS);
  const behind = Array.from({ length: 8 }, () => open(window, 1));
  const seqs: number[] = [];
  const last = behind.at(-1) as WindowReader;
  await waitFor(
    () => {
      take(last, seqs);
      return seqs.length === RECORDS;
    },
    { intervalMs: 1, describe: () => seqs.length },
  );
  expect(seqs).toEqual(all);
  first.close();
});

test('a reader behind a window that begins after a gap is led to where the stream goes on', async () => {
  const { window, stream } = await openWindow();
  const first = open(window, RECORDS / 2);
  await waitFor(() => first.take({ maxRecords: 1, maxChanges: 1, maxBytes: 1 }).length === 1);
  await stream.trim(RECORDS / 2);
  const late = open(window, 5);
  const seqs: number[] = [];
  await waitFor(
    () => {
      take(late, seqs);
      return seqs.length > RECORDS / 2;
    },
    { intervalMs: 1 },
  );
  expect(seqs).toEqual(all.slice(RECORDS / 2 - 1));
});

test('F132 with a smaller share less is held, and nothing is missed', async () => {
  const { window } = await openWindow();
  const reader = open(window, 1);
  await waitFor(() => window.heldBytes > BOUND / 4);
  window.resize(BOUND / 8);
  const seqs: number[] = [];
  await waitFor(
    () => {
      take(reader, seqs);
      return seqs.length === RECORDS;
    },
    { intervalMs: 1 },
  );
  expect(seqs).toEqual(all);
  expect(window.heldBytes).toBeLessThan(BOUND / 8);
});
