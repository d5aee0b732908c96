import { lsn } from '@shapecast/log';
import { silentLogger, type Logger } from '@shapecast/service-kit';
import { expect, test } from 'vitest';
import { part } from '../testing/parts.ts';
import { steppedClock } from '../testing/stepped-clock.ts';
import { ReplicationMeter, type ReplicationLimits } from './replication-meter.ts';

const never = new AbortController().signal;

function metering(limits: ReplicationLimits) {
  const clock = steppedClock();
  const events: unknown[] = [];
  const log: Logger = { ...silentLogger, warn: (fields) => void events.push(fields), child: () => log };
  return { clock, events, meter: new ReplicationMeter({ clock, log }, limits) };
}

const changes = (count: number, at = 1) => [
  part(
    at,
    Array.from({ length: count }, (_, i) => 2 * i),
  ),
];

test('changes beyond the rate wait, which is counted, told once and said in a sentence', async () => {
  const { clock, events, meter } = metering({ changesPerSecond: 10 });
  const begin = clock.now();
  for (let i = 0; i < 30; i += 1) expect(await meter.pass(changes(10, i + 1), never)).toBe(true);
  // 300 changes, of which 50 are the burst and 10 went ahead.
  expect(clock.now() - begin).toBeGreaterThanOrEqual(24_000);
  expect(clock.now() - begin).toBeLessThan(26_000);
  expect(meter.usage.counters?.changes).toBe(300);
  expect(meter.usage.quotas?.['changesPerSecond']).toMatchObject({ limit: 10 });
  expect(meter.usage.quotas?.['changesPerSecond']?.refused).toBeGreaterThan(20);
  expect(events).toEqual([{ event: 'tenant_limit_reached', limit: 'changesPerSecond', value: 10 }]);
  expect(meter.complaint).toContain('limits.changesPerSecond');
  clock.pass(60_000);
  expect(meter.complaint).toBeUndefined();
});

test('bytes count as they are stored, and hold back what comes next', async () => {
  const { clock, meter } = metering({ publishBytesPerSecond: 1_000 });
  expect(await meter.pass(changes(1), never)).toBe(true);
  meter.stored(25_000, undefined);
  const begin = clock.now();
  await meter.pass(changes(1, 2), never);
  expect(clock.now() - begin).toBe(20_000);
  expect(meter.usage.counters).toEqual({ changes: 2, publishedBytes: 25_000 });
});

test('what may not pass because the leadership ends is not counted', async () => {
  const { meter } = metering({ changesPerSecond: 1 });
  await meter.pass(changes(100), never);
  const stop = new AbortController();
  stop.abort();
  expect(await meter.pass(changes(1, 2), stop.signal)).toBe(false);
  expect(meter.usage.counters?.changes).toBe(100);
});

test('the lag is from the commit until the stream holds the transaction', async () => {
  const { clock, meter } = metering({});
  expect(meter.usage).toEqual({ counters: { changes: 0, publishedBytes: 0 } });
  const [one] = changes(1, 7);
  await meter.pass([{ ...(one as NonNullable<typeof one>), commitTimeUs: BigInt(clock.now() - 40) * 1_000n }], never);
  clock.pass(10);
  meter.stored(100, lsn(7n));
  expect(meter.usage.gauges).toBeUndefined();
  meter.stored(100, lsn(8n));
  expect(meter.usage.gauges).toEqual({ publishLagMs: 50 });
  meter.ended();
  expect(meter.usage.gauges).toBeUndefined();
});

test('a limit that changes holds from then on', async () => {
  const { clock, meter } = metering({ changesPerSecond: 1 });
  meter.limit({ changesPerSecond: 1_000 });
  const begin = clock.now();
  for (let i = 0; i < 5; i += 1) await meter.pass(changes(1_000, i + 1), never);
  expect(clock.now() - begin).toBe(0);
  expect(meter.usage.quotas?.['changesPerSecond']?.limit).toBe(1_000);
});
