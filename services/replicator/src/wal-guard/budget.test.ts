import type { SlotReport } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { WalMeter } from './budget.ts';

const MINUTE = 60_000;
const report = (wal: number, confirmed: number, restart = confirmed, keepBytes?: bigint): SlotReport => ({
  walLsn: BigInt(wal) as Lsn,
  confirmedLsn: BigInt(confirmed) as Lsn,
  restartLsn: BigInt(restart) as Lsn,
  locked: true,
  walStatus: 'reserved',
  ...(keepBytes === undefined ? {} : { keepBytes }),
});

describe('the budget in bytes', () => {
  test.each([
    [299, 'ok'],
    [300, 'warn'],
    [599, 'warn'],
    [600, 'high'],
    [899, 'high'],
    [900, 'exceeded'],
    [5_000, 'exceeded'],
  ])('with %i of 900 kept it is %s', (kept, stage) => {
    const meter = new WalMeter({ bytes: 900n, ageMs: 0 });
    expect(meter.look(report(10_000, 10_000, 10_000 - kept), 0).stage).toBe(stage);
  });

  test('is three quarters of what Postgres allows when nobody sets it', () => {
    const meter = new WalMeter({ ageMs: 0 });
    expect(meter.look(report(10_000, 9_000, 9_000, 1_200n), 0)).toMatchObject({ stage: 'exceeded', budgetBytes: 900n });
    expect(meter.look(report(10_000, 9_000), 0)).toMatchObject({ stage: 'ok', budgetBytes: 20n * 1024n ** 3n });
  });

  test('tells what is kept for an open transaction from what we have not confirmed', () => {
    const meter = new WalMeter({ bytes: 900n, ageMs: 0 });
    expect(meter.look(report(10_000, 9_990, 9_000), 0).heldByTransaction).toBe(true);
    expect(meter.look(report(10_000, 9_100, 9_000), 0).heldByTransaction).toBe(false);
  });
});

describe('the budget in time', () => {
  const meterOf = (minutes: number) => new WalMeter({ bytes: 10n ** 12n, ageMs: minutes * MINUTE });

  test('counts from when the oldest unconfirmed WAL was written, not from the last confirmation', () => {
    const meter = meterOf(30);
    // Nothing was written for an hour, then something that nobody confirms.
    meter.look(report(1_000, 1_000), 0);
    expect(meter.look(report(1_000, 1_000), 60 * MINUTE).unconfirmedMs).toBe(0);
    meter.look(report(1_500, 1_000), 61 * MINUTE);
    const later = meter.look(report(9_000, 1_000), 70 * MINUTE);
    expect(later.unconfirmedMs).toBeGreaterThanOrEqual(9 * MINUTE);
    expect(later.unconfirmedMs).toBeLessThanOrEqual(10 * MINUTE);
    expect(later).toMatchObject({ stage: 'warn', cause: 'age' });
    expect(meter.look(report(9_000, 1_000), 91 * MINUTE).stage).toBe('exceeded');
  });

  test('a confirmation makes it shorter by as much as it confirms', () => {
    const meter = meterOf(0);
    for (let minute = 0; minute <= 20; minute += 1) meter.look(report(1_000 + minute * 100, 1_000), minute * MINUTE);
    const view = meter.look(report(3_000, 2_500), 20 * MINUTE);
    expect(view.unconfirmedMs).toBe(5 * MINUTE);
    expect(meter.look(report(3_000, 3_000), 20 * MINUTE).unconfirmedMs).toBe(0);
  });

  test('zero means any time', () => {
    const meter = meterOf(0);
    meter.look(report(1_500, 1_000), 0);
    expect(meter.look(report(1_500, 1_000), 10_000 * MINUTE).stage).toBe('ok');
  });

  test('a week of looks stays small, and the age at most a little too large', () => {
    const meter = meterOf(0);
    const step = 10_000;
    const looks = (7 * 24 * 60 * MINUTE) / step;
    let view = meter.look(report(1_000, 1_000), 0);
    for (let look = 1; look <= looks; look += 1) view = meter.look(report(1_000 + look, 1_000), look * step);
    expect(view.unconfirmedMs).toBe(looks * step);
    // Half of it is confirmed.
    view = meter.look(report(1_000 + looks, 1_000 + looks / 2), looks * step);
    const truth = (looks / 2) * step;
    expect(view.unconfirmedMs).toBeGreaterThanOrEqual(truth);
    expect(view.unconfirmedMs).toBeLessThan(truth * 1.05);
  });

  test('another history starts the count anew', () => {
    const meter = meterOf(0);
    meter.look(report(9_000, 1_000), 0);
    expect(meter.look(report(5_000, 4_000), 50 * MINUTE).unconfirmedMs).toBe(0);
  });
});
