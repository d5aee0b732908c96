import { lineChart, numberText, type Line } from './chart.ts';
import { trendNames } from './markdown.ts';
import type { HarnessResult, Metric, Result } from './result.ts';
import { escapeXml } from './xml.ts';

/** Everything is in the file: it can be mailed, kept as an artifact of CI and opened without a network. */
export function renderHtml(result: Result): string {
  const { scenario, profile, through, passed, finishedAt, harness } = result;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeXml(scenario)} (${escapeXml(profile)})</title>
<style>${STYLE}</style>
</head>
<body>
<h1>${escapeXml(scenario)} <span class="${passed ? 'ok' : 'bad'}">${passed ? 'passed' : 'failed'}</span></h1>
<p>Profile ${escapeXml(profile)}, ${escapeXml(through)}, finished ${escapeXml(finishedAt)}.${harness === undefined ? '' : ` ${machineText(harness)}`}</p>
${problems(harness)}
${thresholdTable(result)}
${seriesCharts(harness)}
${percentileChart(result)}
${trendTable(result)}
${counterTable(result)}
${checkTable(result)}
${harnessPart(harness)}
<h2>Asked with</h2>
<p><code>${escapeXml(JSON.stringify(result.parameters))}</code></p>
</body>
</html>
`;
}

const STYLE = `
body{font:15px/1.45 system-ui,sans-serif;max-width:900px;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}
.ok{color:#00664b}.bad{color:#b02a00}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{padding:.25rem .5rem;border-bottom:1px solid #ddd;text-align:right}
td:first-child,th:first-child{text-align:left}code{font-size:.85em;overflow-wrap:anywhere}
figure{margin:1.5rem 0}svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:#444}
svg .title{font-size:13px;font-weight:600;fill:#1a1a1a}svg .grid{stroke:#e4e4e4}svg polyline{fill:none;stroke-width:1.6}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:0;padding:0 0 0 64px;font-size:.8rem}
.legend span{display:inline-block;width:.8rem;height:.8rem;margin-right:.35rem;vertical-align:-1px}
`;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (tag: string, cells: readonly string[]): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`;
  return rows.length === 0 ? '' : `<table>${line('th', head)}${rows.map((row) => line('td', row)).join('')}</table>`;
}

function machineText({ commit, dirty, machine, k6 }: HarnessResult): string {
  const { cores, cpu, memoryGiB } = machine;
  return escapeXml(
    `Commit ${commit}${dirty ? ' with changes' : ''}, ${cores} cores of ${cpu}, ${memoryGiB} GiB, ${k6}.`,
  );
}

function problems(harness: HarnessResult | undefined): string {
  const all = [...(harness?.problems ?? []), ...(harness?.verified.differences ?? [])];
  return all.length === 0 ? '' : `<ul class="bad">${all.map((text) => `<li>${escapeXml(text)}</li>`).join('')}</ul>`;
}

function thresholdTable({ thresholds, metrics }: Result): string {
  const rows = [...thresholds]
    .sort((a, b) => Number(a.ok) - Number(b.ok))
    .map(({ metric, expression, ok }) => [
      `<code>${escapeXml(metric)}</code>`,
      `<code>${escapeXml(expression)}</code>`,
      valueText(metrics[metric], expression),
      `<span class="${ok ? 'ok' : 'bad'}">${ok ? 'holds' : 'does not hold'}</span>`,
    ]);
  return `<h2>Thresholds</h2>${table(['metric', 'must be', 'was', ''], rows)}`;
}

/** The aggregate that an expression such as `p(95)<500` speaks of. */
function valueText(metric: Metric | undefined, expression: string): string {
  const key = /^[^<>=!]+/.exec(expression)?.[0].trim() ?? '';
  const value = metric?.values[key];
  return value === undefined ? '' : numberText(value);
}

function seriesCharts(harness: HarnessResult | undefined): string {
  if (harness === undefined || harness.series.length === 0) return '';
  const { series, writer, processes } = harness;
  const kinds = [...new Set(series.flatMap((point) => Object.keys(point.kinds)))].sort();
  const latency = kinds.flatMap((kind): Line[] =>
    (['p50', 'p99'] as const).map((share) => ({
      name: `${kind} ${share}`,
      points: series.map((point) => [point.second, point.kinds[kind]?.[share]]),
    })),
  );
  const received = kinds.map((kind): Line => ({
    name: `received by ${kind}`,
    points: series.map((point) => [point.second, point.kinds[kind]?.rows ?? 0]),
  }));
  const written: Line = { name: 'written', points: writer.perSecond.map((rows, second) => [second, rows]) };
  const xLabel = 'seconds after the first write';
  return [
    '<h2>Over time</h2>',
    lineChart(latency, { title: 'From the row’s time stamp to the reader', xLabel, yLabel: 'ms', logarithmic: true }),
    lineChart([written, ...received], { title: 'Rows', xLabel, yLabel: 'a second' }),
    lineChart(usage(processes, 'cpuPercent'), { title: 'CPU of each process', xLabel, yLabel: '% of a core' }),
    lineChart(usage(processes, 'rssMiB'), { title: 'Resident memory of each process', xLabel, yLabel: 'MiB' }),
  ].join('');
}

function usage(processes: HarnessResult['processes'], field: 'cpuPercent' | 'rssMiB'): readonly Line[] {
  return processes.map((process) => ({ name: process.name, points: process[field].map((value, i) => [i, value]) }));
}

const SHARES: readonly (readonly [key: string, share: number])[] = [
  ...(['10', '25'] as const).map((share) => [`p(${share})`, Number(share)] as const),
  ['med', 50],
  ...(['75', '90', '95', '99', '99.9'] as const).map((share) => [`p(${share})`, Number(share)] as const),
];

/** Over the nines, so that the tail has as much room as everything before it. */
function percentileChart(result: Result): string {
  const lines = trendNames(result).map((name): Line => ({
    name: name.replace(/^shape_/, ''),
    points: SHARES.map(([key, share]) => [-Math.log10(1 - share / 100), result.metrics[name]?.values[key]]),
  }));
  return lineChart(lines.slice(0, 8), {
    title: 'Distribution',
    xLabel: 'nines: 1 is 90 %, 2 is 99 %, 3 is 99.9 %',
    yLabel: 'ms',
    logarithmic: true,
  });
}

function trendTable(result: Result): string {
  const keys = ['count', 'med', 'p(90)', 'p(95)', 'p(99)', 'p(99.9)', 'max'];
  const rows = trendNames(result).map((name) => [
    `<code>${escapeXml(name)}</code>`,
    ...keys.map((key) => numberText(result.metrics[name]?.values[key] ?? 0)),
  ]);
  return `<h2>Times in milliseconds</h2>${table(['', ...keys], rows)}`;
}

function counterTable({ metrics }: Result): string {
  const rows = Object.entries(metrics)
    .filter(([name, { type }]) => type !== 'trend' && !name.includes('{'))
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, { values }]) => [
      `<code>${escapeXml(name)}</code>`,
      escapeXml(
        Object.entries(values)
          .map(([key, value]) => `${key} ${numberText(value)}`)
          .join(', '),
      ),
    ]);
  return `<h2>Counted</h2>${table(['', ''], rows)}`;
}

