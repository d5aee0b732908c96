import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { isShapecastError } from '@shapecast/errors';
import type { DescribedRelation } from '../pgoutput/decoder.ts';

export interface RelationKeysDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Names of the primary key's columns in key order, as the catalog has it now; empty without one or without the table. */
  readonly readPrimaryKey: (oid: number, signal: AbortSignal) => Promise<string[]>;
  readonly pause: () => void;
  readonly resume: () => void;
}

/**
 * Completes relations with their key columns. pgoutput does not tell them: with REPLICA IDENTITY FULL it marks every column.
 * While a lookup runs, reading pauses; what was read already is decoded and waits for it. The database being away is waited
 * out, a table that is gone keys by all columns (spec R 10.3.7).
 */
export class RelationKeys {
  readonly #deps: RelationKeysDeps;
  readonly #signal: AbortSignal;
  readonly #backoff: Backoff;
  #pending: Promise<void> | undefined;

  constructor(deps: RelationKeysDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#backoff = new Backoff(deps.clock, { minMs: 100, maxMs: 5_000 });
  }

  /** Settles once every relation given so far is complete; undefined when nothing is pending. Rejects on abort. */
  readonly ready = (): Promise<void> | undefined => this.#pending;

  complete(relation: DescribedRelation): void {
    this.#deps.pause();
    const before = this.#pending;
    const pending: Promise<void> = this.#lookUp(relation, before).then(() => {
      if (this.#pending !== pending) return;
      this.#pending = undefined;
      this.#deps.resume();
    });
    // Whoever delivers awaits it too; without a delivery the rejection must not count as unhandled.
    pending.catch(() => {});
    this.#pending = pending;
  }

  async #lookUp(relation: DescribedRelation, before: Promise<void> | undefined): Promise<void> {
    await before;
    relation.keyColumns = keyOrdinals(relation, await this.#read(relation.oid));
  }

  async #read(oid: number): Promise<string[]> {
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const names = await this.#deps.readPrimaryKey(oid, this.#signal);
        this.#backoff.reset();
        return names;
      } catch (error) {
        this.#signal.throwIfAborted();
        const code = isShapecastError(error) ? error.details['type'] : undefined;
        this.#deps.log.warn({ oid, code, attempt: this.#backoff.attempt }, 'key lookup failed, the stream waits');
        await this.#backoff.wait(this.#signal);
      }
    }
  }
}

/** A key column that the relation does not have was added or renamed since; then, as without a key, all columns count. */
function keyOrdinals(relation: DescribedRelation, names: readonly string[]): readonly number[] {
  const ordinals = names.map((name) => relation.columns.findIndex((column) => column.name === name));
  return ordinals.includes(-1) ? [] : ordinals;
}
