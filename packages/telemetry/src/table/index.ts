import type { MetricDefinition } from '../definition.ts';
import { API_METRICS } from './api.ts';
import { PROCESS_METRICS } from './process.ts';
import { REPLICATOR_METRICS } from './replicator.ts';
import { ROUTER_METRICS } from './router.ts';

/**
 * Every metric there is: instruments, documentation, dashboards and alerts are made from this (spec D O11). The name in Prometheus is
 * the same with underscores; units are part of the name where the reference has them there (spec O 6.1.1).
 */
export const METRICS = { ...REPLICATOR_METRICS, ...ROUTER_METRICS, ...API_METRICS, ...PROCESS_METRICS } as const;

export type MetricName = keyof typeof METRICS;

type NamesOf<T extends MetricDefinition['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];
export type CounterName = NamesOf<'counter'>;
export type GaugeName = NamesOf<'gauge'>;
export type HistogramName = NamesOf<'histogram'>;

/** Values of exactly the labels that the metric has. */
export type LabelsOf<N extends MetricName> = Readonly<Record<(typeof METRICS)[N]['labels'][number], string>>;

/** In Prometheus. */
export function prometheusName(name: MetricName): string {
  return name.replaceAll('.', '_');
}
