import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { openPgChangeSource, openPgSourceDatabase } from '@shapecast/change-source';
import { openMemoryMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { startPostgres, waitFor } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { createReplicator, type Replicator } from './replicator.ts';

interface Event {
  readonly event: string;
  readonly type: string;
  readonly message: string;
}

/** Remembers state events, whatever loggers they pass through. */
function eventLog(): Logger & { readonly events: Event[] } {
  const events: Event[] = [];
  const hear = (fields: object) => {
    if ('event' in fields) events.push(fields as Event);
  };
  const log = { ...silentLogger, error: hear, warn: hear, info: hear, events, child: () => log };
  return log;
}

/** Real time, but who sleeps for a minute or more wakes when told to. */
function patientClock() {
  let leapt = 0;
  const sleepers = new Set<() => void>();
  const clock: Clock = {
    ...systemClock,
    now: () => systemClock.now() + leapt,
    sleep: (ms, signal) => {
      if (ms < 60_000) return systemClock.sleep(ms, signal);
      return new Promise((resolve, reject) => {
        signal?.addEventListener('abort', () => reject(new Error('stopped')), { once: true });
        const wake = () => {
          sleepers.delete(wake);
          leapt += ms;
          resolve();
        };
        sleepers.add(wake);
      });
    },
  };
  const asleep = () => waitFor(() => sleepers.size > 0);
  const wake = async () => {
    await asleep();
    for (const each of [...sleepers]) each();
  };
  return { clock, asleep, wake };
}

function start(url: string, clock: Clock, log: Logger): Replicator {
  const messaging = openMemoryMessaging(clock);
  const names = { slotName: 'errors', publicationName: 'errors' };
  const deps = { clock, log };
  const database = openPgSourceDatabase({ url, ...names }, deps);
  const source = openPgChangeSource({ url, ...names }, deps);
  const replicator = createReplicator(
    { ...deps, source, database, messaging },
    { sourceId: 's', holder: 'a', slotName: names.slotName, confirmDelayMs: 0, retryMinMs: 20, retryMaxMs: 50 },
  );
  onTestFinished(async () => {
    await replicator.stop();
    await database.close();
    await messaging.close();
  });
  return replicator;
}

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });

test('A6 wal_level that is not logical is told, tried once a minute, and cured by a restart of Postgres', async () => {
  const home = await mkdtemp(join(tmpdir(), 'shapecast-a6-'));
  onTestFinished(() => rm(home, { recursive: true, force: true }));
  await promisify(execFile)('chmod', ['755', home]);
  const dataDir = join(home, 'data');
  const wrong = await startPostgres({ dataDir, durable: false, settings: { wal_level: 'replica' } });
  onTestFinished(() => wrong.stop());
  const { clock, asleep, wake } = patientClock();
  const log = eventLog();
  const replicator = start(wrong.url, clock, log);
  await replicator.start(new AbortController().signal);
  await wake();
  await asleep();
  const told = log.events.filter(({ event }) => event === 'config_error');
  // One attempt a minute, and a line for each of them.
  expect(told.map(({ type }) => type)).toEqual(['wal_level_is_not_logical', 'wal_level_is_not_logical']);
  expect(told[0]?.message).toMatch(/requires wal_level >= logical/);
  expect(replicator.report()).toMatchObject({ ready: false, status: 'starting', lastError: told[0]?.message });
  await wrong.stop();
  const right = await startPostgres({ dataDir, durable: false, port: wrong.port });
  onTestFinished(() => right.stop());
  await wake();
  await active(replicator);
  expect(log.events.filter(({ event }) => event === 'connection_error')).toEqual([]);
});

test('each kind of failure is one event, however often it is met, and it ends when the database is back', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const log = eventLog();
  const replicator = start(server.url, systemClock, log);
  await server.kill();
  await replicator.start(new AbortController().signal);
  const errors = () => log.events.filter(({ event }) => event === 'connection_error');
  await waitFor(() => errors().length > 0);
  // Long enough for many attempts.
  const before = systemClock.now();
  await waitFor(() => systemClock.now() - before > 500);
  expect(errors()).toMatchObject([{ type: 'connection_refused', error: 'ECONNREFUSED', totalRetryMs: 0 }]);
  await server.start();
  await active(replicator);
  await server.kill();
  await waitFor(() => errors().length > 1);
  expect(
    new Set(
      errors()
        .slice(1)
        .map(({ type }) => type),
    ).size,
  ).toBe(errors().length - 1);
});
