import { describe, expect, test } from 'vitest';
import { silentLogger, systemClock } from '@shapecast/service-kit';
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

const facts: RelationFacts = { visible: true, xmax: 100n, primaryKey: ['id'], ancestors: [] };

/** A lookup that gets these answers, the last one for ever. */
function lookingUp(...answers: readonly (RelationFacts | Error)[]) {
  const asked: bigint[] = [];
  const log: string[] = [];
  const lookup = new RelationLookup(
    {
      clock: systemClock,
      log: silentLogger,
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

  test('T9 holds up the stream while the database cannot be asked, and then repeats the question', async () => {
    const { lookup, asked, log } = lookingUp(new Error('away'), new Error('still away'), facts);
    const relation = leaf('v', 'id');
    lookup.complete(relation, 77n);
    await lookup.ready();
    expect(asked).toEqual([77n, 77n, 77n]);
    expect(relation.keyColumns).toEqual([1]);
    expect(log).toEqual(['pause', 'complete leaf', 'resume']);
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
