import { randomUUID } from 'node:crypto';
import { Complaints, type Clock, type Component, type Logger } from '@shapecast/service-kit';
import type { Hints } from './hints.ts';
import { addUsage, decodeUsageReport, type SourceUsage, type UsageCounter, type UsageReport } from './source-usage.ts';
import { USAGE_ASK_SUBJECT, USAGE_SUBJECT, usageAnswerSubject } from './subjects.ts';
import { CHARTED, UsageHistory, type UsageSeries } from './usage-history.ts';
import { decodeAnswer, encodeQuestion, type DetailAnswer, type DetailName } from './usage-question.ts';
import { ProcessUsage, type UsageRates } from './usage-rates.ts';

const SAMPLE_MS = 2_000;
/** Reports come every two seconds, also from a process with no news. */
const SILENT_MS = 10_000;
/** Whoever has not answered a question by then is left out. */
const ANSWER_MS = 1_500;
const ASKED = { readers: 'api', matching: 'router' } as const satisfies Record<DetailName, UsageReport['role']>;
const MAX_PROCESSES = 1_000;
const MAX_SOURCES = 10_000;

interface BoardDeps {
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A source over all living processes. */
export interface SourceSums {
  readonly usage: SourceUsage;
  /** Of counters, per second. */
  readonly rates: UsageRates;
  /** That have anything to do with it. */
  readonly processes: number;
}

/** A process that reports. */
export interface ReportingProcess {
  readonly process: string;
  readonly role: UsageReport['role'];
  readonly uptimeMs: number;
  readonly sources: readonly string[];
}

const NO_SUMS: SourceSums = { usage: {}, rates: {}, processes: 0 };

/**
 * What all processes do for each source: hears their reports and keeps the sums of the latest, and some minutes of history for charts.
 * A process that is silent for ten seconds is gone. Bounded: processes and sources beyond what fits are left out.
 */
export class UsageBoard implements Component {
  readonly name = 'usage board';
  readonly #deps: BoardDeps;
  readonly #complaints: Complaints;
  readonly #processes = new Map<string, ProcessUsage>();
  #sums = new Map<string, SourceSums>();
  readonly #histories = new Map<string, UsageHistory>();
  readonly #listeners = new Set<() => void>();
  #unsubscribe: (() => void) | undefined;
  #cancel: (() => void) | undefined;

  constructor(deps: BoardDeps) {
    this.#deps = deps;
    this.#complaints = new Complaints(deps.clock);
  }

  start(): Promise<void> {
    const { hints } = this.#deps;
    const ask = () => hints.publish(USAGE_ASK_SUBJECT, new Uint8Array());
    this.#unsubscribe = hints.subscribe(USAGE_SUBJECT, (payload) => this.#take(payload), ask);
    ask();
    this.#next();
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#cancel?.();
    return Promise.resolve();
  }

  /** As of the last sample, at most two seconds ago. All of them empty when no process has to do with the source. */
  sumsOf(source: string): SourceSums {
    return this.#sums.get(source) ?? NO_SUMS;
  }

  historyOf(source: string): UsageSeries {
    return (this.#histories.get(source) ?? new UsageHistory()).series(SAMPLE_MS);
  }

  processes(): readonly ReportingProcess[] {
    return [...this.#processes].map(([process, { role, uptimeMs, sources }]) => ({
      ...{ process, role, uptimeMs },
      sources: [...sources],
    }));
  }

  /** Asks all processes that have something to do with a source; those that do not answer in time are left out. */
  async ask(source: string, what: DetailName, most: number): Promise<readonly DetailAnswer[]> {
    const { hints, clock } = this.#deps;
    const asked = [...this.#processes.values()].filter(
      (process) => process.role === ASKED[what] && process.usageOf(source) !== undefined,
    ).length;
    if (asked === 0) return [];
    const id = randomUUID();
    const answers: DetailAnswer[] = [];
    const enough = Promise.withResolvers<void>();
    const cancel = clock.after(ANSWER_MS, enough.resolve);
    const take = (payload: Uint8Array) => {
      const answer = decodeAnswer(payload);
      if (answer !== undefined) answers.push(answer);
      if (answers.length >= asked) enough.resolve();
    };
    const unsubscribe = hints.subscribe(usageAnswerSubject(id), take, () => undefined);
    hints.publish(USAGE_ASK_SUBJECT, encodeQuestion({ id, source, what, most }));
    await enough.promise;
    cancel();
    unsubscribe();
    return answers;
  }

  /** Calls back after each sample. The returned function stops. */
  onSample(listener: () => void): () => void {
    const own = () => listener();
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  #take(payload: Uint8Array): void {
    const report = decodeUsageReport(payload);
    if (report === undefined) {
      if (this.#complaints.failed('report')) this.#deps.log.warn({}, 'a report of usage cannot be read');
      return;
    }
    const now = this.#deps.clock.now();
    const known = this.#processes.get(report.process);
    if (report.leaving) this.#processes.delete(report.process);
    else if (known) known.take(report, now);
    else if (this.#processes.size < MAX_PROCESSES) this.#processes.set(report.process, new ProcessUsage(report, now));
    else if (this.#complaints.failed('processes')) this.#deps.log.warn({}, 'there are too many processes to show all');
  }

  #next(): void {
    this.#cancel = this.#deps.clock.after(SAMPLE_MS, () => {
      this.#sample();
      this.#next();
    });
  }

  #sample(): void {
    const { clock, log } = this.#deps;
    for (const [id, { seenAt }] of this.#processes) {
      if (clock.now() - seenAt > SILENT_MS) this.#processes.delete(id);
    }
    this.#sums = this.#sumUp();
    for (const [source, sums] of this.#sums) {
      const history = this.#histories.get(source) ?? new UsageHistory();
      this.#histories.set(source, history);
      history.add(CHARTED.map((name) => sums.rates[name as UsageCounter] ?? gaugeOf(sums, name)));
    }
    for (const [source, history] of this.#histories) {
      if (this.#sums.has(source)) continue;
      history.add([]);
      if (history.isEmpty) this.#histories.delete(source);
    }
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (err) {
        log.error({ err }, 'whoever follows the usage of sources failed');
      }
    }
  }

  #sumUp(): Map<string, SourceSums> {
    const all = new Map<string, SourceSums>();
    for (const process of this.#processes.values()) {
      for (const source of process.sources) {
        const usage = process.usageOf(source);
        if (usage === undefined) continue;
        const rates = process.ratesOf(source);
        const before = all.get(source);
        if (before === undefined && all.size >= MAX_SOURCES) continue;
        all.set(
          source,
          before === undefined
            ? { usage, rates, processes: 1 }
            : {
                usage: addUsage(before.usage, usage),
                rates: addUsage({ counters: before.rates }, { counters: rates }).counters ?? {},
                processes: before.processes + 1,
              },
        );
      }
    }
    return all;
  }
}

function gaugeOf({ usage }: SourceSums, name: (typeof CHARTED)[number]): number | undefined {
  const { counters = {}, gauges = {} } = usage as { counters?: Numbers; gauges?: Numbers };
  // A counter that is there and did not grow.
  return name in counters ? 0 : gauges[name];
}

type Numbers = Readonly<Record<string, number | undefined>>;
