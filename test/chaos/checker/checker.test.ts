import { describe, expect, test } from 'vitest';
import { TrackedShape } from '../model/shape.ts';
import { entry, MadeHistory, shown, snapshotEnd } from './made-history.ts';

/** One row, and a reader that has it. */
function begun(): { readonly h: MadeHistory; readonly r: ReturnType<MadeHistory['reader']> } {
  const h = new MadeHistory();
  h.commit(100, { 1: 1 });
  const r = h.reader();
  h.gives(r, [shown(1, 1), snapshotEnd(101), 100]);
  return { h, r };
}

describe('a history without a fault is accepted', () => {
  test('of inserts, updates, deletes, in transactions of several changes', () => {
    const { h, r } = begun();
    h.commit(200, { 1: 2, 2: 1 });
    h.gives(r, [entry('update', 200, 1, 2, { last: false }), entry('insert', 200, 2, 1, { op: 2 }), 200]);
    h.commit(300, { 1: undefined });
    h.gives(r, [entry('delete', 300, 1), 350]);
    expect(h.broken).toEqual([]);
    expect(h.checker.counts()).toMatchObject({ compared: 3, entries: 4 });
  });

  test('of a watermark that is ahead of what the truth knows: it is compared later', () => {
    const { h, r } = begun();
    h.gives(r, [entry('update', 200, 1, 2), 200]);
    h.checker.settle(h.now);
    expect(h.checker.open).toBe(2);
    h.commit(200, { 1: 2 });
    expect(h.broken).toEqual([]);
    expect(h.checker.open).toBe(0);
  });

  test('of a shape that shows some of the rows, and some of the columns', () => {
    const h = new MadeHistory();
    const shape = new TrackedShape('plain', { kind: 'compare', column: 'n', op: '>=', value: 5 }, ['id', 'n']);
    const r = h.reader('r', { shape });
    h.commit(100, { 1: 1, 2: 7 });
    h.gives(r, [{ key: '2', value: { id: '2', n: '7' }, headers: { operation: 'insert' } }, snapshotEnd(101), 100]);
    h.commit(200, { 1: 9 });
    h.gives(r, [
      {
        key: '1',
        value: { id: '1', n: '9' },
        headers: { operation: 'insert', lsn: '200', op_position: 0, last: true },
      },
      200,
    ]);
    expect(h.broken).toEqual([]);
  });
});

describe('state: what a reader has at an up-to-date is what Postgres had then (I1)', () => {
  test('a change is missing', () => {
    const { h, r } = begun();
    h.commit(200, { 1: 2 });
    h.gives(r, [200]);
    expect(h.broken).toEqual([expect.stringMatching(/^state: at 200 .*only Postgres has 1: .*"2"/)]);
  });

  test('a change comes before it is in the watermark', () => {
    const { h, r } = begun();
    h.commit(200, { 1: 2 });
    h.commit(300, { 1: 3 });
    h.gives(r, [entry('update', 200, 1, 2), 300]);
    expect(h.broken).toEqual([expect.stringContaining('state: at 300')]);
  });

  test('a change has another value', () => {
    const { h, r } = begun();
    h.commit(200, { 1: 2 });
    h.gives(r, [entry('update', 200, 1, 3), 200]);
    expect(h.broken).toEqual([expect.stringContaining('state: at 200')]);
  });

  test('a row is missing that the difference is told of although the reader has gone on', () => {
    const { h, r } = begun();
    h.gives(r, [200]);
    h.gives(r, [entry('update', 300, 1, 4), 300]);
    h.commit(200, { 1: 3 });
    h.commit(300, { 1: 4 });
    expect(h.broken).toEqual([expect.stringMatching(/^state: at 200 .*only the reader has 1: .*\["n","1"\]/)]);
  });

  test('a snapshot that shows transactions above the watermark is one with them', () => {
    const h = new MadeHistory();
    h.commit(100, { 1: 1 });
    h.commit(200, { 2: 2 });
    const r = h.reader();
    h.gives(r, [shown(1, 1), shown(2, 2), snapshotEnd(201), 100]);
    expect(h.broken).toEqual([]);
  });

  test('a snapshot that lacks a transaction which it should show is not', () => {
    const h = new MadeHistory();
    h.commit(100, { 1: 1 });
    h.commit(200, { 2: 2 });
    const r = h.reader();
    h.gives(r, [shown(1, 1), snapshotEnd(201), 100]);
    expect(h.broken).toEqual([expect.stringContaining('state: at 100')]);
  });

  test('a snapshot that lacks a transaction which ran while it was made gets it from the log', () => {
    const h = new MadeHistory();
    h.commit(100, { 1: 1 });
    h.commit(200, { 2: 2 });
    h.commit(300, { 3: 3 });
    const r = h.reader();
    h.gives(r, [shown(1, 1), shown(3, 3), snapshotEnd(150, 301, [200]), entry('insert', 200, 2, 2), 200]);
    h.gives(r, [300]);
    expect(h.broken).toEqual([]);
  });
});

