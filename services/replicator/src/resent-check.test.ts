import { encodeRecord, lsn, POSITION_ZERO, type RecordChain, type TransactionPart } from '@shapecast/log';
import { openMemoryMessaging } from '@shapecast/messaging';
import { systemClock } from '@shapecast/service-kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ResentCheck, type Divergence } from './resent-check.ts';
import { fingerprintOf, storedTransactions, type Fingerprint } from './stored-transactions.ts';
import { testRelation } from './testing/test-wal.ts';

interface Transaction {
  readonly lsn: number;
  readonly xid?: number;
  readonly time?: number;
  readonly changes?: number;
}

/** The transaction in parts of so many changes. */
function partsOf({ lsn: at, xid = at, time = at, changes = 3 }: Transaction, size = 2): TransactionPart[] {
  const parts: TransactionPart[] = [];
  for (let from = 0; from < changes; from += size) {
    const to = Math.min(changes, from + size);
    parts.push({
      lsn: lsn(BigInt(at)),
      endLsn: lsn(BigInt(at + 1)),
      xid: BigInt(xid),
      commitTimeUs: BigInt(time),
      begin: from === 0,
      commit: to === changes,
      changes: Array.from({ length: to - from }, (_, i) => ({
        kind: 'insert',
        op: 2 * (from + i),
        relation: testRelation,
        new: ['1', null],
      })),
    });
  }
  return parts;
}

const fingerprint = (transaction: Transaction): Fingerprint =>
  fingerprintOf(partsOf(transaction).at(-1) as TransactionPart);

async function* these(stored: readonly Fingerprint[]): AsyncGenerator<Fingerprint, void, void> {
  yield* stored;
}

const STORED: readonly Transaction[] = [{ lsn: 10 }, { lsn: 20 }, { lsn: 30, changes: 1 }, { lsn: 40 }];

function checkOf(
  options: { readonly from?: number; readonly complete?: boolean; readonly stored?: readonly Fingerprint[] } = {},
): ResentCheck {
  const { from = 20, complete = true, stored = STORED.map(fingerprint) } = options;
  const to = stored.at(-1)?.lsn ?? lsn(0n);
  return new ResentCheck({ complete, transactions: these(stored) }, { from: lsn(BigInt(from)), to });
}

async function send(check: ResentCheck, sent: readonly Transaction[], size?: number): Promise<Divergence | undefined> {
  for (const transaction of sent) {
    for (const part of partsOf(transaction, size)) {
      const divergence = await check.check([part]);
      if (divergence) return divergence;
    }
  }
  return undefined;
}

describe('ResentCheck', () => {
  test('is done once something new comes after the same transactions, in whatever parts', async () => {
    const check = checkOf();
    expect(await send(check, STORED.slice(1), 1)).toBeUndefined();
    expect(check.done).toBe(false);
    expect(await send(check, [{ lsn: 50 }])).toBeUndefined();
    expect(check).toMatchObject({ done: true, compared: 3 });
  });

  test('is done once Postgres is past the same transactions', async () => {
    const check = checkOf();
    await send(check, STORED.slice(1));
    expect(await check.passed(lsn(40n))).toBeUndefined();
    expect(check.done).toBe(false);
    expect(await check.passed(lsn(41n))).toBeUndefined();
    expect(check.done).toBe(true);
  });

  test('has nothing to do when the slot is past the stream', () => {
    expect(checkOf({ from: 41 }).done).toBe(true);
  });

  test.each<[string, readonly Transaction[], Divergence['kind'], number]>([
    ['another transaction id', [{ lsn: 20, xid: 21 }], 'other_transaction', 20],
    ['another time', [{ lsn: 20, time: 21 }], 'other_transaction', 20],
    ['more operations', [{ lsn: 20 }, { lsn: 30, changes: 2 }], 'other_size', 30],
    ['fewer operations', [{ lsn: 20, changes: 2 }], 'other_size', 20],
    ['one that the stream does not hold', [{ lsn: 20 }, { lsn: 25 }], 'not_stored', 25],
    ['one missing', [{ lsn: 20 }, { lsn: 40 }], 'not_sent_again', 30],
    ['the last one missing', [{ lsn: 20 }, { lsn: 30, changes: 1 }, { lsn: 50 }], 'not_sent_again', 40],
    ['only new ones', [{ lsn: 50 }], 'not_sent_again', 20],
  ])('tells %s', async (_, sent, kind, at) => {
    expect(await send(checkOf(), sent)).toEqual({ kind, lsn: BigInt(at) });
  });

  test('tells that nothing is sent again although Postgres is past it', async () => {
    expect(await checkOf().passed(lsn(41n))).toEqual({ kind: 'not_sent_again', lsn: 20n });
  });

  test('takes the lower half of a transaction id only, which is what Postgres sends', async () => {
    const stored = [{ ...fingerprint({ lsn: 20 }), xid: 20n + (3n << 32n) }];
    expect(await send(checkOf({ stored }), [{ lsn: 20 }, { lsn: 30 }])).toBeUndefined();
  });

  test('a transaction that is stored in part may go on', async () => {
    const half = { ...fingerprint({ lsn: 20, changes: 2 }), whole: false };
    expect(await send(checkOf({ stored: [half] }), [{ lsn: 20, changes: 9 }, { lsn: 30 }])).toBeUndefined();
    const shorter = await send(checkOf({ stored: [half] }), [{ lsn: 20, changes: 1 }]);
    expect(shorter).toEqual({ kind: 'other_size', lsn: 20n });
  });

  test('what is older than the stream cannot be compared, what comes after is', async () => {
    const check = checkOf({ from: 1, complete: false });
    expect(await send(check, [{ lsn: 5 }, ...STORED, { lsn: 50 }])).toBeUndefined();
    expect(check).toMatchObject({ done: true, compared: 4 });
    const other = await send(checkOf({ from: 1, complete: false }), [{ lsn: 5 }, { lsn: 10 }, { lsn: 15 }]);
    expect(other).toEqual({ kind: 'not_stored', lsn: 15n });
  });
});

