import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { isShapecastError } from '@shapecast/errors';
import type { Ancestor, Relation } from '@shapecast/log';
import type { DescribedRelation } from '../pgoutput/decoder.ts';
import type { AncestorFacts, RelationFacts } from '../sql/inheritance.ts';

export interface RelationLookupDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** What the catalog has now of the relation that the transaction with this id described. */
  readonly readFacts: (oid: number, xid: bigint, signal: AbortSignal) => Promise<RelationFacts>;
  /** Relations that this transaction may have changed in the catalog; undefined when it is not seen running. */
  readonly readDdlLocks: (xid: bigint, signal: AbortSignal) => Promise<ReadonlySet<number> | undefined>;
  /** The relation is complete; its changes are delivered from now on. */
  readonly onComplete: (relation: Relation) => void;
  readonly pause: () => void;
  readonly resume: () => void;
}

/**
 * Between the record of a commit and its showing to others are microseconds, unless it waits for a standby. So long nobody is
 * asked for locks, which is work for a server that has many.
 */
const SHOWS_WITHIN_MS = 200;

/**
 * Completes relations with what pgoutput does not tell: their key columns (with REPLICA IDENTITY FULL it marks every column)
 * and the tables above them. From here on both travel with the changes, so that whoever reads those again finds the same.
 *
 * While a lookup runs, reading pauses; what was read already is decoded and waits for it. The database being away is waited
 * out, a table that is gone keys by all columns (spec R 10.3.7).
 *
 * A transaction can be streamed long before others see it: its commit waits for a synchronous standby. What it did to the table
 * does not show then, but whether it did anything does: until others see it, it keeps its locks, and whatever changes a table in
 * the catalog takes one that writing rows does not. Without such a lock on the table and those above it, what shows is right,
 * and the stream goes on. With one, nobody but that transaction knows the key, or the tables above whose shapes would miss its
 * rows, so that the stream has to wait (ADR 0020).
 */
export class RelationLookup {
  readonly #deps: RelationLookupDeps;
  readonly #signal: AbortSignal;
  readonly #backoff: Backoff;
  /** By table, ancestor and transaction: the first snapshot that was known to see the table join. */
  readonly #seen = new Map<string, bigint>();
  #pending: Promise<void> | undefined;

  constructor(deps: RelationLookupDeps, signal: AbortSignal) {
    this.#deps = deps;
    this.#signal = signal;
    this.#backoff = new Backoff(deps.clock, { minMs: 20, maxMs: 5_000 });
  }

  /** Settles once every relation given so far is complete; undefined when nothing is pending. Rejects on abort. */
  readonly ready = (): Promise<void> | undefined => this.#pending;

  /** `xid` is the 64-bit id of the transaction that the relation was described in. */
  complete(relation: DescribedRelation, xid: bigint): void {
    this.#deps.pause();
    const before = this.#pending;
    const pending: Promise<void> = this.#lookUp(relation, xid, before).then(() => {
      if (this.#pending !== pending) return;
      this.#pending = undefined;
      this.#deps.resume();
    });
    // Whoever delivers awaits it too; without a delivery the rejection must not count as unhandled.
    pending.catch(() => {});
    this.#pending = pending;
  }

  async #lookUp(relation: DescribedRelation, xid: bigint, before: Promise<void> | undefined): Promise<void> {
    await before;
    const { primaryKey, ancestors, xmax, published } = await this.#read(relation.oid, xid);
    relation.keyColumns = keyOrdinals(relation.columns, primaryKey);
    if (ancestors.length > 0) relation.ancestors = ancestors.map((facts) => this.#ancestor(relation, facts, xmax));
    relation.published = published;
    this.#deps.onComplete(relation);
  }

  async #read(oid: number, xid: bigint): Promise<RelationFacts> {
    const { clock, log } = this.#deps;
    const since = clock.now();
    let told = false;
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        const late = clock.now() - since >= SHOWS_WITHIN_MS;
        // The locks first: what is not seen after that was running then, and had all of them.
        const locked = late ? await this.#deps.readDdlLocks(xid, this.#signal) : undefined;
        const facts = await this.#deps.readFacts(oid, xid, this.#signal);
        if (facts.visible || (locked && !isTouched(oid, facts, locked))) {
          this.#backoff.reset();
          return facts;
        }
        if (late && !told) {
          log.warn(
            { oid, xid: String(xid) },
            'the stream waits for a transaction with DDL whose commit does not show yet',
          );
          told = true;
        }
      } catch (error) {
        this.#signal.throwIfAborted();
        const code = isShapecastError(error) ? error.details['type'] : undefined;
        log.warn({ oid, code, attempt: this.#backoff.attempt }, 'key lookup failed, the stream waits');
      }
      await this.#backoff.wait(this.#signal);
    }
  }

  #ancestor(relation: Relation, { oid, columns, primaryKey, joinedXid }: AncestorFacts, xmax: bigint): Ancestor {
    const ordinals = ordinalsIn(relation, columns);
    const own = ordinals.map((ordinal) => relation.columns[ordinal] as Relation['columns'][number]);
    const same = ordinals.length === relation.columns.length && ordinals.every((ordinal, i) => ordinal === i);
    return {
      oid,
      ...(same ? {} : { columns: ordinals }),
      keyColumns: keyOrdinals(own, primaryKey),
      ...(joinedXid === undefined
        ? {}
        : { joined: { xid: joinedXid, seenXmax: this.#seenXmax(relation.oid, oid, joinedXid, xmax) } }),
    };
  }

  /** Postgres repeats descriptions at will: what is known of one attachment must not grow later with each of them. */
  #seenXmax(oid: number, ancestor: number, joinedXid: bigint, xmax: bigint): bigint {
    const key = `${oid}/${ancestor}/${joinedXid}`;
    const seen = this.#seen.get(key) ?? xmax;
    this.#seen.set(key, seen);
    return seen;
  }
}

function isTouched(oid: number, { ancestors }: RelationFacts, locked: ReadonlySet<number>): boolean {
  return locked.has(oid) || ancestors.some((ancestor) => locked.has(ancestor.oid));
}

/** Ordinals of those of the ancestor's columns that the relation had when it was described (spec R 7.15: by name). */
function ordinalsIn(relation: Relation, names: readonly string[]): number[] {
  const ordinals = new Map(relation.columns.map((column, ordinal) => [column.name, ordinal]));
  return names.flatMap((name) => ordinals.get(name) ?? []);
}

/** A key column that the relation does not have was added or renamed since; then, as without a key, all columns count. */
function keyOrdinals(columns: Relation['columns'], names: readonly string[]): readonly number[] {
  const ordinals = names.map((name) => columns.findIndex((column) => column.name === name));
  return ordinals.includes(-1) ? [] : ordinals;
}
