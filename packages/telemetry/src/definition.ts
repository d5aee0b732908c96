/** Component that has the metric. */
export type Role = 'replicator' | 'router' | 'api';

/**
 * What a metric may be told apart by. Bounded sets only, apart from `source`, which is bounded by `SHAPECAST_METRICS_MAX_SOURCES`; never
 * a handle, an offset, a table or what a client sent (spec O 6.1.2).
 */
export type LabelName =
  | 'source'
  | 'status'
  | 'known_error'
  | 'live'
  | 'empty'
  | 'kind'
  | 'reason'
  | 'cause'
  | 'action'
  | 'axis'
  | 'stage'
  | 'outcome'
  | 'mode'
  | 'server'
  | 'name'
  | 'version'
  | 'core';

interface Common<L extends LabelName> {
  /** One sentence for people: what is counted, and what to think when it grows. */
  readonly description: string;
  /** UCUM: `ms`, `s`, `By`, `1`, or what is counted, as in `{shape}`. */
  readonly unit: string;
  readonly labels: readonly L[];
  readonly roles: readonly Role[];
}

export interface CounterDefinition<L extends LabelName = LabelName> extends Common<L> {
  readonly type: 'counter';
}

export interface GaugeDefinition<L extends LabelName = LabelName> extends Common<L> {
  readonly type: 'gauge';
  /** Of several parts of a process that have the same labels: their sum, or the highest. */
  readonly several: 'sum' | 'max';
}

export interface HistogramDefinition<L extends LabelName = LabelName> extends Common<L> {
  readonly type: 'histogram';
  /** Upper bounds, growing, without the infinite one. */
  readonly buckets: readonly number[];
}

export type MetricDefinition<L extends LabelName = LabelName> =
  CounterDefinition<L> | GaugeDefinition<L> | HistogramDefinition<L>;

const BUCKETS = {
  /** Milliseconds, from a fraction of one to a minute. */
  ms: [0.5, 1, 2.5, 5, 10, 25, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000],
  bytes: [1e3, 1e4, 1e5, 1e6, 1e7, 1e8],
  counts: [1, 2, 5, 10, 100, 1_000, 10_000, 100_000],
} as const;

export function counter<const L extends LabelName = never>(
  roles: readonly Role[],
  unit: string,
  labels: readonly L[],
  description: string,
): CounterDefinition<L> {
  return { type: 'counter', ...common(roles, unit, labels, description) };
}

/** Of which the parts of a process add up. */
export function gauge<const L extends LabelName = never>(
  roles: readonly Role[],
  unit: string,
  labels: readonly L[],
  description: string,
): GaugeDefinition<L> {
  return { type: 'gauge', several: 'sum', ...common(roles, unit, labels, description) };
}

/** Of which the highest of the parts of a process counts. */
export function highest<const L extends LabelName = never>(
  roles: readonly Role[],
  unit: string,
  labels: readonly L[],
  description: string,
): GaugeDefinition<L> {
  return { type: 'gauge', several: 'max', ...common(roles, unit, labels, description) };
}

export function histogram<const L extends LabelName = never>(
  roles: readonly Role[],
  buckets: keyof typeof BUCKETS,
  labels: readonly L[],
  description: string,
): HistogramDefinition<L> {
  const unit = { ms: 'ms', bytes: 'By', counts: '1' }[buckets];
  return { type: 'histogram', buckets: BUCKETS[buckets], ...common(roles, unit, labels, description) };
}

function common<L extends LabelName>(
  roles: readonly Role[],
  unit: string,
  labels: readonly L[],
  description: string,
): Common<L> {
  return { roles, unit, labels, description };
}
