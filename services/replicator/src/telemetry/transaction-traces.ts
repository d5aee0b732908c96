import type { Lsn, Relation, TransactionPart } from '@shapecast/log';
import { wallTime, type Clock } from '@shapecast/service-kit';
import type { Span, Tracing } from '@shapecast/telemetry';

/** A transaction that is traced, from its first part to the acknowledgement of its last. */
interface TracedTransaction {
  readonly span: Span;
  readonly receivedMs: number;
  changes: number;
  readonly relations: Set<number>;
}

/** What is traced of a record. */
export interface RecordTrace {
  /** Of the newest transaction in it that is traced; goes with the record. */
  readonly traceparent: string | undefined;
  readonly transactions: readonly Span[];
  /** Of every transaction one, while the record is on its way. */
  publishing: readonly Span[];
  retries: number;
}

/** Beyond so many at a time none is begun: a transaction may be as long as it likes. */
const MAX_OPEN = 64;

/**
 * Traces of transactions from Postgres into the tx stream (spec O 6.4): a span of its own for each that is sampled, which begins with its
 * commit, and below it one for each record that it is in. One decision a transaction, and nothing at all where nothing is traced.
 */
export class TransactionTraces {
  readonly #tracing: Tracing;
  readonly #clock: Clock;
  readonly #source: string;
  readonly #open = new Map<Lsn, TracedTransaction>();

  constructor(tracing: Tracing, clock: Clock, source: string) {
    this.#tracing = tracing;
    this.#clock = clock;
    this.#source = source;
  }

  /** Parts have come from Postgres. */
  received(parts: readonly TransactionPart[]): void {
    if (!this.#tracing.enabled) return;
    for (const part of parts) {
      if (part.begin) this.#begin(part);
      if (this.#open.size === 0) continue;
      const traced = this.#open.get(part.lsn);
      if (traced === undefined) continue;
      traced.changes += part.changes.length;
      for (const { relation } of part.changes) traced.relations.add(relation.oid);
      if (!part.commit) continue;
      traced.span.set({ num_changes: traced.changes, num_relations: traced.relations.size });
    }
  }

  relation({ oid, schema, name }: Relation): void {
    if (!this.#tracing.enabled) return;
    const attributes = { source_id: this.#source, 'rel.id': oid, 'rel.schema': schema, 'rel.name': name };
    this.#tracing.start('pg_txn.replication_client.relation_received', { attributes }).end();
  }

  /** All of a transaction is in the stream already. */
  dropped(lsn: Lsn): void {
    const traced = this.#open.get(lsn);
    if (traced === undefined) return;
    traced.span.set({ 'txn.is_dropped': true });
    this.#end(lsn, traced);
  }

  /** Of a record made of these parts; undefined when it has nothing that is traced. */
  record(parts: readonly TransactionPart[]): RecordTrace | undefined {
    if (this.#open.size === 0) return undefined;
    const transactions = parts.flatMap(({ lsn }) => this.#open.get(lsn)?.span ?? []);
    const traceparent = transactions.at(-1)?.traceparent;
    return transactions.length === 0 ? undefined : { traceparent, transactions, publishing: [], retries: 0 };
  }

  /** A record is sent, for the first time or again. */
  sent(trace: RecordTrace, sequence: number, bytes: number): void {
    if (trace.publishing.length > 0) {
      trace.retries += 1;
      return;
    }
    const attributes = { sequence, bytes };
    trace.publishing = trace.transactions.map((parent) =>
      this.#tracing.start('replicator.publish', { parent, kind: 'producer', attributes }),
    );
  }

  /** The record with this sequence is stored. */
  stored(trace: RecordTrace, sequence: number): void {
    for (const span of trace.publishing) {
      span.set({ sequence, retries: trace.retries });
      span.end();
    }
    trace.publishing = [];
  }

  /** Whether it is stored nobody will know. */
  failed(trace: RecordTrace, why: Error): void {
    for (const span of trace.publishing) {
      span.set({ retries: trace.retries });
      span.fail(why);
      span.end();
    }
    trace.publishing = [];
  }

  /** The stream holds every transaction that commits below. */
  held(below: Lsn): void {
    if (this.#open.size === 0) return;
    for (const [lsn, traced] of this.#open) if (lsn < below) this.#end(lsn, traced);
  }

  /** Nothing more is published; Postgres will send what is not stored again. */
  abandon(why: Error): void {
    for (const [lsn, traced] of this.#open) {
      traced.span.fail(why);
      this.#end(lsn, traced);
    }
  }

  #begin({ lsn, xid, commitTimeUs }: TransactionPart): void {
    if (this.#open.size >= MAX_OPEN) return;
    const startMs = Number(commitTimeUs) / 1_000;
    const span = this.#tracing.start('pg_txn.replication_client.transaction_received', { startMs, kind: 'consumer' });
    if (!span.recorded) return;
    const receivedMs = wallTime(this.#clock);
    const { changes, relations } = { changes: 0, relations: new Set<number>() };
    span.set({
      source_id: this.#source,
      xid: String(BigInt.asUintN(32, xid)),
      lsn: String(lsn),
      'receive_lag.duration_µs': Math.max(0, Math.round((receivedMs - startMs) * 1_000)),
      'txn.is_dropped': false,
    });
    this.#open.set(lsn, { span, receivedMs, changes, relations });
  }

  #end(lsn: Lsn, { span, receivedMs }: TracedTransaction): void {
    this.#open.delete(lsn);
    // Microseconds, as the reference has it.
    span.set({ total_processing_time: Math.max(0, (wallTime(this.#clock) - receivedMs) * 1_000) });
    span.end();
  }
}
