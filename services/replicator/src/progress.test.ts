import fc from 'fast-check';
import { lsn, type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { createProgress, tickPassed, transactionReceived, transactionStored, type Progress } from './progress.ts';

type Event = { readonly kind: 'received' | 'stored'; readonly lsn: Lsn } | { readonly kind: 'tick' };

const anyLsn = fc.integer({ min: 1, max: 1_000 }).map((n) => lsn(BigInt(n)));
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  fc.record({ kind: fc.constantFrom('received' as const, 'stored' as const), lsn: anyLsn }),
  fc.record({ kind: fc.constant('tick' as const) }),
);

function apply(progress: Progress, event: Event): Progress {
  switch (event.kind) {
    case 'received':
      return transactionReceived(progress, event.lsn);
    case 'stored':
      return transactionStored(progress, event.lsn);
    case 'tick':
      return tickPassed(progress);
  }
}

const start = (agingTicks: number) => createProgress(lsn(11n), lsn(6n), agingTicks);

describe('progress', () => {
  test('only grows, and confirmed <= durable <= received', () => {
    fc.assert(
      fc.property(fc.array(anyEvent), fc.integer({ min: 0, max: 5 }), (events, ticks) => {
        let progress = start(ticks);
        for (const event of events) {
          const next = apply(progress, event);
          expect(next.received >= progress.received).toBe(true);
          expect(next.durable >= progress.durable).toBe(true);
          expect(next.confirmed >= progress.confirmed).toBe(true);
          expect(next.confirmed <= next.durable && next.durable <= next.received).toBe(true);
          expect(next.aging).toHaveLength(ticks);
          progress = next;
        }
      }),
    );
  });

  test('nothing is confirmed before it was durable for the whole delay', () => {
    fc.assert(
      fc.property(fc.array(anyEvent), fc.integer({ min: 1, max: 5 }), (events, ticks) => {
        let progress = start(ticks);
        const durableAtTick: Lsn[] = [];
        for (const event of events) {
          if (event.kind === 'tick') durableAtTick.push(progress.durable);
          progress = apply(progress, event);
          // As many whole ticks have passed since the one at which it was durable.
          const aged = durableAtTick.at(-1 - ticks) ?? lsn(5n);
          expect(progress.confirmed).toBe(aged);
        }
      }),
    );
  });

  test('sustained load is confirmed progressively', () => {
    let progress = start(4);
    const confirmed = new Set<Lsn>();
    for (let i = 11n; i < 100n; i++) {
      progress = tickPassed(transactionStored(transactionReceived(progress, lsn(i)), lsn(i)));
      confirmed.add(progress.confirmed);
    }
    expect(confirmed.size).toBeGreaterThan(80);
    expect(progress.confirmed).toBe(94n);
  });

  test('without a delay what is stored is confirmed at once', () => {
    expect(transactionStored(start(0), lsn(21n))).toMatchObject({ durable: 20n, confirmed: 20n, received: 20n });
  });
});

describe('a session that begins', () => {
  test.each([0, 3])('confirms what the stream held before, after a delay of %i ticks', (ticks) => {
    let progress = start(ticks);
    for (let i = 0; i < ticks; i++) {
      progress = tickPassed(progress);
      expect(progress.confirmed).toBe(5n);
    }
    expect(tickPassed(progress).confirmed).toBe(10n);
  });
});
