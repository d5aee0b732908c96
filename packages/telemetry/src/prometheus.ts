import type { HistogramDefinition, MetricDefinition } from './definition.ts';
import type { Sample } from './metrics.ts';
import { METRICS, prometheusName, type MetricName } from './table/index.ts';

/**
 * Samples in the text format of Prometheus, version 0.0.4: the metrics in the order of the table, each with its help and its type, and
 * then its series. A series has the labels of its metric and no others; which process it is of is for the scraper to say.
 */
export function prometheusText(samples: readonly Sample[]): string {
  const byName = new Map<MetricName, Sample[]>();
  for (const sample of samples) {
    const known = byName.get(sample.name);
    if (known === undefined) byName.set(sample.name, [sample]);
    else known.push(sample);
  }
  const lines: string[] = [];
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const series = byName.get(name);
    if (series !== undefined) write(lines, name, series);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function write(lines: string[], name: MetricName, series: readonly Sample[]): void {
  const definition: MetricDefinition = METRICS[name];
  const shown = prometheusName(name);
  lines.push(`# HELP ${shown} ${helpText(definition)}`, `# TYPE ${shown} ${definition.type}`);
  for (const sample of series) {
    const labels = definition.labels.map((label, at) => `${label}="${escapeLabel(sample.labels[at] ?? '')}"`).join(',');
    if (definition.type === 'histogram') writeBuckets(lines, shown, labels, definition, sample);
    else lines.push(`${shown}${braces(labels)} ${number(sample.value ?? 0)}`);
  }
}

/** Of a bucket Prometheus wants how many fell below its bound, those of the smaller buckets included. */
function writeBuckets(
  lines: string[],
  shown: string,
  labels: string,
  { buckets }: HistogramDefinition,
  { counts = [], sum = 0 }: Sample,
): void {
  const before = labels === '' ? '' : `${labels},`;
  let total = 0;
  for (let bucket = 0; bucket <= buckets.length; bucket += 1) {
    total += counts[bucket] ?? 0;
    const bound = bucket < buckets.length ? number(buckets[bucket] as number) : '+Inf';
    lines.push(`${shown}_bucket{${before}le="${bound}"} ${total}`);
  }
  lines.push(`${shown}_sum${braces(labels)} ${number(sum)}`, `${shown}_count${braces(labels)} ${total}`);
}

/** The unit is not in every name, so it is told here. */
function helpText({ description, unit }: MetricDefinition): string {
  const text = unit === '1' || unit.startsWith('{') ? description : `${description} (${unit})`;
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function escapeLabel(value: string): string {
  return /["\\\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

function braces(labels: string): string {
  return labels === '' ? '' : `{${labels}}`;
}

function number(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}
