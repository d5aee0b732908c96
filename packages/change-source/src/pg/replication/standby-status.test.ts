import { beforeEach, describe, expect, test } from 'vitest';
import type { Lsn } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';
import { StandbyStatus } from './standby-status.ts';

const START = 0xffff_ffff_0000_0000n as Lsn;
const at = (offset: number) => (START + BigInt(offset)) as Lsn;

/** A clock that stands still until told. Timers run in order of their time. */
class StandingClock implements Clock {
  #now = 1_800_000_000_000;
  #timers: { readonly at: number; readonly callback: () => void }[] = [];

  now(): number {
    return this.#now;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { at: this.#now + ms, callback };
    this.#timers.push(timer);
    return () => void (this.#timers = this.#timers.filter((each) => each !== timer));
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = due.at;
      due.callback();
    }
    this.#now = end;
  }

  random(): number {
    return 0.5;
  }

  sleep(): Promise<void> {
    throw new Error('not used');
  }
}

describe('StandbyStatus', () => {
  let clock: StandingClock;
  let sent: { received: bigint; flushed: bigint; applied: bigint; reply: boolean }[];
  let failures: string[];
  let paused: boolean;

  beforeEach(() => {
    clock = new StandingClock();
    sent = [];
    failures = [];
    paused = false;
  });

  function start(walSenderTimeoutMs: number): StandbyStatus {
    const status = new StandbyStatus(
      {
        clock,
        send: (update) => {
          expect([update.length, String.fromCharCode(update[0] as number)]).toEqual([34, 'r']);
          sent.push({
            received: update.readBigUInt64BE(1),
            flushed: update.readBigUInt64BE(9),
            applied: update.readBigUInt64BE(17),
            reply: update[33] === 1,
          });
        },
        fail: (reason) => failures.push(reason),
        paused: () => paused,
      },
      { startLsn: START, walSenderTimeoutMs },
    );
    status.start();
    return status;
  }

  test('T6 starts at the position of the slot', () => {
    start(15_000);
    expect(sent).toEqual([{ received: START, flushed: START, applied: START, reply: false }]);
  });

  test.each([
    [15_000, 5_000],
    [60_000, 15_000],
    [0, 15_000],
  ])('with a server timeout of %i ms reports every %i ms, also while reading is paused', (timeout, interval) => {
    start(timeout);
    paused = true;
    clock.advance(interval - 1);
    expect(sent).toHaveLength(1);
    clock.advance(1);
    expect(sent).toHaveLength(2);
    clock.advance(3 * interval);
    expect(sent).toHaveLength(5);
    expect(failures).toEqual([]);
  });

  test('does not report what was received as flushed', () => {
    const status = start(15_000);
    status.transactionEnd(at(10), at(20));
    status.keepalive(at(90), false);
    clock.advance(5_000);
    expect(sent.at(-1)).toMatchObject({ received: at(90), flushed: START });
  });

  test('confirms a transaction as the end of its commit record, others as the byte after', () => {
    const status = start(15_000);
    status.transactionEnd(at(10), at(20));
    status.transactionEnd(at(30), at(40));
    status.confirm(at(10));
    clock.advance(100);
    expect(sent.at(-1)?.flushed).toBe(at(11));
    status.confirm(at(30));
    clock.advance(100);
    expect(sent.at(-1)?.flushed).toBe(at(40));
  });

  test('never confirms past what was received, nor backwards', () => {
    const status = start(15_000);
    status.keepalive(at(50), false);
    status.confirm(at(50));
    status.confirm(at(1_000));
    status.confirm(at(3));
    clock.advance(100);
    expect(sent.at(-1)?.flushed).toBe(at(50));
  });

  test('answers a ping at once, and the next ones spaced while nothing moves', () => {
    const status = start(15_000);
    clock.advance(1_000);
    status.keepalive(START, true);
    expect(sent).toHaveLength(2);
    for (let ms = 0; ms < 1_000; ms += 1) {
      status.keepalive(START, true);
      clock.advance(1);
    }
    expect(sent.length).toBeLessThanOrEqual(13);
    status.keepalive(at(5), true);
    expect(sent.at(-1)?.received).toBe(at(5));
  });

  test('leaves when pings without movement go on for two seconds, as in a shutdown', () => {
    const status = start(15_000);
    for (let ms = 0; ms < 1_900; ms += 100) {
      status.keepalive(START, true);
      clock.advance(100);
    }
    expect(failures).toEqual([]);
    clock.advance(100);
    status.keepalive(START, true);
    expect(failures).toEqual(['shutting_down']);
  });

  test('does not take pings between movements for a shutdown', () => {
    const status = start(15_000);
    for (let ms = 0; ms < 20_000; ms += 100) {
      status.keepalive(at(ms), true);
      clock.advance(100);
    }
    expect(failures).toEqual([]);
  });

  test('asks a silent server for a sign of life, then gives it up', () => {
    start(15_000);
    clock.advance(10_000);
    expect(sent.at(-1)?.reply).toBe(true);
    clock.advance(20_000);
    expect(failures).toEqual(['dead_peer']);
  });

  test('counts any message as a sign of life', () => {
    const status = start(15_000);
    for (let ms = 0; ms < 120_000; ms += 5_000) {
      status.heard();
      clock.advance(5_000);
    }
    expect(failures).toEqual([]);
  });

  test('says nothing more once stopped', () => {
    const status = start(15_000);
    status.keepalive(START, true);
    status.stop();
    clock.advance(60_000);
    expect(sent).toHaveLength(1);
  });
});