describe('bytes: an offset has the same bytes for ever (I2)', () => {
  test('two readers see different entries at one offset', () => {
    const { h, r } = begun();
    const other = h.reader('other');
    h.gives(other, [shown(1, 1), snapshotEnd(101), 100]);
    h.commit(200, { 1: 2 });
    h.gives(r, [entry('update', 200, 1, 2), 200]);
    const changed = entry('update', 200, 1, 2);
    h.gives(other, [{ ...changed, headers: { ...changed.headers, txids: [7] } }, 200]);
    expect(h.broken).toEqual([expect.stringContaining('bytes: other bytes at 1-1000 200_0')]);
  });

  test('a closed chunk ends elsewhere for another reader', () => {
    const { h } = begun();
    const [one, other] = [h.reader('one'), h.reader('other')];
    h.commit(200, { 1: 2 });
    h.gives(one, [shown(1, 1)], { offset: '0_0', bodyHash: 1 });
    h.gives(other, [shown(1, 1)], { offset: '0_0', bodyHash: 2 });
    expect(h.broken).toEqual([expect.stringContaining('bytes: another answer at 1-1000 chunk after -1')]);
  });

  test('whoever waited behind the end of a snapshot gets nothing, which is no chunk', () => {
    const { h } = begun();
    const [one, other] = [h.reader('one'), h.reader('other')];
    h.gives(one, [], { offset: '0_0', bodyHash: 1 });
    h.gives(other, [shown(1, 1)], { offset: '0_0', bodyHash: 2 });
    expect(h.broken).toEqual([]);
  });

  test('another handle may have others', () => {
    const { h } = begun();
    const other = h.reader('other');
    h.commit(200, { 1: 2 });
    h.gives(other, [shown(1, 2), snapshotEnd(201), 200], { handle: '1-2000' });
    expect(h.broken).toEqual([]);
  });
});

describe('protocol: order, whole transactions, watermarks (I3, I4, R 14.4)', () => {
  test('an entry comes twice', () => {
    const { h, r } = begun();
    h.commit(200, { 2: 2 });
    h.gives(r, [entry('insert', 200, 2, 2, { last: false }), entry('insert', 200, 2, 2), 200]);
    expect(h.broken).toContain('protocol: entry 200_0 after 200_0');
    expect(h.broken).toContain('protocol: insert of a row that is there: "plain"/"2" (200_0)');
  });

  test('transactions come in another order', () => {
    const { h, r } = begun();
    h.commit(200, { 2: 2 });
    h.commit(300, { 3: 3 });
    h.gives(r, [entry('insert', 300, 3, 3), entry('insert', 200, 2, 2), 300]);
    expect(h.broken).toContain('protocol: entry 200_0 after 300_0');
  });

  test('an up-to-date is inside of a transaction', () => {
    const { h, r } = begun();
    h.commit(200, { 2: 2, 3: 3 });
    h.gives(r, [entry('insert', 200, 2, 2, { last: false }), 200]);
    expect(h.broken).toContain('protocol: up-to-date inside transaction 200');
    expect(h.broken).toContainEqual(expect.stringContaining('state: at 200'));
  });

  test('a watermark is below the entries that came with it', () => {
    const { h, r } = begun();
    h.commit(200, { 2: 2 });
    h.gives(r, [entry('insert', 200, 2, 2), 150]);
    expect(h.broken).toContain('protocol: up-to-date at 150 is below the last entry 200');
  });

  test('a watermark goes back: only after the store did, or through a cache', () => {
    const { h, r } = begun();
    h.commit(400, { 1: undefined });
    const cached = h.reader('cached', { throughCache: true });
    h.gives(cached, [shown(1, 1), snapshotEnd(101), 300]);
    h.gives(cached, [200]);
    h.gives(r, [300]);
    const { checker } = h;
    const fault = checker.faultBegins('fail over', 'store-tail', h.now);
    h.gives(r, [250]);
    checker.faultHealed(fault, h.now);
    expect(h.broken).toEqual([]);
    h.now += 60_000;
    h.gives(r, [260]);
    h.now += 60_000;
    h.gives(r, [255]);
    expect(h.broken).toEqual(['protocol: up-to-date went from 260 to 255']);
    expect(checker.counts().cachedStepsBack).toBe(1);
  });
});

