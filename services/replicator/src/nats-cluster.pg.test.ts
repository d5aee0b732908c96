import { BUCKETS, type SourceRecord } from '@shapecast/messaging';
import { startNatsCluster, waitFor, type NatsCluster } from '@shapecast/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Replicator } from './replicator.ts';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

let cluster: NatsCluster;
let world: PgWorld;
beforeAll(async () => {
  cluster = await startNatsCluster();
});
afterAll(() => cluster.stop());
beforeEach(async () => {
  world = await openPgWorld(cluster.url, { streamReplicas: 3, pipelining: ['a'] });
});
afterEach(() => world.stop());

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
const insert = async (from: number, to: number): Promise<void> => {
  for (let id = from; id <= to; id += 1) await world.sql(`insert into items values (${id}, 'note')`);
};
const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const contentNow = () => world.content().catch(() => undefined);
const stored = async (last: number): Promise<void> => {
  await waitFor(async () => (await world.insertedIds().catch(() => [])).length >= last, {
    describe: () => `not ${last} inserts`,
  });
  expect(await world.insertedIds()).toEqual(upTo(last));
};
const incarnation = async (): Promise<number | undefined> => {
  const sources = await world.messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
  return (await sources.get(world.source))?.value.incarnation;
};

/** Small records, so that many are in flight; leaders that say nothing while nothing happens. */
const chatty = { maxFragmentChanges: 2, progressIntervalMs: 60_000, progressMaxIntervalMs: 60_000 };

/** A leader with records in flight that have not reached the stream, and its successor, which has stored no more than that it leads. */
async function zombieAndSuccessor() {
  const zombie = await world.start('a', chatty);
  await active(zombie.replicator);
  await world.publish();
  await insert(1, 5);
  await stored(5);
  zombie.connection.fate = () => 'late';
  await insert(6, 15);
  await waitFor(() => zombie.connection.published > 8);
  await zombie.kill();
  let leads = false;
  const successor = await world.start('b', chatty);
  successor.connection.fate = (payload) => {
    if (leads) return 'lost';
    leads = Buffer.from(payload).includes('"leader"');
    return 'ok';
  };
  await waitFor(async () => (await contentNow())?.epochs.at(-1) === 2);
  const outcomes = await zombie.connection.letLoose();
  const kinds = outcomes.map(({ kind }) => kind);
  // The first finds the leader record in its place, the others what they expect.
  expect(kinds[0]).toBe('conflict');
  expect(kinds).toContain('stored');
  return successor;
}

describe('a replicator on a NATS cluster', () => {
  test('what a zombie gets in behind its successor is passed over, and costs neither a record nor an incarnation', async () => {
    const successor = await zombieAndSuccessor();
    successor.connection.fate = () => 'ok';
    await stored(15);
    await insert(16, 40);
    await stored(40);
    const { epochs, passed } = await world.content();
    expect({ epochs, passed: passed > 0 }).toEqual({ epochs: [1, 2], passed: true });
    expect(await incarnation()).toBe(1);
  });

  test('also when the successor dies at once, and the next one finds it at the end of the stream', async () => {
    const successor = await zombieAndSuccessor();
    await successor.kill();
    await active((await world.start('c', chatty)).replicator);
    await insert(16, 20);
    await stored(20);
    const { epochs, passed } = await world.content();
    expect({ epochs, passed: passed > 0 }).toEqual({ epochs: [1, 2, 3], passed: true });
    expect(await incarnation()).toBe(1);
  });
});
