export interface ExposedSeries {
  /** With the suffix that series of histograms have. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface ExposedMetric {
  readonly type: string;
  readonly help: string;
  readonly series: readonly ExposedSeries[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)/y;
const NUMBER = /^(?:[+-]?Inf|NaN|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;

/**
 * Reads the text format of Prometheus, and refuses what a scraper might take in spite of its being wrong: series without help or type,
 * metrics in two places, series twice, labels that are not escaped, buckets that shrink or do not end at infinity.
 */
export function readExposition(text: string): ReadonlyMap<string, ExposedMetric> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line does not end');
  const metrics = new Map<string, { type: string; help: string; series: ExposedSeries[] }>();
  const seen = new Set<string>();
  let current = '';
  for (const line of text.split('\n').slice(0, -1)) {
    const comment = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, word, name, rest] = comment as unknown as readonly [string, string, string, string];
      if (!NAME.test(name)) throw new Error(`not a name: ${line}`);
      if (word === 'HELP') {
        if (metrics.has(name)) throw new Error(`${name} is in two places`);
        metrics.set((current = name), { type: '', help: rest, series: [] });
      } else {
        const metric = metrics.get(name);
        if (metric === undefined || name !== current || metric.type !== '')
          throw new Error(`type out of place: ${line}`);
        if (!/^(counter|gauge|histogram)$/.test(rest)) throw new Error(`not a type: ${line}`);
        metric.type = rest;
      }
      continue;
    }
    const match = LINE.exec(line);
    if (match === null) throw new Error(`not a series: ${line}`);
    const [, name, labels = '', value] = match as unknown as readonly [string, string, string | undefined, string];
    const metric = metrics.get(current);
    if (metric === undefined || metric.type === '') throw new Error(`no help and type before: ${line}`);
    const suffixes = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (!suffixes.some((suffix) => name === current + suffix)) throw new Error(`not of ${current}: ${line}`);
    if (!NUMBER.test(value)) throw new Error(`not a number: ${line}`);
    const key = `${name}{${labels}}`;
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    metric.series.push({ name, labels: readLabels(labels, line), value: Number(value.replace('Inf', 'Infinity')) });
  }
  for (const [name, metric] of metrics) if (metric.type === 'histogram') checkBuckets(name, metric.series);
  return metrics;
}

function readLabels(text: string, line: string): Readonly<Record<string, string>> {
  const labels: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    LABEL.lastIndex = at;
    const match = LABEL.exec(text);
    if (match === null) throw new Error(`not labels: ${line}`);
    const [all, name, value] = match as unknown as readonly [string, string, string];
    if (Object.hasOwn(labels, name)) throw new Error(`a label twice: ${line}`);
    labels[name] = value.replaceAll(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    at += all.length;
  }
  return labels;
}

function checkBuckets(name: string, series: readonly ExposedSeries[]): void {
  const rows = new Map<string, { readonly buckets: [number, number][]; sum?: number; count?: number }>();
  for (const one of series) {
    const { le, ...labels } = one.labels;
    const key = JSON.stringify(labels);
    let row = rows.get(key);
    if (row === undefined) rows.set(key, (row = { buckets: [] }));
    if (one.name === `${name}_bucket`) row.buckets.push([Number(le?.replace('Inf', 'Infinity')), one.value]);
    else if (one.name === `${name}_sum`) row.sum = one.value;
    else row.count = one.value;
  }
  for (const [key, { buckets, sum, count }] of rows) {
    const grow = buckets.every(([bound, value], i) => {
      const [before, less] = buckets[i - 1] ?? [-Infinity, 0];
      return bound > before && value >= less;
    });
    const [bound, all] = buckets.at(-1) ?? [0, 0];
    if (!grow || bound !== Infinity || all !== count || sum === undefined)
      throw new Error(`wrong buckets: ${name} ${key}`);
  }
}
