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
  /** Rows that earlier attempts had stored, which are not read again; absent when this one began at the beginning. */
  readonly resumedAt?: number;
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
  /** And another attempt could go on behind them. */
  resumable = false;
  #resumedAt: number | undefined;

  constructor(clock: Clock, table: string, handle: string) {
    this.#clock = clock;
    this.#table = table;
    this.#handle = handle;
    this.#startedAt = clock.now();
  }

  /** Goes on where an earlier attempt was. */
  resume({ rows, bytes }: { readonly rows: number; readonly bytes: number }): void {
    this.rows = rows;
    this.bytes = bytes;
    this.#resumedAt = rows;
  }

  report(): SnapshotReport {
    const ageMs = this.#clock.now() - this.#startedAt;
    const resumedAt = this.#resumedAt;
    const read = this.rows - (resumedAt ?? 0);
    return {
      table: this.#table,
      handle: this.#handle,
      ageMs,
      rows: this.rows,
      ...(this.estimatedRows === undefined ? {} : { estimatedRows: this.estimatedRows }),
      bytes: this.bytes,
      rowsPerSecond: Math.round((read * 1_000) / Math.max(1, ageMs)),
      ...(resumedAt === undefined ? {} : { resumedAt }),
    };
  }
}
