import type { Counter, Metrics } from '@shapecast/telemetry';

/** In place of the status of a request whose client left before its answer began. */
export const ABORTED = 0;
/** In place of that of an answer that broke off on our side: its status had been sent, and was not kept. */
export const CUT = 1;

/** How a request was answered. */
export interface RequestOutcome {
  /** Of HTTP, `ABORTED` or `CUT`. */
  readonly status: number;
  readonly live: boolean;
  /** Brought no entries. */
  readonly empty: boolean;
  /** A failure that is expected now and then, and not of this process's making. */
  readonly knownError: boolean;
}

const METRIC = 'electric.plug.serve_shape.requests.count';

/** Counts requests by how they were answered. Cells are made when a combination comes for the first time, and found by a number. */
export class RequestCells {
  readonly #metrics: Metrics;
  readonly #source: string;
  readonly #cells = new Map<number, Counter>();

  constructor(metrics: Metrics, source: string) {
    this.#metrics = metrics;
    this.#source = source;
  }

  count(outcome: RequestOutcome): void {
    const { status, live, empty, knownError } = outcome;
    const key = status * 8 + (live ? 4 : 0) + (empty ? 2 : 0) + (knownError ? 1 : 0);
    const cell = this.#cells.get(key) ?? this.#make(key, outcome);
    cell.add();
  }

  #make(key: number, { status, live, empty, knownError }: RequestOutcome): Counter {
    const cell = this.#metrics.counter(METRIC, {
      source: this.#source,
      status: status === ABORTED ? 'aborted' : status === CUT ? 'cut' : String(status),
      known_error: String(knownError),
      live: String(live),
      empty: String(empty),
    });
    this.#cells.set(key, cell);
    return cell;
  }
}
