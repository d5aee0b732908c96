import { describe, expect, test } from 'vitest';
import { LeaderSilence } from './leader-silence.ts';

const at = (revision: number, walSenderPid = 77) => ({
  key: 'source',
  revision,
  value: { holder: 'a', epoch: 1, incarnation: 1, walSenderPid, streaming: true },
});

describe('LeaderSilence', () => {
  test('a leader that renews its record is never silent', () => {
    const silence = new LeaderSilence(3);
    for (let revision = 1; revision < 20; revision += 1) {
      silence.seen(at(revision));
      silence.seen(at(revision));
      silence.seen(at(revision));
      expect(silence.walSenderPid).toBeUndefined();
    }
  });

  test.each([
    ['does not change any more', at(5)],
    ['has expired', undefined],
  ])('is silent once its record %s for so many readings', (_, entry) => {
    const silence = new LeaderSilence(3);
    silence.seen(at(5));
    silence.seen(entry);
    silence.seen(entry);
    expect(silence.walSenderPid).toBeUndefined();
    silence.seen(entry);
    expect(silence.walSenderPid).toBe(77);
    silence.seen(at(6));
    expect(silence.walSenderPid).toBeUndefined();
  });

  test('readings that fail start the count again: the leader may not be able to write either', () => {
    const silence = new LeaderSilence(2);
    silence.seen(at(1));
    silence.seen(undefined);
    silence.unreadable();
    silence.seen(undefined);
    expect(silence.walSenderPid).toBeUndefined();
    silence.seen(undefined);
    expect(silence.walSenderPid).toBe(77);
  });

  test('says nothing of a leader it never heard of, or that has no walsender', () => {
    const unknown = new LeaderSilence(1);
    unknown.seen(undefined);
    unknown.seen(undefined);
    expect(unknown.walSenderPid).toBeUndefined();
    const memory = new LeaderSilence(1);
    memory.seen(at(1, 0));
    memory.seen(at(1, 0));
    expect(memory.walSenderPid).toBeUndefined();
  });

  test('a holder of the lock that was never heard of is foreign sooner than a leader that has stopped', () => {
    const foreign = new LeaderSilence(2);
    foreign.seen(undefined);
    expect(foreign.unheard).toBe(false);
    foreign.seen(undefined);
    expect(foreign.unheard).toBe(true);
    const stopped = new LeaderSilence(2);
    stopped.seen(at(1));
    for (let reading = 1; reading <= 5; reading += 1) stopped.seen(undefined);
    expect([stopped.walSenderPid, stopped.unheard]).toEqual([77, false]);
    stopped.seen(undefined);
    expect(stopped.unheard).toBe(true);
    stopped.seen(at(2));
    expect(stopped.unheard).toBe(false);
  });
});
