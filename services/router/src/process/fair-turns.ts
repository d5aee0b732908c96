/** Somebody's turn. */
export interface Turn {
  /** Bytes that it is for. Whoever cannot divide its work may take more, and waits for longer next time. */
  readonly bytes: number;
  /** It is over, and was for so many bytes. To be called once. */
  readonly end: (bytes: number) => void;
}

export interface FairTurnsOptions {
  /** What a source may do in one turn while others have work as well, and what it gets in each round. */
  readonly quantumBytes: number;
  /** Turns at a time while several sources have work: what is on its way to the store. */
  readonly atOnce: number;
  /** How long turns may follow one another before everything else in the process gets its chance (spec O 4.6). */
  readonly maxBusyMs: number;
}

interface Parts {
  readonly now: () => number;
  /** Calls back once everything else that is due has had its chance. */
  readonly later: (callback: () => void) => void;
}

interface Lane {
  /** What it may still do in this round; below zero after it did more. */
  credit: number;
  readonly waiting: ((turn: Turn) => void)[];
  running: number;
  /** When it last had a turn. */
  activeAt: number;
}

const DEFAULT_TURNS: FairTurnsOptions = { quantumBytes: 64 * 1024, atOnce: 2, maxBusyMs: 10 };
/** A source that did nothing for as long does not count as having work. */
const IDLE_MS = 1_000;

/**
 * Whose transactions are applied next: sources in turn, each for about as many bytes (deficit round robin, spec O 4.6). A source with a
 * hundred times the work of the others gets all that they leave, and no more. What a turn cost is known after it: a source that
 * overdrew sits out as many rounds. Work is only what goes through here: who waits here waits for nobody who waits for I/O, except
 * that no more than some turns are on their way at a time, as the store takes one call after the other. A source that is alone has no
 * bounds.
 */
export class FairTurns {
  readonly #options: FairTurnsOptions;
  readonly #parts: Parts;
  /** In the order of the round. Those that had no work for a while leave, whatever they owe. */
  readonly #lanes = new Map<string, Lane>();
  #running = 0;
  /** Since when turns follow one another. */
  #busySince: number | undefined;
  #resting = false;
  #waiting = 0;

  constructor(parts: Parts, options: FairTurnsOptions = DEFAULT_TURNS) {
    this.#parts = parts;
    this.#options = options;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** When it is the source's turn: at once, or later. Every turn is ended, so that this does not take for ever. */
  take(source: string): Turn | Promise<Turn> {
    let turn: Turn | undefined;
    const waiting = Promise.withResolvers<Turn>();
    this.#lane(source).waiting.push((given) => {
      turn = given;
      waiting.resolve(given);
    });
    this.#waiting += 1;
    this.#pump();
    return turn ?? waiting.promise;
  }

  #lane(source: string): Lane {
    const found = this.#lanes.get(source);
    if (found) return found;
    const lane: Lane = { credit: this.#options.quantumBytes, waiting: [], running: 0, activeAt: -Infinity };
    this.#lanes.set(source, lane);
    return lane;
  }

  #pump(): void {
    while (!this.#resting && this.#waiting > 0) {
      const [source, lane] = this.#next();
      const now = this.#parts.now();
      const contended = this.#isContended(source, now);
      if (contended && this.#running >= this.#options.atOnce) return;
      this.#start(source, lane, contended ? this.#options.quantumBytes : Infinity);
    }
  }

  /** The first one with work and credit. When nobody has credit, rounds pass until somebody does. */
  #next(): readonly [string, Lane] {
    for (;;) {
      let least = -Infinity;
      for (const [source, lane] of this.#lanes) {
        if (lane.waiting.length === 0) continue;
        if (lane.credit > 0) return [source, lane];
        least = Math.max(least, lane.credit);
      }
      const rounds = Math.floor(-least / this.#options.quantumBytes) + 1;
      for (const lane of this.#lanes.values()) this.#topUp(lane, rounds);
    }
  }

  /** What is not used in a round is not kept. */
  #topUp(lane: Lane, rounds: number): void {
    const { quantumBytes } = this.#options;
    lane.credit = Math.min(quantumBytes, lane.credit + rounds * quantumBytes);
  }

  #start(source: string, lane: Lane, bytes: number): void {
    const now = this.#parts.now();
    this.#waiting -= 1;
    lane.activeAt = now;
    lane.running += 1;
    this.#running += 1;
    this.#busySince ??= now;
    const grant = lane.waiting.shift() as (turn: Turn) => void;
    grant({ bytes, end: (used) => this.#end(source, lane, used) });
    this.#restIfLong(now);
  }

  #end(source: string, lane: Lane, used: number): void {
    this.#running -= 1;
    lane.running -= 1;
    lane.activeAt = this.#parts.now();
    lane.credit -= used;
    if (lane.credit <= 0) {
      // To the end of the round.
      this.#lanes.delete(source);
      this.#lanes.set(source, lane);
    }
    if (this.#running === 0 && this.#waiting === 0) this.#busySince = undefined;
    this.#restIfLong(lane.activeAt);
    this.#pump();
  }

  /** Others have work, or had some a moment ago: turns are short, so that none of them waits for long. */
  #isContended(source: string, now: number): boolean {
    for (const [other, lane] of this.#lanes) {
      if (other === source) continue;
      if (lane.waiting.length > 0 || lane.running > 0 || now - lane.activeAt < IDLE_MS) return true;
      this.#lanes.delete(other);
    }
    return false;
  }

  #restIfLong(now: number): void {
    if (this.#resting || now - (this.#busySince ?? now) < this.#options.maxBusyMs) return;
    this.#resting = true;
    this.#parts.later(() => {
      this.#resting = false;
      this.#busySince = this.#running > 0 ? this.#parts.now() : undefined;
      this.#pump();
    });
  }
}
