import { describe, expect, test } from 'vitest';
import { ShapecastError } from '@shapecast/errors';
import type { Relation } from '@shapecast/log';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { IdentityRepair } from './identity-repair.ts';

function relation(oid: number, replicaIdentity: Relation['replicaIdentity']): Relation {
  return { oid, schema: 'public', name: `t${oid}`, replicaIdentity, columns: [], keyColumns: [] };
}

/** A repair whose attempts the test lets fail, and whose waits take no time. */
function repairing(failures = 0, failure: Error = new Error('the table is locked')) {
  const attempts: number[] = [];
  const waits: number[] = [];
  const clock: Clock = {
    ...systemClock,
    sleep: async (ms) => {
      waits.push(ms);
    },
  };
  const database = {
    repairReplicaIdentity: async (oid: number) => {
      attempts.push(oid);
      if (attempts.length <= failures) throw failure;
    },
  };
  const stop = new AbortController();
  const repair = new IdentityRepair({ database, clock, log: silentLogger }, stop.signal);
  return { repair, attempts, waits, stop };
}

describe('the repair of replica identities', () => {
  test('takes up what is described without full replica identity, and only that', async () => {
    const { repair, attempts } = repairing();
    repair.check(relation(1, 'f'));
    repair.check(relation(2, 'd'));
    repair.check(relation(3, 'n'));
    await repair.settled();
    expect(attempts).toEqual([2, 3]);
  });

  test('tries again after a while until it succeeds', async () => {
    const { repair, attempts, waits } = repairing(2);
    repair.check(relation(2, 'd'));
    await repair.settled();
    expect(attempts).toEqual([2, 2, 2]);
    expect(waits).toHaveLength(2);
  });

  test('leaves a table alone that is described as repaired meanwhile', async () => {
    const { repair, attempts } = repairing(1);
    repair.check(relation(2, 'd'));
    repair.check(relation(2, 'f'));
    await repair.settled();
    expect(attempts).toEqual([2]);
  });

  test('leaves what is not ours to change to the verification', async () => {
    const text = 'Database table "public.t2" does not have its replica identity set to FULL';
    const { repair, attempts, waits } = repairing(Infinity, new ShapecastError('SOURCE_MISCONFIGURED', text));
    repair.check(relation(2, 'd'));
    await repair.settled();
    expect([attempts, waits]).toEqual([[2], []]);
  });

  test('ends with the leadership', async () => {
    const { repair, attempts, stop } = repairing(Infinity);
    repair.check(relation(2, 'd'));
    stop.abort();
    await repair.settled();
    expect(attempts).toEqual([2]);
  });
});
