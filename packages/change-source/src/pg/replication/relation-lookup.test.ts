import { describe, expect, test } from 'vitest';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import type { DescribedRelation } from '../pgoutput/decoder.ts';
import type { RelationFacts } from '../sql/inheritance.ts';
import { RelationLookup } from './relation-lookup.ts';

function leaf(...columns: readonly string[]): DescribedRelation {
  return {
    oid: 10,
    schema: 'public',
    name: 'leaf',
    replicaIdentity: 'f',
    columns: columns.map((name) => ({ name, typeOid: 25, typeMod: -1 })),
    keyColumns: [],
  };
}

const WAITS = 'key lookup failed, the stream waits';
const published = { xmax: 100n, running: 0, by: 'rel:1', above: [] };
const facts: RelationFacts = { visible: true, xmax: 100n, primaryKey: ['id'], ancestors: [], published };

/** A lookup that gets these answers, the last one for ever. */
function lookingUp(...answers: readonly (RelationFacts | Error)[]) {
  return lookingUpWith(async () => undefined, systemClock, ...answers);
}

/** A second passes whenever somebody asks for the time. */
function hurryingClock(): Clock {
  let now = 0;
  return { ...systemClock, now: () => (now += 1_000), sleep: () => systemClock.sleep(1), random: () => 0 };
}

function lookingUpWith(
  readDdlLocks: (xid: bigint) => Promise<ReadonlySet<number> | undefined>,
  clock: Clock,
  ...answers: readonly (RelationFacts | Error)[]
) {
  const asked: bigint[] = [];
  const log: string[] = [];
  const lookup = new RelationLookup(
    {
      clock,
      log: { ...silentLogger, warn: (_, text) => void log.push(text) },
      readDdlLocks,
      readFacts: async (_, xid) => {
        asked.push(xid);
        const answer = answers[Math.min(asked.length, answers.length) - 1] as RelationFacts | Error;
        if (answer instanceof Error) throw answer;
        return answer;
      },
      onComplete: ({ name }) => log.push(`complete ${name}`),
      pause: () => log.push('pause'),
      resume: () => log.push('resume'),
    },
    new AbortController().signal,
  );
  return { lookup, asked, log };
}

