import { expect, test } from 'vitest';
import { MergedReports } from '../../loadtest/harness/merged-reports.ts';
import { addTo, countOf, percentile, type Histogram } from '../../loadtest/lib/histogram.ts';
import { Series } from '../../loadtest/lib/series.ts';

const row = (seq: number) => ({ channel: 0, seq, writtenMs: 0 });

test('percentiles of a histogram are off by at most nine percent', () => {
  const histogram: Histogram = {};
  for (let ms = 1; ms <= 1_000; ms += 1) addTo(histogram, ms);
  expect(countOf(histogram)).toBe(1_000);
  for (const share of [0.1, 0.5, 0.95, 0.99]) {
    expect(Math.abs((percentile(histogram, share) ?? 0) / (1_000 * share) - 1), String(share)).toBeLessThan(0.09);
  }
  expect(percentile({}, 0.5)).toBeUndefined();
});

test('seconds that several virtual users report are one point, and seconds without rows are points as well', () => {
  const merged = new MergedReports();
  for (const latency of [10, 20]) {
    const series = new Series('reader', true);
    series.add(row(1), 5_100, latency);
    series.add(row(2), 7_900, latency);
    merged.add(series.report);
  }
  const points = merged.series(5_000);
  expect(points.map(({ second, kinds }) => [second, kinds['reader']?.rows])).toEqual([
    [0, 2],
    [1, undefined],
    [2, 2],
  ]);
});

test('the last reader is the slowest of all virtual users, and a row that one reader lacks has none', () => {
  const merged = new MergedReports();
  for (const latency of [10, 250]) {
    const series = new Series('reader', true);
    series.add(row(1), 5_000, 5);
    series.add(row(1), 5_000, latency);
    series.add(row(2), 5_000, 5);
    merged.add(series.report);
  }
  expect(merged.lastReader({ reader: 4 })).toMatchObject([{ kind: 'reader', readers: 4, rows: 1, maxMs: 250 }]);
});

test('readers of different shapes have no last one', () => {
  const series = new Series('reader', false);
  series.add(row(1), 5_000, 5);
  expect(series.report.receipts).toEqual({});
});
