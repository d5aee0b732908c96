import type { Result } from './result.ts';

/** The result in a few lines, for a terminal, a pull request or a page of results. */
export function renderMarkdown(result: Result): string {
  const { scenario, profile, through, passed, thresholds, harness } = result;
  const failed = thresholds.filter(({ ok }) => !ok);
  const lines = [
    `**${scenario}** (${profile}, ${through}): ${passed ? 'passed' : 'FAILED'}, ${thresholds.length - failed.length} of ${thresholds.length} thresholds hold`,
    '',
    ...failed.map(
      ({ metric, expression }) =>
        `- does not hold: \`${metric}\` \`${expression}\`, measured ${measured(result, metric)}`,
    ),
    ...(harness?.problems ?? []).map((problem) => `- ${problem}`),
    '',
    '| metric | count | median | p95 | p99 | max |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    ...trendNames(result).map((name) => trendRow(result, name)),
    '',
    countersOf(result),
  ];
  if (harness !== undefined) {
    const { writer, lastReader, machine, commit, dirty, verified } = harness;
    lines.push(
      `The writer wrote ${writer.written} rows, p99 ${writer.lateP99Ms} ms late, dropped ${writer.dropped}.`,
      ...lastReader.map(
        ({ kind, readers, rows, p50Ms, p99Ms, maxMs }) =>
          `The last of ${readers} ${kind} readers had a row after p50 ${p50Ms} ms, p99 ${p99Ms} ms, at most ${maxMs} ms (${rows} rows).`,
      ),
      `Afterwards ${verified.shapes} shapes with ${verified.rows} rows were compared with SELECT: ${verified.differences.length} differences.`,
      `Commit ${commit}${dirty ? ' with changes' : ''}, ${machine['cores']} cores of ${machine['cpu']}, ${machine['memoryGiB']} GiB.`,
    );
  }
  return `${lines.join('\n').replaceAll(/\n{3,}/g, '\n\n')}\n`;
}

/** The trends of a shape, those told apart by tags after the whole. */
export function trendNames({ metrics }: Result): readonly string[] {
  return Object.keys(metrics)
    .filter(
      (name) =>
        name.startsWith('shape_') && metrics[name]?.type === 'trend' && (metrics[name].values['count'] ?? 0) > 0,
    )
    .sort();
}

function trendRow({ metrics }: Result, name: string): string {
  const values = metrics[name]?.values ?? {};
  const ms = (key: string): string => `${Math.round((values[key] ?? 0) * 10) / 10} ms`;
  return `| \`${name}\` | ${values['count']} | ${ms('med')} | ${ms('p(95)')} | ${ms('p(99)')} | ${ms('max')} |`;
}

function countersOf({ metrics }: Result): string {
  const counters = ['changes', 'must_refetch', 'gaps', 'duplicates', 'out_of_order', 'foreign_rows', 'refused'];
  const told = counters.map((name) => `${name} ${metrics[`shape_${name}`]?.values['count'] ?? 0}`);
  return `Counted: ${told.join(', ')}.`;
}

function measured({ metrics }: Result, name: string): string {
  const values = metrics[name]?.values ?? {};
  const told = ['count', 'rate', 'p(95)', 'p(99)', 'max'].filter((key) => values[key] !== undefined);
  return told.map((key) => `${key} ${Math.round((values[key] ?? 0) * 1_000) / 1_000}`).join(', ') || 'nothing';
}
