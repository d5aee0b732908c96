import { hostname } from 'node:os';
import { BUCKETS, openMemoryMessaging, type LeaderRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { StandbyWatch } from './standby-watch.ts';

const HERE = { host: hostname(), pid: process.pid };
/** No process has it: numbers end far below. */
const NOBODY = 2 ** 30;
const LEADER: LeaderRecord = {
  ...{ holder: 'r0', epoch: 3, incarnation: 1, walSenderPid: 4711, streaming: true },
  process: { host: HERE.host, pid: NOBODY },
};

/** What a process waits for that was started under the name r0, once it has read the record twice. */
async function wait(leader: LeaderRecord, place: typeof HERE | undefined = HERE) {
  const messaging = openMemoryMessaging(systemClock);
  const leaders = await messaging.registries.open<LeaderRecord>(BUCKETS.leaders.name, BUCKETS.leaders);
  await leaders.put('s', leader);
  let reads = 0;
  const counting = {
    open: async () => ({ watch: leaders.watch.bind(leaders), get: (key: string) => ((reads += 1), leaders.get(key)) }),
  };
  const registries = counting as unknown as typeof messaging.registries;
  const watch = new StandbyWatch(
    { messaging: { ...messaging, registries }, clock: systemClock, log: silentLogger },
    { sourceId: 's', holder: 'r0', heartbeatMs: 20, ...(place && { place }) },
  );
  let woken = 0;
  watch.onLeaving(() => (woken += 1));
  const ended = new AbortController();
  const running = watch.run(ended.signal);
  await waitFor(() => reads >= 2);
  const walSender = watch.silentWalSender();
  ended.abort();
  await running;
  await messaging.close();
  return { walSender, woken };
}

test('a process that is started again under its name knows that the leader is what it was before', async () => {
  expect(await wait(LEADER)).toEqual({ walSender: 4711, woken: 1 });
  // The first process of a container has the same number again.
  expect(await wait({ ...LEADER, process: HERE })).toEqual({ walSender: 4711, woken: 1 });
});

test.each<readonly [string, Partial<LeaderRecord>]>([
  ['has another name', { holder: 'r1' }],
  ['is alive', { process: { host: HERE.host, pid: process.ppid } }],
  ['is on another host', { process: { host: 'elsewhere', pid: NOBODY } }],
  ['has no walsender', { walSenderPid: 0 }],
])('a leader that %s is left alone', async (_, other) => {
  expect(await wait({ ...LEADER, ...other })).toEqual({ walSender: undefined, woken: 0 });
});

test('a leader that does not say where it runs is left alone', async () => {
  const { process: _, ...older } = LEADER;
  expect(await wait(older)).toEqual({ walSender: undefined, woken: 0 });
});