describe('storedTransactions', () => {
  /** A stream of one record for each group, with leader records in between. */
  async function streamOf(groups: readonly (readonly TransactionPart[])[], trimmed = 0) {
    const messaging = openMemoryMessaging(systemClock);
    const stream = await messaging.txStreams.create({ source: 's', incarnation: 1 });
    let prev: RecordChain = { position: POSITION_ZERO, progressLsn: lsn(0n) };
    let seq = 0;
    const put = async (payload: Uint8Array): Promise<void> => {
      await stream.publish(payload, { expectedLastSeq: seq, msgId: String(seq) });
      seq += 1;
    };
    for (const [epoch, parts] of groups.entries()) {
      const header = { incarnation: 1, epoch: epoch + 1 };
      await put(encodeRecord({ kind: 'leader', holder: 'a', prev, ...header }));
      await put(encodeRecord({ kind: 'data', parts, prev, ...header }));
      const last = parts.at(-1);
      if (last) prev = { ...prev, position: { lsn: last.lsn, op: last.changes.at(-1)?.op ?? 0 } };
    }
    await stream.trim(trimmed + 1);
    return { stream, seq };
  }

  async function read(groups: readonly (readonly TransactionPart[])[], from: number, trimmed = 0) {
    const { stream, seq } = await streamOf(groups, trimmed);
    const signal = new AbortController().signal;
    const stored = await storedTransactions(stream, { from: lsn(BigInt(from)), lastSeq: seq }, signal);
    const found: Fingerprint[] = [];
    for await (const transaction of stored.transactions) found.push(transaction);
    return { complete: stored.complete, found };
  }

  test('finds every transaction from a position on, however they are cut into records', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 130 }),
        async (sizes, partsPerRecord, from) => {
          const transactions = sizes.map((changes, i) => ({ lsn: 10 * (i + 1), changes }));
          const parts = transactions.flatMap((transaction) => partsOf(transaction));
          const groups: TransactionPart[][] = [];
          while (parts.length > 0) groups.push(parts.splice(0, partsPerRecord));
          const { complete, found } = await read(groups, Math.max(1, from));
          const expected = transactions.map(fingerprint);
          expect(complete).toBe(true);
          expect(found.filter((each) => each.lsn >= from)).toEqual(expected.filter((each) => each.lsn >= from));
          // Not the whole stream: what was read too much fits into the record before.
          expect(found.filter((each) => each.lsn < from).length).toBeLessThanOrEqual(partsPerRecord + 1);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('says when the stream does not go back so far', async () => {
    const groups = STORED.map((transaction) => partsOf(transaction));
    const { complete, found } = await read(groups, 5, 4);
    expect(complete).toBe(false);
    expect(found.map((each) => each.lsn)).toEqual([30n, 40n]);
    expect((await read(groups, 35, 4)).complete).toBe(true);
  });
});
