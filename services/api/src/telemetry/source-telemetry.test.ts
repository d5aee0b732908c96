import { Metrics } from '@shapecast/telemetry';
import { expect, test } from 'vitest';
import { SourceTelemetry } from './source-telemetry.ts';

const lag = (serve: number, total: number) => ({ publish: 1, apply: 1, serve, total });
const news = { note: undefined, announcedAt: 0, awaited: true };

test('the lag that other processes are told of is the highest of the last seconds, and then none', () => {
  let now = 100_000;
  const telemetry = new SourceTelemetry(new Metrics(), 'acme', () => now);
  expect([telemetry.serveLagMs, telemetry.deliveryLagMs]).toEqual([undefined, undefined]);
  telemetry.told(news, lag(5, 40), now);
  telemetry.told(news, lag(9, 30), now);
  // A reader that caught up.
  telemetry.told(news, undefined, now);
  now += 4_000;
  telemetry.told(news, lag(1, 10), now);
  expect([telemetry.serveLagMs, telemetry.deliveryLagMs]).toEqual([9, 40]);
  now += 20_000;
  expect([telemetry.serveLagMs, telemetry.deliveryLagMs]).toEqual([undefined, undefined]);
});

test('a source that is no more leaves nothing behind, and one that comes back begins anew', () => {
  const metrics = new Metrics();
  const request = { status: 200, live: false, empty: false, knownError: false, began: 0, bodyBytes: 10 };
  const state = { waiting: () => 1, activeShapes: () => 1, stale: () => false, quota: () => undefined };
  const first = new SourceTelemetry(metrics, 'acme', () => 0);
  first.watch(state, []);
  first.ended(request, 5);
  first.close();
  expect(metrics.collect()).toEqual([]);
  // One that was under way.
  first.ended(request, 9);
  new SourceTelemetry(metrics, 'acme', () => 0).ended(request, 5);
  const counts = metrics.collect().filter(({ name }) => name === 'electric.plug.serve_shape.count');
  expect(counts.map(({ value }) => value)).toEqual([1]);
});
