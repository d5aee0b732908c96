import { percentile, mergeInto, type Histogram } from '../lib/histogram.ts';
import type { Plan } from '../lib/plan.ts';
import type { Finals, WriterState } from '../lib/reports.ts';
import type { WriterFigures } from '../report/result.ts';
import { SourceWriter } from './source-writer.ts';

export interface WriterTarget {
  /** '' where there is only one source. */
  readonly source: string;
  readonly databaseUrl: string;
}

/** All writers of a run: they begin together, once every reader that they wait for has said that it is up to date. */
export class WriterRun {
  readonly #writers: ReadonlyMap<string, SourceWriter>;
  readonly #expected: number;
  readonly #stop = new AbortController();
  #ready = 0;
  #state: WriterState = { state: 'waiting', startedMs: undefined, problem: undefined };
  #finals: Finals | undefined;
  #running: Promise<void> | undefined;

  private constructor(plan: Plan, writers: ReadonlyMap<string, SourceWriter>) {
    this.#writers = writers;
    this.#expected = plan.readers
      .filter(({ fromPhase = 0 }) => fromPhase === 0)
      .reduce((sum, { subscribers }) => sum + subscribers, 0);
  }

  /** Makes the tables of all targets. */
  static async open(plan: Plan, targets: readonly WriterTarget[]): Promise<WriterRun> {
    const writers = new Map<string, SourceWriter>();
    for (const writerPlan of plan.writers) {
      const source = writerPlan.source ?? '';
      const target = targets.find((each) => each.source === source) ?? (source === '' ? targets[0] : undefined);
      if (target === undefined) throw new Error(`no database was given for source ${source}`);
      writers.set(source, await SourceWriter.open(writerPlan, target.databaseUrl));
    }
    return new WriterRun(plan, writers);
  }

  get state(): WriterState {
    return this.#state;
  }

  /** What Postgres has, once everything is written. */
  get finals(): Finals | undefined {
    return this.#finals;
  }

  /** So many readers more are up to date. */
  ready(readers: number): void {
    this.#ready += readers;
    if (this.#ready >= this.#expected) this.start();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  figures(): WriterFigures {
    const startedMs = this.#state.startedMs ?? Date.now();
    const lateness: Histogram = {};
    const perSecond: number[] = [];
    for (const writer of this.#writers.values()) {
      mergeInto(lateness, writer.lateness);
      for (const [second, rows] of writer.perSecond) {
        const at = Math.max(0, second - Math.floor(startedMs / 1_000));
        perSecond[at] = (perSecond[at] ?? 0) + rows;
      }
    }
    const writers = [...this.#writers.values()];
    return {
      written: writers.reduce((sum, { written }) => sum + written, 0),
      dropped: writers.reduce((sum, { dropped }) => sum + dropped, 0),
      lateP50Ms: percentile(lateness, 0.5) ?? 0,
      lateP99Ms: percentile(lateness, 0.99) ?? 0,
      perSecond: Array.from(perSecond, (rows = 0) => rows),
    };
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    await Promise.all([...this.#writers.values()].map((writer) => writer.close()));
  }

  async #run(): Promise<void> {
    this.#state = { state: 'writing', startedMs: Date.now(), problem: undefined };
    try {
      await Promise.all([...this.#writers.values()].map((writer) => writer.run(this.#stop.signal)));
      const finals = [...this.#writers].map(async ([source, writer]) => [source, await writer.totals()] as const);
      this.#finals = Object.fromEntries(await Promise.all(finals));
      this.#state = { ...this.#state, state: 'quiet' };
    } catch (error) {
      this.#state = {
        ...this.#state,
        state: 'failed',
        problem: error instanceof Error ? error.message : String(error),
      };
    }
  }
}
