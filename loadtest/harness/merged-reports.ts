import { addTo, countOf, mergeInto, percentile, type Histogram } from '../lib/histogram.ts';
import type { ReaderReport } from '../lib/reports.ts';
import type { LastReader, SeriesPoint } from '../report/result.ts';

/** Rows whose receipts are kept; further ones are left out of the figure of the last reader. */
const MAX_RECEIPTS = 200_000;

/** Puts together what the virtual users have seen, each of which knows its own readers only. */
export class MergedReports {
  readonly #series = new Map<number, Map<string, Histogram>>();
  readonly #receipts = new Map<string, { readers: number; slowestMs: number }>();

  add(report: ReaderReport): void {
    for (const [second, kinds] of Object.entries(report.series)) {
      const known = this.#series.get(Number(second)) ?? new Map<string, Histogram>();
      this.#series.set(Number(second), known);
      for (const [kind, histogram] of Object.entries(kinds)) {
        const merged = known.get(kind) ?? {};
        mergeInto(merged, histogram);
        known.set(kind, merged);
      }
    }
    for (const [row, [readers, slowestMs]] of Object.entries(report.receipts)) {
      const known = this.#receipts.get(row);
      if (known === undefined) {
        if (this.#receipts.size < MAX_RECEIPTS) this.#receipts.set(row, { readers, slowestMs });
      } else {
        known.readers += readers;
        known.slowestMs = Math.max(known.slowestMs, slowestMs);
      }
    }
  }

  /** One point a second, with seconds without any row between; `fromMs` is second 0. */
  series(fromMs: number): readonly SeriesPoint[] {
    const from = Math.floor(fromMs / 1_000);
    const seconds = [...this.#series.keys()].filter((second) => second >= from);
    const last = seconds.length === 0 ? from - 1 : Math.max(...seconds);
    return Array.from({ length: last - from + 1 }, (_, i) => {
      const kinds = this.#series.get(from + i) ?? new Map<string, Histogram>();
      return {
        second: i,
        kinds: Object.fromEntries([...kinds].map(([kind, histogram]) => [kind, pointOf(histogram)])),
      };
    });
  }

  /** `readers`: how many read each kind; a row that fewer have is not counted, the gaps tell of it. */
  lastReader(readers: Readonly<Record<string, number>>): readonly LastReader[] {
    const byKind = new Map<string, { rows: number; slowest: Histogram; maxMs: number }>();
    for (const [row, receipt] of this.#receipts) {
      const kind = row.slice(0, row.lastIndexOf('/'));
      if (receipt.readers !== readers[kind]) continue;
      const known = byKind.get(kind) ?? { rows: 0, slowest: {}, maxMs: 0 };
      known.rows += 1;
      known.maxMs = Math.max(known.maxMs, receipt.slowestMs);
      addTo(known.slowest, receipt.slowestMs);
      byKind.set(kind, known);
    }
    return [...byKind].map(([kind, { rows, slowest, maxMs }]) => ({
      ...{ kind, rows, readers: readers[kind] ?? 0, maxMs },
      p50Ms: Math.min(maxMs, percentile(slowest, 0.5) ?? 0),
      // An estimate may lie above what it estimates.
      p99Ms: Math.min(maxMs, percentile(slowest, 0.99) ?? 0),
    }));
  }
}

function pointOf(histogram: Histogram): { rows: number; p50: number; p95: number; p99: number } {
  return {
    rows: countOf(histogram),
    p50: percentile(histogram, 0.5) ?? 0,
    p95: percentile(histogram, 0.95) ?? 0,
    p99: percentile(histogram, 0.99) ?? 0,
  };
}