describe('rotation: a shape ends for a reason (R 15.7)', () => {
  test('without one it must not', () => {
    const { h, r } = begun();
    h.refuses(r);
    expect(h.broken).toEqual(['rotation: 1-1000 ended, and nothing explains it']);
  });

  test('a truncation is one, once', () => {
    const { h, r } = begun();
    h.truncate(200);
    h.refuses(r, '1-1000', '1-2000');
    h.gives(r, [snapshotEnd(201), 200], { handle: '1-2000' });
    expect(h.broken).toEqual([]);
    h.refuses(r, '1-2000');
    expect(h.broken).toEqual(['rotation: 1-2000 ended, and nothing explains it']);
    expect(h.checker.counts().explained).toEqual({ truncate: 1 });
  });

  test('a fault is none, unless it took the shape away or met it half-made', () => {
    const { h, r } = begun();
    const [half, young] = [h.reader('half'), h.reader('young')];
    const justMade = `3-${h.now * 1_000}`;
    const halfMade = `2-${(h.now - 9_000) * 1_000}`;
    h.gives(half, [shown(1, 1)], { handle: halfMade, offset: '0_0' });
    h.gives(young, [shown(1, 1), snapshotEnd(101), 100], { handle: justMade });
    h.checker.faultHealed(h.checker.faultBegins('fail over', 'store-tail', h.now), h.now);
    h.refuses(half, halfMade);
    h.refuses(young, justMade);
    expect(h.broken).toEqual([]);
    h.refuses(r);
    expect(h.broken).toEqual(['rotation: 1-1000 ended, and nothing explains it']);
  });

  test('is not asked for where faults end shapes by design', () => {
    const h = new MadeHistory(false);
    h.commit(100, { 1: 1 });
    const r = h.reader();
    h.gives(r, [shown(1, 1), snapshotEnd(101), 100]);
    h.refuses(r);
    expect(h.broken).toEqual([]);
  });
});

describe('resurrection: who is dead stays dead (I9)', () => {
  test('another reader is given data of a handle that was refused before it asked', () => {
    const { h, r } = begun();
    const other = h.reader('other');
    h.truncate(200);
    h.refuses(r);
    h.now += 5;
    h.gives(other, [snapshotEnd(201), 200]);
    expect(h.broken).toContainEqual(expect.stringContaining('resurrection: 1-1000 was told to be dead'));
  });

  test('a store that went back may not know of a truncation yet, and of nothing else', () => {
    const { h, r } = begun();
    const [other, third] = [h.reader('other'), h.reader('third')];
    h.truncate(200);
    h.refuses(r);
    h.now += 5;
    h.checker.faultHealed(h.checker.faultBegins('fail over', 'store-tail', h.now), h.now);
    h.gives(other, [shown(1, 1), snapshotEnd(101), 100]);
    expect(h.broken).toEqual([]);
    h.refuses(other);
    h.now += 60_000;
    h.refuses(third, '1-2000');
    h.checker.faultHealed(h.checker.faultBegins('fail over', 'store-tail', h.now), h.now);
    h.now += 5;
    h.gives(third, [snapshotEnd(201), 200], { handle: '1-2000' });
    h.refuses(third, '1-2000');
    h.gives(third, [snapshotEnd(201), 200], { handle: '1-2000', sentAt: h.now + 5 });
    expect(h.broken).toContainEqual(expect.stringContaining('resurrection: 1-2000'));
  });

  test('an answer that was on its way, or that a cache kept, is none', () => {
    const { h, r } = begun();
    h.commit(200, { 1: undefined });
    h.truncate(300);
    const [slow, cached] = [h.reader('slow'), h.reader('cached', { throughCache: true })];
    const before = h.now;
    h.refuses(r);
    h.now += 5;
    for (const reader of [slow, cached]) {
      h.gives(reader, [shown(1, 1), snapshotEnd(101), 100], { sentAt: reader === slow ? before : h.now });
    }
    expect(h.broken).toEqual([]);
  });
});

