import {
  METRICS,
  prometheusName,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type MetricName,
} from '@shapecast/telemetry';

/** Labels that are not ours: the scraper says them of every series of a process, and a histogram of each bucket. */
type TargetLabel = 'namespace' | 'pod' | 'job' | 'instance';

/** Labels that the series of a metric have. */
export type LabelOf<N extends MetricName> = (typeof METRICS)[N]['labels'][number] | TargetLabel;

/** Which series: `=a`, `!=a`, `=~a.*`, `!~a.*`, by label. */
export type Where<N extends MetricName> = { readonly [L in LabelOf<N>]?: Match };
type Match = `${'=' | '!='}${string}` | `${'=~' | '!~'}${string}`;

/**
 * PromQL out of the table of metrics. A name that is not in it, a label that the metric has not, or a rate of a gauge are errors of the
 * compiler: an alert that can never fire looks just like one that does not have to.
 */
export function gauge<N extends GaugeName>(name: N, where: Where<N> = {}): string {
  return `${prometheusName(name)}${selector(where)}`;
}

/** Gauges in a window, for functions over time. */
export function gaugeOver<N extends GaugeName>(name: N, window: string, where: Where<N> = {}): string {
  return `${prometheusName(name)}${selector(where)}[${window}]`;
}

/** Per second. */
export function rate<N extends CounterName>(name: N, window: string, where: Where<N> = {}): string {
  return `rate(${prometheusName(name)}${selector(where)}[${window}])`;
}

export function increase<N extends CounterName>(name: N, window: string, where: Where<N> = {}): string {
  return `increase(${prometheusName(name)}${selector(where)}[${window}])`;
}

/**
 * Whether something was counted in a window: a counter that is made when it first counts has no earlier value that it could have grown
 * from, so one that is new counts as well.
 */
export function happened<N extends CounterName>(name: N, window: string, by: readonly LabelOf<N>[]): string {
  const series = prometheusName(name);
  const isNew = groupBy(by, `${series} > 0 unless ${series} offset ${window}`);
  return `${sumBy(by, increase(name, window))} > 0 or ${isNew}`;
}

/** Observations per second. */
export function observations<N extends HistogramName>(name: N, window: string, where: Where<N> = {}): string {
  return `rate(${prometheusName(name)}_count${selector(where)}[${window}])`;
}

/** Sum of what was observed, per second. */
export function observedSum<N extends HistogramName>(name: N, window: string, where: Where<N> = {}): string {
  return `rate(${prometheusName(name)}_sum${selector(where)}[${window}])`;
}

/** Observations per second of at most `bound`, which has to be the bound of a bucket: others would find nothing. */
export function observationsUpTo<N extends HistogramName>(
  name: N,
  bound: number,
  window: string,
  where: Where<N> = {},
): string {
  const { buckets } = METRICS[name];
  if (!buckets.includes(bound)) throw new Error(`${name} has no bucket up to ${bound}.`);
  return `rate(${prometheusName(name)}_bucket${selector({ ...where, le: `=${bound}` })}[${window}])`;
}

/** What the share `q` of observations stayed below, as far as buckets tell: at most the bound of the last one. */
export function quantile<N extends HistogramName>(
  q: number,
  name: N,
  window: string,
  by: readonly LabelOf<N>[] = [],
  where: Where<N> = {},
): string {
  const labels = ['le', ...by].join(', ');
  return `histogram_quantile(${q}, sum by (${labels}) (rate(${prometheusName(name)}_bucket${selector(where)}[${window}])))`;
}

/** Mean of what was observed; without a value while nothing is. */
export function mean<N extends HistogramName>(
  name: N,
  window: string,
  by: readonly LabelOf<N>[] = [],
  where: Where<N> = {},
): string {
  return `${sumBy(by, observedSum(name, window, where))} / (${sumBy(by, observations(name, window, where))} > 0)`;
}

export function sumBy(labels: readonly string[], expr: string): string {
  return aggregate('sum', labels, expr);
}

export function maxBy(labels: readonly string[], expr: string): string {
  return aggregate('max', labels, expr);
}

export function minBy(labels: readonly string[], expr: string): string {
  return aggregate('min', labels, expr);
}

/** 1 for each combination of labels that there is. */
export function groupBy(labels: readonly string[], expr: string): string {
  return aggregate('group', labels, expr);
}

function aggregate(operator: string, labels: readonly string[], expr: string): string {
  return labels.length === 0 ? `${operator}(${expr})` : `${operator} by (${labels.join(', ')}) (${expr})`;
}

function selector(where: Readonly<Record<string, Match | undefined>>): string {
  const parts = Object.entries(where).flatMap(([label, match]) => {
    if (match === undefined) return [];
    const [, operator = '', value = ''] = /^(=~|!~|!=|=)([^]*)$/.exec(match) ?? [];
    return [`${label}${operator}"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`];
  });
  return parts.length === 0 ? '' : `{${parts.join(', ')}}`;
}