describe('the lookup of what a relation message does not tell', () => {
  test('holds up the stream until the transaction that described the relation is visible', async () => {
    const { lookup, asked, log } = lookingUp({ ...facts, visible: false, primaryKey: [] }, facts);
    const relation = leaf('v', 'id');
    lookup.complete(relation, 77n);
    await lookup.ready();
    expect(asked).toEqual([77n, 77n]);
    expect(relation.keyColumns).toEqual([1]);
    expect(relation.ancestors).toBeUndefined();
    expect(log).toEqual(['pause', 'complete leaf', 'resume']);
    expect(lookup.ready()).toBeUndefined();
  });

  describe('of a transaction that hangs before it is visible', () => {
    const hanging: RelationFacts = { ...facts, visible: false };
    const above = { oid: 5, columns: ['id'], primaryKey: ['id'], joinedXid: undefined };
    const TOLD = 'the stream waits for a transaction with DDL whose commit does not show yet';

    test('takes what is visible when the transaction did nothing to the table', async () => {
      const locks = async (xid: bigint) => (xid === 77n ? new Set([11]) : undefined);
      const { lookup, log } = lookingUpWith(locks, hurryingClock(), { ...hanging, ancestors: [above] });
      const relation = leaf('v', 'id');
      lookup.complete(relation, 77n);
      await lookup.ready();
      expect(relation).toMatchObject({ keyColumns: [1], ancestors: [{ oid: 5 }] });
      expect(log).toEqual(['pause', 'complete leaf', 'resume']);
    });

    test.each([
      ['the table', hanging, new Set([10])],
      ['a table above', { ...hanging, ancestors: [above] }, new Set([5])],
      ['nobody can say what', hanging, undefined],
    ])('waits until it is visible when it changed %s, and says so once', async (_, before, locked) => {
      const { lookup, asked, log } = lookingUpWith(
        async () => locked,
        hurryingClock(),
        ...[before, before, before, { ...facts, primaryKey: ['v'] }],
      );
      const relation = leaf('v', 'id');
      lookup.complete(relation, 77n);
      await lookup.ready();
      expect(asked).toHaveLength(4);
      expect(relation.keyColumns).toEqual([0]);
      expect(log).toEqual(['pause', TOLD, 'complete leaf', 'resume']);
    });

    test('reads the locks before what is visible, so that they are those of a transaction that still runs', async () => {
      const order: string[] = [];
      const lookup = new RelationLookup(
        {
          clock: hurryingClock(),
          log: silentLogger,
          readFacts: async () => (order.push('facts'), hanging),
          readDdlLocks: async () => (order.push('locks'), new Set<number>()),
          onComplete: () => undefined,
          pause: () => undefined,
          resume: () => undefined,
        },
        new AbortController().signal,
      );
      lookup.complete(leaf('id'), 77n);
      await lookup.ready();
      expect(order).toEqual(['locks', 'facts']);
    });
  });

  test('T9 holds up the stream while the database cannot be asked, and then repeats the question', async () => {
    const { lookup, asked, log } = lookingUp(new Error('away'), new Error('still away'), facts);
    const relation = leaf('v', 'id');
    lookup.complete(relation, 77n);
    await lookup.ready();
    expect(asked).toEqual([77n, 77n, 77n]);
    expect(relation.keyColumns).toEqual([1]);
    expect(log).toEqual(['pause', WAITS, WAITS, 'complete leaf', 'resume']);
  });

  test('T9 keys by all columns when the table is gone', async () => {
    const { lookup, log } = lookingUp({ ...facts, primaryKey: [] });
    const relation = leaf('v', 'id');
    lookup.complete(relation, 77n);
    await lookup.ready();
    expect(relation.keyColumns).toEqual([]);
    expect(log).toEqual(['pause', 'complete leaf', 'resume']);
  });

  test('maps the columns of ancestors by name, and leaves out what the relation does not have yet', async () => {
    const above = { primaryKey: ['id', 'region'], joinedXid: undefined };
    const { lookup } = lookingUp({
      ...facts,
      ancestors: [
        { oid: 1, columns: ['region', 'id', 'v', 'added'], ...above },
        { oid: 2, columns: ['v', 'id', 'region'], ...above },
        { oid: 3, columns: ['region', 'v'], ...above },
      ],
    });
    const relation = leaf('v', 'id', 'region');
    lookup.complete(relation, 77n);
    await lookup.ready();
    expect(relation.ancestors).toEqual([
      { oid: 1, columns: [2, 1, 0], keyColumns: [1, 0] },
      { oid: 2, keyColumns: [1, 2] },
      { oid: 3, columns: [2, 0], keyColumns: [] },
    ]);
  });

  test('remembers which snapshot saw a table join first, however often it is described', async () => {
    const above = { oid: 1, columns: ['id'], primaryKey: ['id'] };
    const { lookup } = lookingUp(
      { ...facts, ancestors: [{ ...above, joinedXid: 90n }] },
      { ...facts, xmax: 120n, ancestors: [{ ...above, joinedXid: 90n }] },
      { ...facts, xmax: 140n, ancestors: [{ ...above, joinedXid: 130n }] },
    );
    const seen = [];
    for (let i = 0; i < 3; i += 1) {
      const relation = leaf('id');
      lookup.complete(relation, 77n);
      await lookup.ready();
      seen.push(relation.ancestors?.[0]?.joined);
    }
    expect(seen).toEqual([
      { xid: 90n, seenXmax: 100n },
      { xid: 90n, seenXmax: 100n },
      { xid: 130n, seenXmax: 140n },
    ]);
  });
});
