import type { Clock } from '@shapecast/service-kit';

/** How far a snapshot is, for the log and the health report. */
export interface SnapshotReport {
  readonly table: string;
  readonly handle: string;
  /** How long its transaction, which keeps Postgres from cleaning up, is open. */
  readonly ageMs: number;
  readonly rows: number;
  /** Of the whole table, where the planner has an idea. */
  readonly estimatedRows?: number;
  readonly bytes: number;
  readonly rowsPerSecond: number;
}

/** Counts what one snapshot has read. */
export class SnapshotProgress {
  readonly #clock: Clock;
  readonly #table: string;
  readonly #handle: string;
  readonly #startedAt: number;
  rows = 0;
  /** Encoded. */
  bytes = 0;
  estimatedRows: number | undefined;
  /** Readers can see rows of it. */
  readable = false;

  constructor(clock: Clock, table: string, handle: string) {
    this.#clock = clock;
    this.#table = table;
    this.#handle = handle;
    this.#startedAt = clock.now();
  }

  report(): SnapshotReport {
    const ageMs = this.#clock.now() - this.#startedAt;
    return {
      table: this.#table,
      handle: this.#handle,
      ageMs,
      rows: this.rows,
      ...(this.estimatedRows === undefined ? {} : { estimatedRows: this.estimatedRows }),
      bytes: this.bytes,
      rowsPerSecond: Math.round((this.rows * 1_000) / Math.max(1, ageMs)),
    };
  }
}
