import { decodeRecord, type Lsn } from '@shapecast/log';
import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { describe, expect, test } from 'vitest';
import { createReplicator, type Replicator } from './replicator.ts';
import { FaultyConnection, type Fate } from './testing/faulty-stream.ts';
import { readContent } from './testing/stream-check.ts';
import { testDatabase, TestWal } from './testing/test-wal.ts';

/** Small deterministic generator: the seed decides what happens, the machine only how it interleaves. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const FATES: readonly Fate[] = ['ok', 'ok', 'ok', 'ok', 'ok', 'ok', 'lost', 'answer_lost'];

/**
 * Replicators are killed, cut off, stopped and restarted at random while transactions are committed and publishes fail.
 * Throughout, Postgres may only forget what the stream holds (I5); in the end the stream holds everything once (I1, I2).
 */
async function runHistory(seed: number): Promise<void> {
  const random = generator(seed);
  const wal = new TestWal();
  const messaging = openMemoryMessaging(systemClock);
  wal.fragmentChanges = () => 1 + random(6);
  wal.partsAtHand = () => 1 + random(6);
  const committed = new Set<Lsn>();
  const violations: string[] = [];
  wal.onConfirm = (lsn) => {
    const missing = wal.transactions.find((transaction) => transaction.lsn <= lsn && !committed.has(transaction.lsn));
    if (missing) violations.push(`confirmed ${lsn} while ${missing.lsn} is not stored`);
  };
  const replicators: Replicator[] = [];
  const start = async (): Promise<{ replicator: Replicator; connection: FaultyConnection }> => {
    const connection = new FaultyConnection(messaging);
    connection.onStored = (payload) => {
      const record = decodeRecord(payload);
      if (record.kind === 'data') for (const part of record.parts) if (part.commit) committed.add(part.lsn);
    };
    const replicator = createReplicator(
      {
        source: connection.source(wal),
        database: testDatabase(wal),
        messaging: connection.messaging,
        clock: systemClock,
        log: silentLogger,
      },
      {
        sourceId: 'test',
        holder: `replicator-${replicators.length}`,
        slotName: 'slot',
        confirmDelayMs: 0,
        maxFragmentChanges: 1 + random(8),
        windowMessages: 2 + random(6),
        progressIntervalMs: 5,
        progressMaxIntervalMs: 20,
        heartbeatMs: 50,
        retryMinMs: 2,
        retryMaxMs: 5,
        drainMs: 50,
      },
    );
    replicators.push(replicator);
    await replicator.start(new AbortController().signal);
    return { replicator, connection };
  };

  const zombies: FaultyConnection[] = [];
  for (let round = 0; round < 6; round++) {
    const { replicator, connection } = await start();
    await waitFor(() => replicator.report().status === 'active', {
      describe: () => ({ seed, round, report: replicator.report(), held: wal.holder !== undefined }),
    });
    const killAt = 1 + random(20);
    let published = 0;
    connection.fate = () => (++published >= killAt ? 'late' : (FATES[random(FATES.length)] ?? 'ok'));
    while (published < killAt) {
      wal.commit(1 + random(12));
      wal.advance(BigInt(random(50)));
      if (random(10) === 0) wal.holder?.break();
      await systemClock.sleep(random(4));
    }
    connection.kill();
    wal.cutOff();
    zombies.push(connection);
    if (random(2) === 0) await zombies[random(zombies.length)]?.letLoose();
  }
  const last = await start();
  await waitFor(() => committed.size === wal.transactions.length && wal.confirmed === wal.end, {
    describe: () => ({
      seed,
      end: String(wal.end),
      report: last.replicator.report(),
      committed: committed.size,
      of: wal.transactions.length,
    }),
  });
  for (const zombie of zombies) await zombie.letLoose();
  const stream = await messaging.txStreams.open({ source: 'test', incarnation: 1 });
  if (!stream) throw new Error('the stream is gone');
  const { transactions } = await readContent(stream);
  expect(violations).toEqual([]);
  expect(transactions.map(({ lsn, changes, complete }) => ({ lsn, changes, complete }))).toEqual(
    wal.transactions.map(({ lsn, changes }) => ({ lsn, changes, complete: true })),
  );
  await Promise.all(replicators.map((replicator) => replicator.stop()));
  await messaging.close();
}

describe('random crashes', () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])('seed %i: nothing is lost, doubled or confirmed too early', async (seed) => {
    await expect(runHistory(seed)).resolves.toBeUndefined();
  });
});
