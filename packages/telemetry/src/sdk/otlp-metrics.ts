import { ValueType, type HrTime } from '@opentelemetry/api';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type DataPoint,
  type MetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';
import type { Resource } from '@opentelemetry/resources';
import type { MetricDefinition } from '../definition.ts';
import type { Sample } from '../metrics.ts';
import { METRICS, type MetricName } from '../table/index.ts';

interface SampleProducerOptions {
  readonly resource: Resource;
  readonly scope: { readonly name: string; readonly version: string };
  /** Since when is counted, in milliseconds since 1970. */
  readonly startMs: number;
}

/** Our samples in the form of OpenTelemetry: what is pushed and what is scraped come from the same cells. */
export class SampleProducer implements MetricProducer {
  readonly #samples: () => readonly Sample[];
  readonly #nowMs: () => number;
  readonly #options: SampleProducerOptions;

  constructor(
    { samples, nowMs }: { readonly samples: () => readonly Sample[]; readonly nowMs: () => number },
    options: SampleProducerOptions,
  ) {
    this.#samples = samples;
    this.#nowMs = nowMs;
    this.#options = options;
  }

  async collect(): Promise<CollectionResult> {
    const { resource, scope, startMs } = this.#options;
    const metrics = metricData(this.#samples(), hrTime(startMs), hrTime(this.#nowMs()));
    return { resourceMetrics: { resource, scopeMetrics: [{ scope, metrics }] }, errors: [] };
  }
}

function metricData(samples: readonly Sample[], startTime: HrTime, endTime: HrTime): MetricData[] {
  const byName = new Map<MetricName, Sample[]>();
  for (const sample of samples) {
    const known = byName.get(sample.name);
    if (known === undefined) byName.set(sample.name, [sample]);
    else known.push(sample);
  }
  return [...byName].map(([name, series]) => {
    const definition: MetricDefinition = METRICS[name];
    const { description, unit } = definition;
    const data = {
      descriptor: { name, description, unit, valueType: ValueType.DOUBLE },
      // Sums since the start: what a push lost is in the next one.
      aggregationTemporality: AggregationTemporality.CUMULATIVE,
    };
    const point = <T>(sample: Sample, value: T): DataPoint<T> => {
      const attributes = Object.fromEntries(definition.labels.map((label, at) => [label, sample.labels[at] ?? '']));
      return { startTime, endTime, attributes, value };
    };
    const numbers = () => series.map((sample) => point(sample, sample.value ?? 0));
    switch (definition.type) {
      case 'counter':
        return { ...data, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: numbers() };
      case 'gauge':
        return { ...data, dataPointType: DataPointType.GAUGE, dataPoints: numbers() };
      case 'histogram': {
        const boundaries = [...definition.buckets];
        const dataPoints = series.map((sample) => {
          const counts = [...(sample.counts ?? [])];
          const count = counts.reduce((all, one) => all + one, 0);
          return point(sample, { buckets: { boundaries, counts }, count, sum: sample.sum ?? 0 });
        });
        return { ...data, dataPointType: DataPointType.HISTOGRAM, dataPoints };
      }
    }
  });
}

function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.round((ms - seconds * 1_000) * 1e6)];
}
