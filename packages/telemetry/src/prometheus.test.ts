import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MetricDefinition } from './definition.ts';
import { Metrics } from './metrics.ts';
import { prometheusText } from './prometheus.ts';
import { METRICS, prometheusName, type MetricName } from './table/index.ts';
import { readExposition } from './testing/exposition.ts';

const names = Object.keys(METRICS) as MetricName[];

/** One series of every metric there is. */
function everything(): Metrics {
  const metrics = new Metrics();
  for (const name of names) {
    const { type, labels }: MetricDefinition = METRICS[name];
    const values = Object.fromEntries(labels.map((label) => [label, label === 'source' ? 'main' : 'a'])) as never;
    if (type === 'counter') metrics.counter(name as never, values).add(3);
    else if (type === 'gauge') metrics.gauge(name as never, values, () => 0.5);
    else metrics.histogram(name as never, values).record(7);
  }
  return metrics;
}

test('every metric has its help, its type and its labels, and no others', () => {
  const exposed = readExposition(prometheusText(everything().collect()));
  expect([...exposed.keys()]).toEqual(names.map(prometheusName));
  for (const name of names) {
    const { type, labels, description }: MetricDefinition = METRICS[name];
    const metric = exposed.get(prometheusName(name));
    expect(metric?.type).toBe(type);
    expect(metric?.help).toContain(description);
    for (const series of metric?.series ?? []) {
      expect(Object.keys(series.labels).filter((label) => label !== 'le')).toEqual(labels);
    }
  }
});

test('no two series of different metrics have one name', () => {
  const shown = names.flatMap((name) => {
    const suffixes = METRICS[name].type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    return suffixes.map((suffix) => prometheusName(name) + suffix);
  });
  expect(new Set(shown).size).toBe(shown.length);
});

test('buckets hold what fell below them, smaller ones included', () => {
  const metrics = new Metrics();
  const latency = metrics.histogram('shapecast.replicator.publish.latency', {});
  for (const value of [0.2, 0.5, 3, 1e6, -5]) latency.record(value);
  const lines = prometheusText(metrics.collect()).split('\n');
  const name = 'shapecast_replicator_publish_latency';
  expect(lines).toContain(`${name}_bucket{le="0.5"} 3`);
  expect(lines).toContain(`${name}_bucket{le="2.5"} 3`);
  expect(lines).toContain(`${name}_bucket{le="5"} 4`);
  expect(lines).toContain(`${name}_bucket{le="60000"} 4`);
  expect(lines).toContain(`${name}_bucket{le="+Inf"} 5`);
  expect(lines).toContain(`${name}_sum 1000003.7`);
  expect(lines).toContain(`${name}_count 5`);
});

test('whatever a label holds can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.double({ noNaN: true }), (source, value) => {
      fc.pre(!source.includes('\0'));
      const metrics = new Metrics();
      metrics.counter('shapecast.replicator.fenced.count', { source }).value = value;
      const exposed = readExposition(prometheusText(metrics.collect()));
      const [series] = exposed.get('shapecast_replicator_fenced_count')?.series ?? [];
      expect(series?.labels).toEqual({ source });
      expect(series?.value).toBe(value === 0 ? 0 : value);
    }),
  );
});

test('nothing measured is an empty text', () => {
  expect(prometheusText([])).toBe('');
});

const PROMTOOL = 'promtool';
const found = spawnSync(PROMTOOL, ['--version']).error === undefined;

// The tool comes with the system's package of Prometheus, and is not everywhere.
test.skipIf(!found)('promtool reads it', () => {
  const { stderr, stdout, status } = spawnSync(PROMTOOL, ['check', 'metrics'], {
    input: prometheusText(everything().collect()),
    encoding: 'utf8',
  });
  // It warns about names that it would have chosen otherwise (status 3); what it cannot read is status 1.
  expect([0, 3], stderr + stdout).toContain(status);
});
