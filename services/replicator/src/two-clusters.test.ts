import { openMemoryMessaging, type Messaging, type SourceRecord } from '@shapecast/messaging';
import { silentLogger, StateEventTap, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { createReplicator, type Replicator } from './replicator.ts';
import { readContent } from './testing/stream-check.ts';
import { testDatabase, TestWal } from './testing/test-wal.ts';

const SOURCE = 'source';
const cleanUp: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of cleanUp.splice(0).reverse()) await stop();
});

function newMessaging(): Messaging {
  const messaging = openMemoryMessaging(systemClock);
  cleanUp.push(() => messaging.close());
  return messaging;
}

async function start(wal: TestWal, messaging: Messaging) {
  const tap = new StateEventTap(systemClock);
  const warnings: unknown[] = [];
  tap.connect((payload) => warnings.push((JSON.parse(new TextDecoder().decode(payload)) as { type?: string }).type));
  const replicator: Replicator = createReplicator(
    { source: wal, database: testDatabase(wal), messaging, clock: systemClock, log: tap.tap(silentLogger) },
    // Alike in both clusters, as names often are.
    {
      sourceId: SOURCE,
      holder: 'replicator-1',
      slotName: 'slot',
      confirmDelayMs: 0,
      heartbeatMs: 20,
      retryMinMs: 5,
      retryMaxMs: 20,
      drainMs: 200,
    },
  );
  cleanUp.push(() => replicator.stop());
  await replicator.start(new AbortController().signal);
  return { replicator, warnings };
}

const status = ({ replicator }: { replicator: Replicator }) => replicator.report().status;

async function stored(messaging: Messaging, incarnation: number) {
  const stream = await messaging.txStreams.open({ source: SOURCE, incarnation });
  return stream && (await readContent(stream));
}

async function incarnation(messaging: Messaging) {
  const sources = await messaging.registries.open<SourceRecord>('shapecast_sources');
  return (await sources.get(SOURCE))?.value.incarnation;
}

describe('two clusters that were pointed at', () => {
  test('one NATS with different databases: the second waits and says why, and the first goes on', async () => {
    const messaging = newMessaging();
    const [ours, theirs] = [new TestWal(), new TestWal()];
    theirs.systemId = 'system-2';
    const first = await start(ours, messaging);
    await waitFor(() => status(first) === 'active');
    theirs.commit(3);
    const second = await start(theirs, messaging);
    await waitFor(() => String(second.replicator.report()['lastError']).includes('another database leads this source'));
    expect(second.replicator.report()).toMatchObject({ ready: true, status: 'waiting' });
    expect(second.warnings).toContain('foreign_leader');
    ours.commit(5);
    await waitFor(async () => (await stored(messaging, 1))?.transactions.length === 1);
    expect(await incarnation(messaging)).toBe(1);
    expect(status(first)).toBe('active');
    expect(await stored(messaging, 2)).toBeUndefined();
  });

  test('F10 once the replicators of the old database have stopped, the source moves to the new one', async () => {
    const messaging = newMessaging();
    const [before, after] = [new TestWal(), new TestWal()];
    after.systemId = 'system-2';
    const old = await start(before, messaging);
    await waitFor(() => status(old) === 'active');
    const successor = await start(after, messaging);
    await waitFor(() => status(successor) === 'waiting');
    await old.replicator.stop();
    await waitFor(() => status(successor) === 'active');
    expect(await incarnation(messaging)).toBe(2);
  });

  test('one slot: the second waits for the lock and says that none of its own has it', async () => {
    const wal = new TestWal();
    const [ours, theirs] = [newMessaging(), newMessaging()];
    const first = await start(wal, ours);
    await waitFor(() => status(first) === 'active');
    const second = await start(wal, theirs);
    await waitFor(() => String(second.replicator.report()['lastError']).includes('use the same replication stream'));
    expect(status(second)).toBe('waiting');
    expect(second.warnings).toContain('foreign_lock');
    expect(await incarnation(theirs)).toBeUndefined();
    // A standby of the first has heard of its leader, and has nothing to say.
    const standby = await start(wal, ours);
    await waitFor(() => status(standby) === 'waiting');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(standby.replicator.report()['lastError']).toBeUndefined();
  });
});
