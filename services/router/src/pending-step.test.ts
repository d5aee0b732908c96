import { POSITION_ZERO, type Change, type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { ShardIndex } from './matching/shard-index.ts';
import type { Step, StepStart } from './matching/step.ts';
import { PendingStep, type StepLimits } from './pending-step.ts';
import type { StreamRecord } from './stream/stream-record.ts';
import { ITEMS, itemShape, pack } from './testing/model.ts';

const START = { cursor: { seq: 0, position: POSITION_ZERO, openTxSeq: 0 }, held: undefined };
const MIB = 1024 * 1024;

const LIMITS: StepLimits = {
  maxStepChanges: 4_000,
  maxStepBytes: 4 * MIB,
  maxStepEntries: 20_000,
  lingerMs: 200,
  emptyLingerMs: 1_000,
  maxLingerRecords: 1_000,
};

/** One transaction of as many records, each with these changes and of this size. */
function records(count: number, changes: number, bytes: number): StreamRecord[] {
  const all = Array.from({ length: count * changes }, (_, i): Change => {
    return { kind: 'insert', op: 2 * i, relation: ITEMS, new: [String(i), 'a', 'note'] };
  });
  const cuts = Array.from({ length: changes }, (_, i) => i === changes - 1);
  return pack([{ lsn: 5n as Lsn, xid: 5n, changes: all }], cuts).map((record) => ({ ...record, bytes }));
}

/** A reader that keeps to the limits it is given, as the window does; counts what was taken. */
function source(all: readonly StreamRecord[]) {
  const taken: StreamRecord[] = [];
  const read = (limits: { readonly maxRecords: number; readonly maxBytes: number }) => {
    const batch: StreamRecord[] = [];
    let bytes = 0;
    for (const record of all.slice(taken.length, taken.length + limits.maxRecords)) {
      bytes += record.bytes;
      if (batch.length > 0 && bytes > limits.maxBytes) break;
      batch.push(record);
    }
    taken.push(...batch);
    return batch;
  };
  return { read, taken };
}

function pendingOf(shapes: readonly ReturnType<typeof itemShape>[]) {
  const index = new ShardIndex();
  index.reset(shapes);
  return new PendingStep(index, LIMITS);
}

describe('what is remembered of a step', () => {
  test('records of large rows that concern no shape fill it by their size, and then it does not linger', () => {
    const pending = pendingOf([itemShape({ where: "owner = 'nobody'" })]);
    const { read, taken } = source(records(100, 1, MIB));
    expect(pending.collect(read, START, 0)).toBeUndefined();
    expect(taken).toHaveLength(4);
    expect(pending.step?.size).toBe(0);
    expect(pending.lingerMs(0)).toBe(0);
    pending.done();
    pending.collect(read, START, 0);
    expect(taken).toHaveLength(8);
  });

  test('small ones that concern no shape linger for more', () => {
    const pending = pendingOf([itemShape({ where: "owner = 'nobody'" })]);
    pending.collect(source(records(10, 1, 100)).read, START, 0);
    expect(pending.lingerMs(50)).toBe(150);
  });

  test('a record that belongs to very many shapes is not joined by those that were read with it', () => {
    const shapes = Array.from({ length: 200 }, () => itemShape());
    const pending = pendingOf(shapes);
    const all = records(16, 150, 1_000);
    const { read, taken } = source(all);
    const ends: number[] = [];
    let start: StepStart = START;
    while (start.cursor.seq < 16) {
      pending.collect(read, start, 0);
      const { batch, held } = (pending.step as Step).finish();
      // Every shape holds its newest one back until the transaction is over; then it comes with the rest.
      expect(batch.entries.length).toBeLessThanOrEqual(151 * 200);
      start = { cursor: batch.to, held };
      ends.push(batch.to.seq);
      pending.done();
    }
    expect(ends).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    expect(taken).toHaveLength(16);
  });

  test('a record that no step can be made of goes alone, after those before it, and tells whom it is about', () => {
    const mine = itemShape({ where: "owner = 'a'" });
    const pending = pendingOf([mine]);
    const [first, second, third] = records(3, 1, 10) as [StreamRecord, StreamRecord, StreamRecord];
    const poison = { ...second, record: { ...second.record, parts: poisoned(second) } } as StreamRecord;
    const { read } = source([first, poison, third]);
    expect(pending.collect(read, START, 0)).toBeUndefined();
    expect(pending.step?.seq).toBe(first.seq);
    // Not later, and not with anything else.
    expect(pending.lingerMs(0)).toBe(0);
    expect(pending.collect(read, START, 0)).toBeUndefined();
    expect(pending.step?.seq).toBe(first.seq);
    const { batch, held } = (pending.step as Step).finish();
    pending.done();
    const next: StepStart = { cursor: batch.to, held };
    for (let attempt = 0; attempt < 3; attempt += 1) {
      expect(() => pending.collect(read, next, 0)).toThrow('no value');
      expect(pending.step).toBeUndefined();
      expect(pending.waiting).toBe(true);
      expect(pending.involved()).toEqual(new Set([mine.handle]));
    }
  });

  test('what does not get through is taken apart, and so is what comes up to where it was found', () => {
    const mine = itemShape({ where: "owner = 'a'" });
    const pending = pendingOf([mine]);
    const all = records(6, 1, 10);
    const { read } = source(all);
    pending.collect(read, START, 0);
    expect(pending.step?.seq).toBe(all[5]?.seq);
    pending.oneByOne(START);
    const sizes: (number | undefined)[] = [];
    let start: StepStart = START;
    while (pending.waiting) {
      sizes.push(pending.step?.seq);
      expect(pending.involved()).toEqual(new Set(pending.step?.made ? [mine.handle] : []));
      const { batch, held } = (pending.step as Step).finish();
      start = { cursor: batch.to, held };
      pending.done();
      pending.collect(read, start, 0);
    }
    expect(sizes).toEqual(all.map(({ seq }) => seq));
  });
});

/** The parts of a record, with a change in it that cannot be looked at. */
function poisoned({ record }: StreamRecord): unknown {
  if (record.kind !== 'data') throw new Error('not data');
  const part = record.parts[0];
  const [change] = part?.changes ?? [];
  const bad = {
    op: change?.op,
    relation: change?.relation,
    get kind(): string {
      throw new Error('no value');
    },
  };
  return [{ ...part, changes: [bad] }];
}
