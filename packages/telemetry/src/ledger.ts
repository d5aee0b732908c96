import type { MetricDefinition } from './definition.ts';
import { OTHER_SOURCES, type Sample } from './metrics.ts';
import { METRICS } from './table/index.ts';

/** One series while parts of it are added up. */
interface Entry {
  readonly sample: Sample;
  value: number;
  readonly counts: number[] | undefined;
  sum: number;
}

type Entries = Map<string, Entry>;

/**
 * Everything that a process measured, in whichever thread. What a thread has counted is kept when the thread has ended, so that sums
 * never go back; what it was at that moment is not. Bounded by the table and by the number of sources, as the metrics of each thread
 * are (spec O 6.1.2): together threads may have more.
 */
export class SampleLedger {
  readonly #maxSources: number;
  readonly #readers = new Set<() => readonly Sample[]>();
  /** Counters and histograms of what has ended. */
  readonly #past: Entries = new Map();
  #sources = new Set<string>();

  constructor(maxSources: number) {
    this.#maxSources = maxSources;
  }

  /** `read` is asked whenever somebody looks. The returned function ends that, after a last look. */
  include(read: () => readonly Sample[]): () => void {
    const reader = () => read();
    this.#readers.add(reader);
    return () => {
      if (!this.#readers.delete(reader)) return;
      for (const sample of reader()) if (isCounted(sample)) this.#add(this.#past, sample, this.#sources);
    };
  }

  collect(): readonly Sample[] {
    const all: Entries = new Map();
    const sources = new Set<string>();
    // Those that were told apart before go on to be; names that nobody has any more make room.
    const samples = [...this.#readers].flatMap((read) => read());
    for (const { sample } of this.#past.values()) this.#keep(sample, sources);
    for (const sample of samples) this.#keep(sample, sources);
    for (const { sample, value, counts, sum } of this.#past.values()) {
      this.#add(all, { ...sample, value, ...(counts === undefined ? {} : { counts }), sum }, sources);
    }
    for (const sample of samples) this.#add(all, sample, sources);
    this.#sources = sources;
    return [...all.values()].map(sampleOf);
  }

  /** Forgets what was counted for a source in threads that have ended. */
  forgetSource(source: string): void {
    for (const [key, { sample }] of this.#past) if (sourceOf(sample) === source) this.#past.delete(key);
  }

  #keep(sample: Sample, sources: Set<string>): void {
    const source = sourceOf(sample);
    if (source !== undefined && this.#sources.has(source)) sources.add(source);
  }

  #add(entries: Entries, given: Sample, sources: Set<string>): void {
    const sample = this.#labelled(given, sources);
    const key = `${sample.name}\0${sample.labels.join('\0')}`;
    const entry = entries.get(key);
    if (entry === undefined) {
      const counts = sample.counts === undefined ? undefined : [...sample.counts];
      entries.set(key, { sample, value: sample.value ?? 0, counts, sum: sample.sum ?? 0 });
      return;
    }
    const definition: MetricDefinition = METRICS[sample.name];
    const value = sample.value ?? 0;
    const highest = definition.type === 'gauge' && definition.several === 'max';
    entry.value = highest ? Math.max(entry.value, value) : entry.value + value;
    entry.sum += sample.sum ?? 0;
    sample.counts?.forEach((count, bucket) => (entry.counts![bucket] = (entry.counts![bucket] ?? 0) + count));
  }

  /** With `other` for a source that comes after those that are told apart. */
  #labelled(sample: Sample, sources: Set<string>): Sample {
    const source = sourceOf(sample);
    if (source === undefined || source === OTHER_SOURCES || sources.has(source)) return sample;
    if (sources.size < this.#maxSources) {
      sources.add(source);
      return sample;
    }
    const at = (METRICS[sample.name] as MetricDefinition).labels.indexOf('source');
    return { ...sample, labels: sample.labels.with(at, OTHER_SOURCES) };
  }
}

function isCounted({ name }: Sample): boolean {
  return METRICS[name].type !== 'gauge';
}

function sourceOf({ name, labels }: Sample): string | undefined {
  const at = (METRICS[name] as MetricDefinition).labels.indexOf('source');
  return at < 0 ? undefined : labels[at];
}

function sampleOf({ sample: { name, labels }, value, counts, sum }: Entry): Sample {
  return counts === undefined ? { name, labels, value } : { name, labels, counts, sum };
}
