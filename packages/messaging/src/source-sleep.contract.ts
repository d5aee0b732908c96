import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { freshName, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';
import type { Messaging } from './messaging.ts';
import { BUCKETS, type SleepRecord } from './records.ts';
import { SourceSleep } from './source-sleep.ts';

/** How the processes of a source agree on its sleep (spec R 3.7). */
export function describeSourceSleep(name: string, open: OpenMessaging): void {
  let pair: MessagingPair;
  beforeAll(async () => {
    pair = await open();
  });
  afterAll(() => pair.close());

  function sleepOf({ registries }: Messaging, source: string): SourceSleep {
    const stop = new AbortController();
    const sleep = new SourceSleep({ registries, clock: systemClock, log: silentLogger }, source);
    void sleep.run(stop.signal);
    onTestFinished(() => stop.abort());
    return sleep;
  }

  async function recordOf(source: string) {
    return (await pair.one.registries.open<SleepRecord>(BUCKETS.sleeps.name)).get(source);
  }

  describe(`the sleep of a source over ${name}`, () => {
    test('is known to all of its processes, also to those that start later, and to no other source', async () => {
      const source = freshName();
      const [leader, other] = [sleepOf(pair.one, source), sleepOf(pair.other, source)];
      expect(await other.check()).toBe(false);
      await leader.fallAsleep('one');
      expect(leader.asleep).toBe(true);
      await waitFor(() => other.asleep);
      expect(await sleepOf(pair.other, source).check()).toBe(true);
      expect(await sleepOf(pair.other, freshName()).check()).toBe(false);
    });

    test('ends once for all who need the source at the same time, and the leader says when it is over', async () => {
      const source = freshName();
      const [leader, ...others] = [pair.one, pair.one, pair.other].map((member) => sleepOf(member, source));
      await leader?.fallAsleep('one');
      await waitFor(() => others.every((each) => each.asleep));
      const before = (await recordOf(source))?.revision ?? 0;
      const awake = others.map((each) => each.untilAwake(new AbortController().signal));
      await Promise.all([...others, ...others].map((each) => each.wake('a test')));
      const woken = await recordOf(source);
      expect(woken).toMatchObject({ value: { state: 'waking', holder: 'one' } });
      // A single write; the bucket has other sources as well.
      await Promise.all(others.map((each) => each.wake('again')));
      expect((await recordOf(source))?.revision).toBe(woken?.revision);
      expect(woken?.revision).toBeGreaterThan(before);
      await Promise.all(awake);
      expect(others.map(({ asleep, waking }) => ({ asleep, waking }))).toEqual([
        { asleep: false, waking: true },
        { asleep: false, waking: true },
      ]);
      await leader?.awake();
      await waitFor(() => others.every(({ waking }) => !waking));
      expect(await recordOf(source)).toBeUndefined();
    });

    test('is not ended by who believes in it though it is over', async () => {
      const source = freshName();
      const [leader, other] = [sleepOf(pair.one, source), sleepOf(pair.other, source)];
      await leader.fallAsleep('one');
      await waitFor(() => other.asleep);
      await leader.awake();
      await other.wake('late');
      expect(await recordOf(source)).toBeUndefined();
      expect(other.asleep).toBe(false);
    });

    test('leaves a look at the database to one of those who ask, once in a period', async () => {
      const source = freshName();
      const all = [pair.one, pair.other, pair.other].map((member) => sleepOf(member, source));
      expect(await all[0]?.claimLook(0)).toBe(false);
      await all[0]?.fallAsleep('one');
      expect(await all[0]?.claimLook(60_000)).toBe(false);
      const claims = async (periodMs: number) => Promise.all(all.map((each) => each.claimLook(periodMs)));
      expect((await claims(0)).filter(Boolean).length).toBeGreaterThan(0);
      expect(await claims(60_000)).toEqual([false, false, false]);
      await all[1]?.wake('a test');
      expect(await claims(0)).toEqual([false, false, false]);
    });

    test('a wait for its end gives up when it is told to', async () => {
      const sleep = sleepOf(pair.one, freshName());
      await sleep.fallAsleep('one');
      const stop = new AbortController();
      const waiting = sleep.untilAwake(stop.signal);
      stop.abort(new Error('enough'));
      await expect(waiting).rejects.toThrow('enough');
    });
  });
}
