import { sharedNatsUrl, waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

let world: PgWorld;
afterEach(() => world.stop());

test('T4 under load that never pauses Postgres is told again and again what it may forget', async () => {
  world = await openPgWorld(sharedNatsUrl());
  const { replicator } = await world.start('a', { confirmDelayMs: 200 });
  await waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
  await world.publish();
  // Until the test is done: there is never a moment without the next transaction.
  let writing = true;
  const writers = [0, 1, 2].map(async (writer) => {
    for (let n = 0; writing; n += 1) {
      const from = 1_000_000 * (3 * n + writer);
      await world.sql(
        ...Array.from({ length: 200 }, (_, i) => {
          return `insert into items select ${from + 100 * i} + j, repeat('x', 200) from generate_series(1, 20) j`;
        }),
      );
    }
  });
  const confirmed: bigint[] = [];
  const readSlot = async (): Promise<bigint> => {
    const rows = await world.ask(
      `select (confirmed_flush_lsn - '0/0')::text as lsn from pg_replication_slots where slot_name = '${world.slotName}'`,
    );
    return BigInt(String(rows[0]?.['lsn']));
  };
  try {
    const first = await readSlot();
    await waitFor(
      async () => {
        const now = await readSlot();
        if (now !== confirmed.at(-1)) confirmed.push(now);
        return confirmed.length > 10 && now - first > 4_000_000n;
      },
      { describe: () => confirmed },
    );
  } finally {
    writing = false;
    await Promise.all(writers);
  }
  expect(confirmed).toEqual(confirmed.toSorted((a, b) => (a < b ? -1 : 1)));
  const stored = await world.insertedIds();
  expect(new Set(stored).size).toBe(stored.length);
});
