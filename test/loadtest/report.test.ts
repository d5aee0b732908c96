import { describe, expect, test } from 'vitest';
import { baselineOf, compareWith } from '../../loadtest/harness/baseline.ts';
import { lineChart } from '../../loadtest/report/chart.ts';
import { resultOf } from '../../loadtest/report/from-summary.ts';
import { renderHtml } from '../../loadtest/report/html.ts';
import { renderJunit } from '../../loadtest/report/junit.ts';
import { renderMarkdown } from '../../loadtest/report/markdown.ts';
import { sampleResult } from './support/sample-result.ts';

const result = sampleResult();

describe('the report', () => {
  const html = renderHtml(result);

  test('has everything in itself: no script, no address, no file beside it', () => {
    expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(|https?:/);
  });

  test('shows what does not hold, with what was measured', () => {
    expect(html).toContain('<span class="bad">failed</span>');
    expect(html).toMatch(
      /shape_gaps<\/code><\/td><td><code>count==0<\/code><\/td><td>3<\/td><td><span class="bad">does not hold/,
    );
    expect(html).toContain('channel 0: row 7 is missing');
  });

  test('has a chart of latency, rows, CPU, memory and distribution, and none that is broken', () => {
    expect([...html.matchAll(/<text [^>]*class="title">([^<]+)</g)].map(([, title]) => title)).toEqual([
      'From the row’s time stamp to the reader, ms',
      'Rows, a second',
      'CPU of each process, % of a core',
      'Resident memory of each process, MiB',
      'Distribution, ms',
    ]);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
  });

  test('lets no text become markup', () => {
    expect(html).toContain('A &lt;fast&gt; processor');
  });

  test('is made of what k6 alone knows, too', () => {
    const { harness: _, ...alone } = result;
    expect(renderHtml(alone)).toContain('Thresholds');
    expect(renderHtml(alone)).not.toContain('Over time');
  });
});

describe('a chart', () => {
  const options = { title: 'T', xLabel: 'x', yLabel: 'y' };

  test('leaves a hole where there is no value', () => {
    const svg = lineChart(
      [
        {
          name: 'a',
          points: [
            [0, 1],
            [1, 2],
            [2, undefined],
            [3, 1],
            [4, 2],
          ],
        },
      ],
      options,
    );
    expect(svg.match(/<polyline/g)).toHaveLength(2);
  });

  test('of nothing is nothing', () => {
    expect(lineChart([{ name: 'a', points: [[0, undefined]] }], options)).toBe('');
  });

  test('keeps all points inside, also on a logarithmic scale', () => {
    for (const logarithmic of [false, true]) {
      const svg = lineChart(
        [
          {
            name: 'a',
            points: [
              [0, 0],
              [1, 99_999],
              [2, 0.5],
            ],
          },
        ],
        { ...options, logarithmic },
      );
      const [, points = ''] = /points="([^"]+)"/.exec(svg) ?? [];
      const places = points.split(' ').map((pair) => pair.split(',').map(Number));
      expect(places).toHaveLength(3);
      expect(places.every(([x = -1, y = -1]) => x >= 64 && x <= 844 && y >= 34 && y <= 218)).toBe(true);
    }
  });
});

test('thresholds and metrics of k6 become the result', () => {
  const asked = { scenario: 's', profile: 'p', parameters: {}, phases: [], through: 'directly', finishedAt: '' };
  const metrics = {
    shape_gaps: { type: 'counter', values: { count: 2 }, thresholds: { 'count==0': { ok: false } } },
    shape_changes: { type: 'counter', values: { count: 9 }, thresholds: { 'count>0': { ok: true } } },
  };
  const made = resultOf({ metrics, root_group: { checks: [{ name: 'c', passes: 1, fails: 0 }] } }, asked);
  expect(made).toMatchObject({ passed: false, checks: [{ name: 'c', passes: 1, fails: 0 }] });
  expect(made.thresholds).toContainEqual({ metric: 'shape_gaps', expression: 'count==0', ok: false });
});

test('the Markdown says what failed, and the JUnit file has a failure for each', () => {
  expect(renderMarkdown(result)).toContain('- does not hold: `shape_gaps` `count==0`, measured count 3');
  const junit = renderJunit(result);
  expect(junit).toContain('tests="5" failures="3"');
  expect(junit.match(/<failure /g)).toHaveLength(3);
});

describe('a comparison with the baseline', () => {
  const baseline = baselineOf(result);

  test('finds what is worse by more than the tolerance, and not what is noise', () => {
    const metric = result.metrics['shape_live_latency{kind:reader}'];
    const values = { ...metric?.values, 'p(99)': 200, med: 12 };
    const slower = baselineOf({ ...result, metrics: { 'shape_live_latency{kind:reader}': { type: 'trend', values } } });
    const { worse, lines } = compareWith(baseline, slower, 0.3);
    expect(worse).toEqual(['shape_live_latency{kind:reader} p(99): 77 -> 200 ms (+160 %)']);
    expect(lines).toContain('shape_live_latency{kind:reader} med: 8 -> 12 ms (+50 %)');
  });

  test('is not made between runs that were asked different things', () => {
    const other = baselineOf({ ...result, parameters: { subscribers: 20 } });
    expect(compareWith(baseline, other, 0).worse).toEqual([]);
  });
});
