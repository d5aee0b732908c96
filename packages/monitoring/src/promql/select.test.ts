import { describe, expect, test } from 'vitest';
import { gauge, happened, mean, observationsUpTo, quantile, rate, sumBy } from './select.ts';
import { seriesIn, seriesNames } from './names.ts';

describe('PromQL', () => {
  test('has the names and labels of the table', () => {
    expect(gauge('shapecast.replicator.leader', { source: '=a', namespace: '=~b.*' })).toBe(
      'shapecast_replicator_leader{source="a", namespace=~"b.*"}',
    );
    expect(sumBy(['status'], rate('electric.plug.serve_shape.requests.count', '5m', { status: '!~2..' }))).toBe(
      'sum by (status) (rate(electric_plug_serve_shape_requests_count{status!~"2.."}[5m]))',
    );
    expect(quantile(0.99, 'shapecast.e2e.stage', '5m', ['stage'])).toBe(
      'histogram_quantile(0.99, sum by (le, stage) (rate(shapecast_e2e_stage_bucket[5m])))',
    );
  });

  test('quotes what a label is compared with', () => {
    expect(gauge('shapecast.source.problem', { reason: '=a"b\\c' })).toBe(
      'shapecast_source_problem{reason="a\\"b\\\\c"}',
    );
  });

  test('does not take names that are not there, or not of that kind', () => {
    // @ts-expect-error there is no such metric
    expect(gauge('shapecast.replicator.leaders')).toContain('leaders');
    // @ts-expect-error a gauge has no rate
    expect(rate('shapecast.replicator.leader', '5m')).toContain('rate');
    // @ts-expect-error the metric has no such label
    expect(gauge('shapecast.ready', { source: '=a' })).toContain('source');
  });

  test('refuses bounds that no bucket has, where it would find nothing', () => {
    expect(() => observationsUpTo('shapecast.api.delivery.latency', 501, '5m')).toThrow('no bucket up to 501');
    expect(observationsUpTo('shapecast.api.delivery.latency', 500, '5m')).toContain('le="500"');
  });
});

describe('names in Prometheus', () => {
  test('are of one metric each', () => {
    expect(seriesNames().get('shapecast_api_delivery_latency_bucket')).toBe('shapecast.api.delivery.latency');
    expect(seriesNames().has('shapecast_api_delivery_latency')).toBe(false);
  });

  test('are found in expressions, and nothing else is', () => {
    const expr = `label_replace(${mean('shapecast.redis.call.duration', '5m', ['job'])}, "a_b", "c_d", "", "") > <walRetained.high>`;
    expect([...seriesIn(expr)]).toEqual(['shapecast_redis_call_duration_sum', 'shapecast_redis_call_duration_count']);
    expect([...seriesIn(happened('shapecast.router.gap.count', '10m', ['source']))]).toEqual([
      'shapecast_router_gap_count',
    ]);
    expect([
      ...seriesIn('shapecast:a:ratio{a_b="x"} unless on (c_d) histogram_quantile(0.5, x_y[5m] offset 1h)'),
    ]).toEqual(['shapecast:a:ratio', 'x_y']);
  });
});
