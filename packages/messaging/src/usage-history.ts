import type { UsageCounter, UsageGauge } from './source-usage.ts';

/** What charts show: counters per second, and gauges. */
export const CHARTED = [
  ...(['changes', 'entries', 'requests', 'egressBytes'] as const satisfies readonly UsageCounter[]),
  ...([
    'publishLagMs',
    'applyLagMs',
    'serveLagMs',
    'deliveryLagMs',
    'parked',
    'shapes',
  ] as const satisfies readonly UsageGauge[]),
] as const;

/** Five minutes at a sample every two seconds. */
const SAMPLES = 150;

/** Oldest first; null where nothing was known. */
export interface UsageSeries {
  readonly everyMs: number;
  readonly series: Readonly<Partial<Record<(typeof CHARTED)[number], readonly (number | null)[]>>>;
}

/** The last samples of one source, in 6 KiB. */
export class UsageHistory {
  readonly #values = new Float32Array(SAMPLES * CHARTED.length).fill(Number.NaN);
  #count = 0;
  #lastKnown = -SAMPLES;

  /** In the order of CHARTED; what is not there is not known. */
  add(values: readonly (number | undefined)[]): void {
    const place = (this.#count % SAMPLES) * CHARTED.length;
    for (const [i] of CHARTED.entries()) this.#values[place + i] = values[i] ?? Number.NaN;
    if (values.length > 0) this.#lastKnown = this.#count;
    this.#count += 1;
  }

  /** Nothing of it was known. */
  get isEmpty(): boolean {
    return this.#count - this.#lastKnown > SAMPLES;
  }

  series(everyMs: number): UsageSeries {
    const length = Math.min(this.#count, SAMPLES);
    const values = (field: number) =>
      Array.from({ length }, (_, i) => {
        const sample = (this.#count - length + i) % SAMPLES;
        const value = this.#values[sample * CHARTED.length + field] ?? Number.NaN;
        return Number.isNaN(value) ? null : Math.round(value * 100) / 100;
      });
    return { everyMs, series: Object.fromEntries(CHARTED.map((name, field) => [name, values(field)])) };
  }
}
