import type { MetricDefinition } from './definition.ts';
import {
  METRICS,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricName,
} from './table/index.ts';

/** Grows. */
export class Counter {
  value = 0;

  add(by = 1): void {
    this.value += by;
  }
}

/** How often values fell under each bound. */
export class Histogram {
  readonly #bounds: readonly number[];
  /** Per bucket, not cumulative; the last is that beyond all bounds. */
  readonly counts: number[];
  sum = 0;
  count = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = Array.from({ length: bounds.length + 1 }, () => 0);
  }

  /** Below nothing counts as nothing: clocks differ. */
  record(value: number): void {
    const counted = value > 0 ? value : 0;
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && counted > bounds[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sum += counted;
    this.count += 1;
  }
}

/** One series of a metric at one moment. Plain data: it may be copied to another thread. */
export interface Sample {
  readonly name: MetricName;
  /** In the order of the definition. */
  readonly labels: readonly string[];
  /** Of a counter or gauge. */
  readonly value?: number;
  /** Of a histogram: per bucket, not cumulative. */
  readonly counts?: readonly number[];
  readonly sum?: number;
}

interface Gauge {
  readonly read: () => number | undefined;
}

type Cell = Counter | Histogram | Set<Gauge>;

/** Values of sources beyond those that are told apart. */
export const OTHER_SOURCES = 'other';

interface MetricsOptions {
  /** Sources that are told apart; those that come later share the value `other`. */
  readonly maxSources: number;
}

/**
 * The metrics of a thread. Whoever measures asks for its cell once and keeps it: counting costs an addition then. Memory is bounded by
 * the table and by the number of sources, whether somebody reads or not (spec O 6.1.2, 6.1.3).
 */
export class Metrics {
  readonly #options: MetricsOptions;
  readonly #cells = new Map<MetricName, Map<string, Cell>>();
  readonly #sources = new Set<string>();

  constructor(options: MetricsOptions = { maxSources: 500 }) {
    this.#options = options;
  }

  counter<N extends CounterName>(name: N, labels: LabelsOf<N>): Counter {
    return this.#cell(name, labels, () => new Counter()) as Counter;
  }

  histogram<N extends HistogramName>(name: N, labels: LabelsOf<N>): Histogram {
    return this.#cell(name, labels, () => new Histogram(METRICS[name].buckets)) as Histogram;
  }

  /** `read` is called when somebody looks; undefined: nothing to say at the moment. The returned function ends it. */
  gauge<N extends GaugeName>(name: N, labels: LabelsOf<N>, read: () => number | undefined): () => void {
    const all = this.#cell(name, labels, () => new Set<Gauge>()) as Set<Gauge>;
    const gauge = { read };
    all.add(gauge);
    return () => {
      all.delete(gauge);
      if (all.size === 0) this.#forgetEmpty(name, all);
    };
  }

  /** Everything that has a value. */
  collect(): readonly Sample[] {
    const samples: Sample[] = [];
    let failures = 0;
    for (const [name, cells] of this.#cells) {
      for (const [key, cell] of cells) {
        const sample = sampleOf(name, key === '' ? [] : key.split('\0'), cell, () => (failures += 1));
        if (sample !== undefined) samples.push(sample);
      }
    }
    // Told the next time: one that cannot be read keeps nobody from the others (spec O 6.1.4).
    if (failures > 0) this.counter('shapecast.telemetry.dropped.count', { reason: 'not_readable' }).add(failures);
    return samples;
  }

  /** Forgets what was counted for a source that is no longer here. Cells that somebody still holds count for nobody. */
  forgetSource(source: string): void {
    this.#sources.delete(source);
    for (const [name, cells] of this.#cells) {
      const at = (METRICS[name] as MetricDefinition).labels.indexOf('source');
      if (at < 0) continue;
      for (const key of cells.keys()) if (key.split('\0')[at] === source) cells.delete(key);
    }
  }

  #cell<N extends MetricName>(name: N, labels: LabelsOf<N>, make: () => Cell): Cell {
    const cells = this.#cells.get(name) ?? new Map<string, Cell>();
    this.#cells.set(name, cells);
    const values: Readonly<Record<string, string>> = labels;
    const key = (METRICS[name] as MetricDefinition).labels
      .map((label) => (label === 'source' ? this.#known(values[label]!) : values[label]!))
      .join('\0');
    let cell = cells.get(key);
    if (cell === undefined) cells.set(key, (cell = make()));
    return cell;
  }

  #known(source: string): string {
    if (this.#sources.has(source)) return source;
    if (this.#sources.size >= this.#options.maxSources) return OTHER_SOURCES;
    this.#sources.add(source);
    return source;
  }

  #forgetEmpty(name: MetricName, cell: Cell): void {
    const cells = this.#cells.get(name);
    for (const [key, one] of cells ?? []) if (one === cell) cells?.delete(key);
  }
}

function sampleOf(name: MetricName, labels: readonly string[], cell: Cell, onFailure: () => void): Sample | undefined {
  if (cell instanceof Counter) return { name, labels, value: cell.value };
  if (cell instanceof Histogram) return { name, labels, counts: [...cell.counts], sum: cell.sum };
  const definition = METRICS[name] as MetricDefinition;
  const max = definition.type === 'gauge' && definition.several === 'max';
  let value: number | undefined;
  for (const { read } of cell) {
    const part = readOrNothing(read, onFailure);
    if (part === undefined || !Number.isFinite(part)) continue;
    value = value === undefined ? part : max ? Math.max(value, part) : value + part;
  }
  return value === undefined ? undefined : { name, labels, value };
}

function readOrNothing(read: () => number | undefined, onFailure: () => void): number | undefined {
  try {
    return read();
  } catch {
    onFailure();
    return undefined;
  }
}