function checkTable({ checks }: Result): string {
  const rows = checks.map(({ name, passes, fails }) => [escapeXml(name), numberText(passes), numberText(fails)]);
  return rows.length === 0 ? '' : `<h2>Checks</h2>${table(['', 'passed', 'failed'], rows)}`;
}

function harnessPart(harness: HarnessResult | undefined): string {
  if (harness === undefined) return '';
  const { writer, lastReader, verified } = harness;
  const last = lastReader.map(({ kind, readers, rows, p50Ms, p99Ms, maxMs }) => [
    escapeXml(`${kind} (${readers} readers)`),
    ...[rows, p50Ms, p99Ms, maxMs].map(numberText),
  ]);
  return `<h2>When the last reader had a row</h2>${table(['', 'rows', 'p50 ms', 'p99 ms', 'max ms'], last) || '<p>No shape was read by all.</p>'}
<h2>Writer</h2>
<p>${numberText(writer.written)} rows; transactions were sent p50 ${numberText(writer.lateP50Ms)} ms, p99 ${numberText(writer.lateP99Ms)} ms after they were due; ${numberText(writer.dropped)} rows were dropped.</p>
<h2>Compared with SELECT afterwards</h2>
<p>${numberText(verified.shapes)} shapes, ${numberText(verified.rows)} rows, ${verified.differences.length} differences.</p>`;
}
