import { METRICS, prometheusName, type MetricName } from '@shapecast/telemetry';

/** Name of a series in Prometheus to the metric that it is of. */
export function seriesNames(): ReadonlyMap<string, MetricName> {
  const names = new Map<string, MetricName>();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const shown = prometheusName(name);
    const suffixes = METRICS[name].type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    for (const suffix of suffixes) {
      const other = names.get(`${shown}${suffix}`);
      if (other !== undefined) throw new Error(`${name} and ${other} are one series in Prometheus.`);
      names.set(`${shown}${suffix}`, name);
    }
  }
  return names;
}

/** Names of ours all have an underscore or a colon; what stands before a parenthesis is a function. */
const NAME = /[a-zA-Z][a-zA-Z0-9_]*[_:][a-zA-Z0-9_:]*\b(?!\s*\()/g;

/** Names of the series that an expression reads, those of recording rules included. */
export function seriesIn(expr: string): ReadonlySet<string> {
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .replaceAll(/\b(?:by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)/g, '')
    .replaceAll(/\{[^}]*\}/g, '')
    .replaceAll(/\[[^\]]*\]/g, '')
    .replaceAll(/<[a-zA-Z.]+>/g, '');
  return new Set(bare.match(NAME) ?? []);
}
