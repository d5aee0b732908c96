import { isUsageCounter, type SourceUsage, type UsageCounter, type UsageReport } from './source-usage.ts';

export type UsageRates = Readonly<Partial<Record<UsageCounter, number>>>;

interface Told {
  usage: SourceUsage;
  rates: UsageRates;
  /** Of the report that it is from. */
  uptimeMs: number;
}

const NO_RATES: UsageRates = {};

/** What one process has told, and how fast its counters grow. */
export class ProcessUsage {
  readonly role: UsageReport['role'];
  /** Of the clock of whoever listens. */
  seenAt: number;
  #uptimeMs: number;
  #beforeMs: number | undefined;
  readonly #sources = new Map<string, Told>();

  constructor(report: UsageReport, now: number) {
    this.role = report.role;
    this.seenAt = now;
    this.#uptimeMs = report.uptimeMs;
    this.take(report, now);
  }

  get uptimeMs(): number {
    return this.#uptimeMs;
  }

  get sources(): Iterable<string> {
    return this.#sources.keys();
  }

  /** A report that comes in several messages has the same uptime in all of them. */
  take({ uptimeMs, sources }: UsageReport, now: number): void {
    this.seenAt = now;
    if (uptimeMs < this.#uptimeMs) {
      // Another process of the same name: its counters began anew.
      this.#sources.clear();
      this.#beforeMs = undefined;
    } else if (uptimeMs > this.#uptimeMs) this.#beforeMs = this.#uptimeMs;
    this.#uptimeMs = uptimeMs;
    for (const [source, usage] of Object.entries(sources)) {
      if (Object.keys(usage).length === 0) this.#sources.delete(source);
      else this.#sources.set(source, { usage, rates: this.#rates(this.#sources.get(source), usage), uptimeMs });
    }
  }

  usageOf(source: string): SourceUsage | undefined {
    return this.#sources.get(source)?.usage;
  }

  /** Per second. A source that was not in the last report has not changed since. */
  ratesOf(source: string): UsageRates {
    const told = this.#sources.get(source);
    return told === undefined || told.uptimeMs !== this.#uptimeMs ? NO_RATES : told.rates;
  }

  #rates(before: Told | undefined, { counters = {} }: SourceUsage): UsageRates {
    // What a counter was when the process was first heard of says nothing about when it grew.
    if (this.#beforeMs === undefined || before === undefined) return NO_RATES;
    if (before.uptimeMs === this.#uptimeMs) return before.rates;
    const seconds = (this.#uptimeMs - this.#beforeMs) / 1_000;
    const rates: Partial<Record<UsageCounter, number>> = {};
    for (const [name, value] of Object.entries(counters)) {
      if (!isUsageCounter(name)) continue;
      const grown = value - (before.usage.counters?.[name] ?? 0);
      // It shrinks when what runs for the source was started anew.
      rates[name] = (grown < 0 ? value : grown) / seconds;
    }
    return rates;
  }
}
