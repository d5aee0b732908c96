import type { Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { WalMeter } from './budget.ts';
import { Recovery } from './recovery.ts';

const PATIENCE_MS = 100;
const BUDGET = 900n;

/** Looks every 10 ms at `[end of WAL, stored, confirmed, restart]`, and what is hoped each time. */
function hopes(
  looks: readonly (readonly [wal: number, stored: number | undefined, confirmed: number, restart?: number])[],
) {
  const meter = new WalMeter({ bytes: BUDGET, ageMs: 0 });
  const recovery = new Recovery(PATIENCE_MS);
  return looks.map(([wal, stored, confirmed, restart = confirmed], look) => {
    const report = {
      walLsn: BigInt(wal) as Lsn,
      confirmedLsn: BigInt(confirmed) as Lsn,
      restartLsn: BigInt(restart) as Lsn,
      locked: true,
      walStatus: 'reserved' as const,
    };
    const storedLsn = stored === undefined ? undefined : (BigInt(stored) as Lsn);
    return recovery.look(report, meter.look(report, look * 10), storedLsn, look * 10);
  });
}

describe('WAL beyond the budget', () => {
  test('is on its way out while the stream catches up, though nothing can be confirmed yet', () => {
    // Every fifth look sees progress: a large transaction was stored.
    const looks = Array.from(
      { length: 40 },
      (_, look) => [100_000, 10_000 + 1_000 * Math.floor(look / 5), 100] as const,
    );
    expect(hopes(looks)).not.toContain(false);
  });

  test('and when all of it is stored and only has to become old enough', () => {
    const looks = Array.from({ length: 40 }, (_, look) => [10_000 + look, 10_000, 100 + Math.floor(look / 5)] as const);
    expect(hopes(looks)).not.toContain(false);
  });

  test('but not for ever when nothing is stored, or nothing confirmed', () => {
    for (const stored of [5_000, 10_000]) {
      const looks = Array.from({ length: 14 }, () => [10_000, stored, 100] as const);
      expect(hopes(looks)).toEqual([...Array<boolean>(11).fill(true), false, false, false]);
    }
  });

  test('nor when it is stored and confirmed more slowly than it is written', () => {
    const looks = Array.from({ length: 14 }, (_, n) => [10_000 + 100 * n, 5_000 + 50 * n, 4_000 + 50 * n] as const);
    expect(hopes(looks)).toEqual([...Array<boolean>(11).fill(true), false, false, false]);
  });

  test('nor when a transaction keeps it, whatever is confirmed beyond that', () => {
    const looks = Array.from({ length: 14 }, (_, n) => [10_000 + n, 10_000 + n, 9_990 + n, 100] as const);
    expect(hopes(looks)).toEqual([...Array<boolean>(11).fill(true), false, false, false]);
    // Postgres moves it now and then.
    const moving = looks.map(
      ([wal, stored, confirmed], n) => [wal, stored, confirmed, 100 + Math.floor(n / 5)] as const,
    );
    expect(hopes(moving)).not.toContain(false);
  });

  test('and not for who does not lead', () => {
    expect(
      hopes([
        [10_000, undefined, 100],
        [10_000, undefined, 100],
      ]),
    ).toEqual([false, false]);
  });
});
