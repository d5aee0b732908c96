import {
  chainAfter,
  encodeRecord,
  lsn,
  sliceRecord,
  type DataRecord,
  type RecordChain,
  type TxRecord,
} from '@shapecast/log';
import { openMemoryMessaging, type TxStream } from '@shapecast/messaging';
import { systemClock } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { readStreamEnd } from './stream-end.ts';
import { part } from './testing/parts.ts';

const start: RecordChain = { position: { lsn: lsn(0n), op: 0 }, progressLsn: lsn(3n) };

/** A stream that holds the records that `make` builds, each given the chain so far. */
async function streamOf(...make: ((prev: RecordChain) => TxRecord)[]): Promise<TxStream> {
  const messaging = openMemoryMessaging(systemClock);
  const stream = await messaging.txStreams.create({ source: 'test', incarnation: 1 });
  let chain = start;
  for (const [i, one] of make.entries()) {
    const record = one(chain);
    await stream.publish(encodeRecord(record), { expectedLastSeq: i, msgId: String(i) });
    if (record.kind !== 'slice') chain = chainAfter(record);
  }
  return stream;
}

const header = (prev: RecordChain, epoch = 1) => ({ incarnation: 1, epoch, prev });
const leader =
  (epoch: number) =>
  (prev: RecordChain): TxRecord => ({
    kind: 'leader',
    ...header(prev, epoch),
    holder: 'a',
  });
const data =
  (...parts: DataRecord['parts']) =>
  (prev: RecordChain): DataRecord => ({
    kind: 'data',
    ...header(prev),
    parts,
  });
const progress =
  (at: bigint) =>
  (prev: RecordChain): TxRecord => ({
    kind: 'progress',
    ...header(prev),
    lsn: lsn(at),
    xmin: 1n,
  });
const open = { ...part(20, [0, 2]), commit: false };

describe('readStreamEnd', () => {
  test('an empty stream has none', async () => {
    expect(await readStreamEnd(await streamOf())).toBeUndefined();
  });

  test.each([
    ['a first leader record', [leader(1)], { epoch: 1, held: 3n, open: false, chain: start }],
    ['whole transactions', [leader(1), data(part(10, [0]), part(12, [0, 2]))], { held: 13n, open: false }],
    ['a fragment', [leader(1), data(part(10, [0]), open)], { held: 20n, open: true }],
    ['a leader record after a fragment', [data(open), leader(2), leader(3)], { epoch: 3, held: 20n, open: true }],
    ['a progress record', [data(part(10, [0])), progress(50n)], { held: 50n, open: false }],
    ['a leader record after progress', [data(part(10, [0])), progress(50n), leader(2)], { held: 50n, open: false }],
  ])('%s', async (_, records, expected) => {
    const stream = await streamOf(...records);
    expect(await readStreamEnd(stream)).toMatchObject({ seq: records.length, ...expected });
  });

  const large = part(30, [0], 'x'.repeat(2_000));
  const slices = (prev: RecordChain) => sliceRecord(encodeRecord(data(large)(prev)), header(prev), 1_000);
  const afterTen = chainAfter(data(part(10, [0]))(start));

  test('slices that are complete count', async () => {
    const stream = await streamOf(data(part(10, [0])), ...slices(afterTen).map((slice) => () => slice));
    expect(await readStreamEnd(stream)).toMatchObject({ held: 31n, open: false, chain: { position: { lsn: 30n } } });
  });

  test('slices that were abandoned do not, also behind the next leader record', async () => {
    const some = slices(afterTen).slice(0, 2);
    const abandoned = await streamOf(data(part(10, [0])), ...some.map((slice) => () => slice));
    expect(await readStreamEnd(abandoned)).toMatchObject({ seq: 3, held: 11n, open: false, chain: afterTen });
    const taken = await streamOf(data(part(10, [0])), ...some.map((slice) => () => slice), leader(2));
    expect(await readStreamEnd(taken)).toMatchObject({ seq: 4, epoch: 2, held: 11n, chain: afterTen });
  });

  describe('of a stream that does not fence pipelines', () => {
    /** Records that go on from somewhere else than from the end of the stream. */
    const from = (prev: RecordChain, record: (prev: RecordChain) => TxRecord) => (): TxRecord => record(prev);
    const unfenced = async (...make: ((prev: RecordChain) => TxRecord)[]): Promise<TxStream> =>
      Object.assign(await streamOf(...make), { fencesPipelines: false });
    const epochs = (epoch: number, record: (prev: RecordChain) => TxRecord) => (prev: RecordChain) => ({
      ...record(prev),
      epoch,
    });
    const old = (lsn: number, prev: RecordChain) => from(prev, epochs(1, data(part(lsn, [0]))));
    const chainAt = (lsn: number) => chainAfter(data(part(lsn, [0]))(start));

    test('what slipped in behind a newer epoch is not where the next one goes on', async () => {
      const stream = await unfenced(
        epochs(1, data(part(10, [0]))),
        leader(2),
        old(14, chainAt(12)),
        old(16, chainAt(14)),
      );
      expect(await readStreamEnd(stream, 2)).toMatchObject({ seq: 4, epoch: 2, held: 11n, chain: chainAt(10) });
      const behind = await unfenced(
        epochs(1, data(part(10, [0]))),
        leader(2),
        old(14, chainAt(12)),
        from(chainAt(10), epochs(2, data(part(12, [0])))),
        old(18, chainAt(16)),
      );
      expect(await readStreamEnd(behind, 2)).toMatchObject({ seq: 5, epoch: 2, held: 13n, chain: chainAt(12) });
    });

    test('nor is it for the epoch after that', async () => {
      const stream = await unfenced(
        epochs(1, data(part(10, [0]))),
        leader(2),
        old(14, chainAt(12)),
        from(chainAt(10), leader(3)),
      );
      expect(await readStreamEnd(stream, 3)).toMatchObject({ seq: 4, epoch: 3, held: 11n, chain: chainAt(10) });
    });

    test('an epoch that was meant to start and did not changes nothing', async () => {
      const stream = await unfenced(leader(1), epochs(1, data(part(10, [0]))));
      expect(await readStreamEnd(stream, 7)).toMatchObject({ seq: 2, epoch: 1, chain: chainAt(10) });
    });
  });

  test('when the data has expired, the transaction at the position does not count', async () => {
    const stream = await streamOf(data(part(10, [0])), leader(2));
    await stream.trim(2);
    expect(await readStreamEnd(stream)).toMatchObject({ seq: 2, epoch: 2, held: 10n, open: false, chain: afterTen });
  });
});
