import { silentLogger, systemClock } from '@shapecast/service-kit';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { HandleRecords } from './handle-records.ts';
import { freshName, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';
import type { Messaging } from './messaging.ts';
import { RotationJournal } from './rotation-journal.ts';

const EXPIRED = { code: 'SHAPE_EXPIRED', message: 'Nobody read it.' };
const DELETED = { code: 'SCHEMA_CHANGED', message: 'It was deleted.' };

/** What processes tell each other of handles that are outside of the store (spec R 12.5.7, 15.2.2). */
export function describeHandleMemory(name: string, open: OpenMessaging): void {
  let pair: MessagingPair;
  beforeAll(async () => {
    pair = await open();
  });
  afterAll(() => pair.close());

  function running<T extends { run(signal: AbortSignal): Promise<void> }>(part: T): T {
    const stop = new AbortController();
    void part.run(stop.signal);
    onTestFinished(() => stop.abort());
    return part;
  }
  const deps = ({ registries }: Messaging) => ({ registries, clock: systemClock, log: silentLogger });
  const journal = (member: Messaging, source: string) => running(new RotationJournal(deps(member), source));
  const records = (member: Messaging, source: string) => running(new HandleRecords(deps(member), source));

  describe(`rotation journal over ${name}`, () => {
    test('what one process recorded the other knows once it is current, with the reason', async () => {
      const source = freshName();
      const one = journal(pair.one, source);
      const other = journal(pair.other, source);
      await one.record([
        ['1-1', EXPIRED],
        ['1-2', DELETED],
      ]);
      expect(one.failureOf('1-1')).toEqual(EXPIRED);
      await other.current();
      expect([other.failureOf('1-1'), other.failureOf('1-2')]).toEqual([EXPIRED, DELETED]);
      expect(other.failureOf('1-3')).toBeUndefined();
      const elsewhere = journal(pair.other, freshName());
      await elsewhere.current();
      expect(elsewhere.size).toBe(0);
    });

    test('a process that starts later, or again, knows all that was recorded before', async () => {
      const source = freshName();
      const one = journal(pair.one, source);
      for (let i = 0; i < 5; i += 1) await one.record([[`2-${i}`, EXPIRED]]);
      await journal(pair.one, source).record([['2-again', DELETED]]);
      const late = journal(pair.other, source);
      await late.current();
      expect(late.size).toBe(6);
    });

    test('thousands are recorded together, and many that come at once share their entries', async () => {
      const source = freshName();
      const one = journal(pair.one, source);
      await one.record(Array.from({ length: 1_700 }, (_, i) => [`3-${i}`, EXPIRED] as const));
      await Promise.all(Array.from({ length: 700 }, (_, i) => one.record([[`4-${i}`, DELETED]])));
      const other = journal(pair.other, source);
      await other.current();
      expect(other.size).toBe(2_400);
      expect(other.failureOf('4-699')).toEqual(DELETED);
      const bucket = await pair.one.registries.open('shapecast_rotations');
      const entries = (await bucket.list(`${source}.`)).filter(({ key }) => !key.includes('sync-'));
      expect(entries.length).toBeLessThan(10);
    });

    test('those who listen are told of each handle once', async () => {
      const source = freshName();
      const one = journal(pair.one, source);
      const other = journal(pair.other, source);
      await other.current();
      const told: string[] = [];
      other.onRecorded((handles) => told.push(...handles));
      for (let i = 0; i < 20; i += 1) await one.record([[`5-${i}`, EXPIRED]]);
      await one.record([['5-3', DELETED]]);
      await other.current();
      expect(told.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => `5-${i}`).toSorted());
      expect(other.failureOf('5-3')).toEqual(EXPIRED);
    });
  });

  describe(`handle records over ${name}`, () => {
    test('the newest handle of each shard is known to all, with a minute of head-room, and never goes back', async () => {
      const source = freshName();
      const one = records(pair.one, source);
      expect(await one.of(3, 5_000)).toBeUndefined();
      expect(one.isBeyond(3, 1)).toBe(true);
      await one.note(3, 1_763_000_000_000_000);
      await one.note(3, 1_762_000_000_000_000);
      await records(pair.other, source).note(3, 1_761_000_000_000_000);
      await one.note(4, 5);
      const late = records(pair.other, source);
      const known = { v: 1, newest: 1_763_000_000_000_000, ceiling: 1_763_000_060_000_000 };
      expect(await late.of(3, 5_000)).toEqual(known);
      expect([late.isBeyond(3, known.ceiling), late.isBeyond(3, known.ceiling + 1)]).toEqual([false, true]);
      expect(await late.of(5, 5_000)).toBeUndefined();
    });

    test('cannot be told before they were read', async () => {
      const unread = new HandleRecords(deps(pair.one), freshName());
      await expect(unread.of(0, 10)).rejects.toMatchObject({ code: 'NOT_READY' });
    });
  });
}