describe('confirmed: Postgres keeps what is not stored (I5)', () => {
  const confirmedAt = async (confirmed: bigint, stored: bigint): Promise<MadeHistory> => {
    const { h } = begun();
    h.checker.storedFrom(100n);
    h.commit(200, { 2: 2 });
    h.commit(300, { 3: 3 });
    await h.checker.confirmed({ askedAt: h.now, flushed: 400n, confirmed }, async () => stored);
    return h;
  };

  test('it is told to forget a transaction that the stream does not have', async () => {
    expect((await confirmedAt(301n, 200n)).broken).toEqual([
      'confirmed: 301 was confirmed, the stream ends at 200, and 300 is between',
    ]);
  });

  test('nothing happened in between, or all of it is stored', async () => {
    expect((await confirmedAt(290n, 200n)).broken).toEqual([]);
    expect((await confirmedAt(300n, 200n)).broken).toEqual([]);
    expect((await confirmedAt(301n, 300n)).broken).toEqual([]);
    expect((await confirmedAt(150n, 0n)).broken).toEqual([]);
  });
});

describe('stale: all readers catch up', () => {
  test('one that does not is named, one that left is not waited for', () => {
    const { h } = begun();
    const gone = h.reader('gone');
    h.commit(200, { 2: 2 });
    h.commit(300, { 3: 3 });
    h.checker.allHealed(h.now, 250n, ['a fault']);
    h.checker.leaves(gone);
    h.now += 50_000;
    expect(h.broken).toEqual([]);
    h.now += 20_000;
    expect(h.broken).toEqual([expect.stringContaining('after a fault was healed r is at 100 and lacks 200')]);
  });

  test('one that is given later transactions is not stuck while faults follow one another', () => {
    const stuckAfter = (disturbed: boolean, given: number) => {
      const { h, r } = begun();
      h.commit(200, { 2: 2 });
      h.commit(300, { 3: 3 });
      h.checker.allHealed(h.now, 250n, ['a fault']);
      if (disturbed) h.checker.faultBegins('another one', 'nothing', h.now);
      for (const lsn of [200, 300].slice(0, given)) h.gives(r, [entry('insert', lsn, lsn / 100, lsn / 100)]);
      h.now += 200_000;
      return h.broken;
    };
    expect(stuckAfter(true, 2)).toEqual([]);
    expect(stuckAfter(true, 1)).toEqual([expect.stringContaining('lacks 200')]);
    expect(stuckAfter(false, 2)).toEqual([expect.stringContaining('lacks 200')]);
  });

  test('one whose snapshot shows what is above its watermark has it', () => {
    const h = new MadeHistory();
    h.commit(100, { 1: 1 });
    h.commit(200, { 2: 2 });
    const r = h.reader();
    h.gives(r, [shown(1, 1), shown(2, 2), snapshotEnd(201), 100]);
    h.checker.allHealed(h.now, 250n, ['a fault']);
    h.now += 70_000;
    expect(h.broken).toEqual([]);
    expect(h.checker.catchUp.waiting).toBe(0);
  });

  test('the time until the last of them has everything is measured', () => {
    const { h, r } = begun();
    const late = h.reader('late');
    h.gives(late, [shown(1, 1), snapshotEnd(101), 100]);
    h.commit(200, { 1: 2 });
    const healedAt = h.now;
    h.checker.allHealed(healedAt, 250n, ['a fault']);
    h.gives(r, [entry('update', 200, 1, 2), 200]);
    h.now += 1_000;
    h.gives(late, [entry('update', 200, 1, 2), 200]);
    expect(h.broken).toEqual([]);
    expect(h.checker.catchUp.measured).toEqual([
      { ms: h.now - 1 - healedAt, reader: 'late', disturbed: false, after: ['a fault'] },
    ]);
  });
});
