/** What somebody writes again and again to say that it lives. */
interface Pulse {
  readonly id: string;
  /** Nothing more is to come. */
  readonly leaving?: true;
}

interface Known<T> {
  readonly record: T;
  readonly revision: number;
  /** Looks in a row that found no newer record. */
  silent: number;
}

/**
 * Which processes live, told from the records that they write again and again: one that has written nothing new for some looks in a
 * row does not. Looks are counted, not time, and they are made by a process that could read what the others write: so neither a
 * wall clock, nor an outage of the registry, nor a pause of this process has anybody taken for dead (spec I10). Nor has the expiry
 * of a record, which goes by the clock of a server.
 */
export class Liveness<T extends Pulse> {
  readonly #maxSilent: number;
  readonly #known = new Map<string, Known<T>>();
  /** Last revision of those that count as dead: their record may still be there. */
  readonly #buried = new Map<string, number>();

  /** After so many silent looks somebody counts as dead. */
  constructor(maxSilentLooks: number) {
    this.#maxSilent = maxSilentLooks;
  }

  /** Those that live, in a fixed order. */
  get live(): readonly T[] {
    return [...this.#known.values()].map(({ record }) => record).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** A record was read; whether it is new is for its revision to say. True when it tells something new. */
  read(record: T, revision: number): boolean {
    const before = this.#known.get(record.id);
    if ((before?.revision ?? this.#buried.get(record.id)) === revision) return false;
    this.#buried.delete(record.id);
    this.#known.set(record.id, { record, revision, silent: 0 });
    return before === undefined || JSON.stringify(before.record) !== JSON.stringify(record);
  }

  /** All records that there are have been read. True when somebody has died. */
  looked(): boolean {
    let died = false;
    for (const [id, known] of this.#known) {
      known.silent += 1;
      if (known.silent <= this.#maxSilent && known.record.leaving !== true) continue;
      this.#known.delete(id);
      this.#buried.set(id, known.revision);
      died = true;
    }
    return died;
  }
}
