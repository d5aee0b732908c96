/**
 * What one measurement costs: a cell of ours, kept as components keep it, beside an instrument of OpenTelemetry with its labels; and what
 * a trace costs that is not recorded, and one that is. Prints JSON, nanoseconds each, the best of several rounds.
 *
 *     node packages/telemetry/src/metrics.bench.ts
 */
import {
  MeterProvider,
  PeriodicExportingMetricReader,
  AggregationTemporality,
  InMemoryMetricExporter,
} from '@opentelemetry/sdk-metrics';
import { AlwaysOnSampler, NoopSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { SampleLedger } from './ledger.ts';
import { Metrics } from './metrics.ts';
import { prometheusText } from './prometheus.ts';
import { SdkTracing } from './sdk/sdk-tracing.ts';
import { NO_TRACING, type Tracing } from './tracing.ts';

const CALLS = 2_000_000;
const ROUNDS = 7;
const SOURCES = 500;

const metrics = new Metrics();
const reader = new PeriodicExportingMetricReader({
  exporter: new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE),
  exportIntervalMillis: 3_600_000,
});
const meter = new MeterProvider({ readers: [reader] }).getMeter('bench');
const provider = new TracerProvider({ sampler: new AlwaysOnSampler(), spanProcessors: [new NoopSpanProcessor()] });
const tracing = (sampled: boolean): Tracing =>
  new SdkTracing(provider.getTracer('bench'), { sampling: () => sampled, exclude: new Set() });

const cell = metrics.counter('shapecast.replicator.changes.count', { source: 'main' });
const histogram = metrics.histogram('shapecast.e2e.stage', { source: 'main', stage: 'apply' });
const counted = meter.createCounter('changes');
const recorded = meter.createHistogram('stage', {
  advice: { explicitBucketBoundaries: [1, 5, 25, 100, 500, 2_500, 10_000] },
});
const labels = { source: 'main' };
const stage = { source: 'main', stage: 'apply' };
const attributes = { num_changes: 3 };
const [unsampled, sampled] = [tracing(false), tracing(true)];

const results = {
  counter: nanoseconds(() => cell.add(1)),
  otelCounter: nanoseconds(() => counted.add(1, labels)),
  histogram: nanoseconds((i) => histogram.record(i % 3_000)),
  otelHistogram: nanoseconds((i) => recorded.record(i % 3_000, stage)),
  spanWithoutCollector: nanoseconds(() => NO_TRACING.start('router.apply', { attributes }).end()),
  spanNotSampled: nanoseconds(() => unsampled.start('router.apply', { attributes }).end()),
  spanRecorded: nanoseconds(() => sampled.start('router.apply', { attributes }).end(), CALLS / 20),
};
process.stdout.write(`${JSON.stringify({ nanoseconds: results, scrape: scrape() }, undefined, 2)}\n`);

function nanoseconds(call: (i: number) => void, calls = CALLS): number {
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    for (let i = 0; i < calls; i += 1) call(i);
    best = Math.min(best, ((performance.now() - start) * 1e6) / calls);
  }
  return Math.round(best * 10) / 10;
}

/** A scrape of a router with as many sources as are told apart, each with what routers have of a source. */
function scrape(): object {
  const many = new Metrics({ maxSources: SOURCES });
  for (let i = 0; i < SOURCES; i += 1) {
    const source = `source-${i}`;
    for (const name of ['shapecast.shapes.created.count', 'shapecast.router.gap.count'] as const)
      many.counter(name, { source });
    for (const reason of ['schema', 'gap', 'evicted', 'deleted']) {
      many.counter('shapecast.shapes.rotated.count', { source, reason }).add(i);
    }
    for (const name of [
      'shapecast.router.lag.bytes',
      'shapecast.router.shards',
      'shapecast.pending_log.bytes',
    ] as const) {
      many.gauge(name, { source }, () => i);
    }
    for (const name of [
      'electric.storage.transaction_stored.replication_lag',
      'electric.storage.make_new_snapshot.stop.duration',
      'shapecast.snapshot.publication_gap_wait',
    ] as const) {
      many.histogram(name, { source }).record(i);
    }
  }
  const ledger = new SampleLedger(SOURCES);
  ledger.include(() => many.collect());
  let best = Infinity;
  let bytes = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = performance.now();
    bytes = prometheusText(ledger.collect()).length;
    best = Math.min(best, performance.now() - start);
  }
  return { sources: SOURCES, series: ledger.collect().length, bytes, milliseconds: Math.round(best * 10) / 10 };
}
