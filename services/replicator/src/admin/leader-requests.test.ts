import {
  newIncarnationSubject,
  openMemoryMessaging,
  releaseLeadershipSubject,
  type Messaging,
  type SourceRecord,
} from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createReplicator, type Replicator } from '../replicator.ts';
import { readContent } from '../testing/stream-check.ts';
import { testDatabase, TestWal } from '../testing/test-wal.ts';

const source = 'test';

describe('a leader that is asked', () => {
  let wal: TestWal;
  let messaging: Messaging;
  let started: Replicator[];

  beforeEach(() => {
    wal = new TestWal();
    messaging = openMemoryMessaging(systemClock);
    started = [];
  });
  afterEach(async () => {
    await Promise.all(started.map((replicator) => replicator.stop()));
    await messaging.close();
  });

  async function start(holder: string): Promise<Replicator> {
    const replicator = createReplicator(
      { source: wal, database: testDatabase(wal), messaging, clock: systemClock, log: silentLogger },
      {
        ...{ sourceId: source, holder, slotName: 'slot', confirmDelayMs: 0, progressIntervalMs: 10 },
        ...{ progressMaxIntervalMs: 40, heartbeatMs: 20, retryMinMs: 5, retryMaxMs: 20, drainMs: 2_000 },
      },
    );
    started.push(replicator);
    await replicator.start(new AbortController().signal);
    return replicator;
  }

  const is = (replicator: Replicator, status: string) => waitFor(() => replicator.report().status === status);
  const ask = (subject: string, request: unknown = {}) =>
    messaging.rpc.call(subject, request, { timeoutMs: 10_000, signal: AbortSignal.timeout(20_000) });
  const incarnation = async () =>
    (await (await messaging.registries.open<SourceRecord>('shapecast_sources')).get(source))?.value.incarnation;

  async function stored(of = 1): Promise<readonly bigint[]> {
    const stream = await messaging.txStreams.open({ source, incarnation: of });
    if (stream === undefined) return [];
    return (await readContent(stream)).transactions.filter(({ complete }) => complete).map(({ lsn }) => lsn);
  }

  test('makes room for another one, with everything stored, and stands by', async () => {
    const first = await start('a');
    await is(first, 'active');
    const second = await start('b');
    await is(second, 'waiting');
    for (let i = 1; i <= 20; i += 1) wal.commit(i);
    expect(await ask(releaseLeadershipSubject(source))).toEqual({ holder: 'a', incarnation: 1, epoch: 1 });
    await is(second, 'active');
    await is(first, 'waiting');
    wal.commit(3);
    await waitFor(async () => (await stored()).length === 21);
    expect(await stored()).toEqual(wal.transactions.map(({ lsn }) => lsn));
    expect(await incarnation()).toBe(1);
    expect(await ask(releaseLeadershipSubject(source))).toMatchObject({ holder: 'b', epoch: 2 });
    await is(first, 'active');
  });

  test('takes it again after a while where there is no other', async () => {
    const only = await start('a');
    await is(only, 'active');
    await ask(releaseLeadershipSubject(source));
    await waitFor(() => only.report()['epoch'] === 2 && only.report().status === 'active');
    wal.commit(1);
    await waitFor(async () => (await stored()).length === 1);
  });

  test('ends the incarnation, and the next one begins where it ended', async () => {
    const only = await start('a');
    await is(only, 'active');
    wal.commit(1);
    await waitFor(async () => (await stored()).length === 1);
    await expect(ask(newIncarnationSubject(source), { incarnation: 7 })).rejects.toMatchObject({
      code: 'INVALID_REQUEST',
    });
    expect(await ask(newIncarnationSubject(source), { incarnation: 1 })).toMatchObject({ holder: 'a', incarnation: 1 });
    await waitFor(async () => (await incarnation()) === 2);
    const { lsn } = wal.commit(2);
    await waitFor(async () => (await stored(2)).includes(lsn));
    // The mark is of the incarnation that ended: nothing of it is left for the one after.
    await ask(releaseLeadershipSubject(source));
    await waitFor(() => only.report()['epoch'] === 2 && only.report().status === 'active');
    expect(await incarnation()).toBe(2);
  });
});
