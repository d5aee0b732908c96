import { keepConditionRecord, type Registries } from '@shapecast/messaging';
import type { Telemetry } from '@shapecast/telemetry';
import { ProblemGauge } from '../telemetry/problem-gauge.ts';
import { ConditionBoard, type Clock, type Logger } from '@shapecast/service-kit';

interface ProblemDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry: Telemetry;
}

interface Told {
  readonly board: ConditionBoard;
  readonly abort: AbortController;
  readonly gauge: ProblemGauge;
}

/** Tells the other processes why a source is not replicated where nothing runs that could tell it. */
export class ProblemRecords {
  readonly #deps: ProblemDeps;
  readonly #instance: string;
  readonly #told = new Map<string, Told>();

  constructor(deps: ProblemDeps, instance: string) {
    this.#deps = deps;
    this.#instance = instance;
  }

  /** One sentence, or nothing when all is well, or others tell it. */
  set(source: string, problem: string | undefined): void {
    const told = this.#told.get(source);
    if (problem === undefined) {
      told?.abort.abort();
      told?.gauge.set(undefined);
      this.#told.delete(source);
      return;
    }
    const board = told?.board ?? new ConditionBoard(this.#deps.clock);
    board.set('pg_lock_acquired', false, problem);
    board.set('replication_client_ready', false, problem);
    if (told !== undefined) return;
    const abort = new AbortController();
    const gauge = new ProblemGauge(this.#deps.telemetry, source);
    gauge.set('not_running');
    this.#told.set(source, { board, abort, gauge });
    const place = { source, instance: this.#instance };
    const read = () => ({ role: 'replicator', conditions: board.report() }) as const;
    void keepConditionRecord(this.#deps, place, read, abort.signal);
  }

  /** Those that are told of. */
  get sources(): readonly string[] {
    return [...this.#told.keys()];
  }

  stop(): void {
    for (const source of this.sources) this.set(source, undefined);
  }
}
