import { randomUUID } from 'node:crypto';
import {
  MemoryDatabase,
  MemorySourceDatabase,
  type MemoryTransaction,
  type SourceDatabase,
} from '@shapecast/change-source';
import {
  chainAfter,
  decodeRecord,
  encodeRecord,
  POSITION_ZERO,
  type DataRecord,
  type Lsn,
  type ProgressRecord,
  type RecordChain,
  type TransactionPart,
} from '@shapecast/log';
import {
  BUCKETS,
  openMemoryMessaging,
  publishTableSubject,
  type Messaging,
  type SourceRecord,
  type TxStream,
} from '@shapecast/messaging';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { buildDefinition, buildFingerprint, definitionDigest, shardOf, type RelationInfo } from '@shapecast/shape';
import { openMemoryShapeStore, type ShapeStore, type ShardId } from '@shapecast/shape-store';
import { compileCondition, parseStoredWhere, parseWhere } from '@shapecast/where';
import type { Telemetry } from '@shapecast/telemetry';
import type { RouterProcess } from '../process/router-process.ts';
import { createRouter } from '../router.ts';
import type { Router, RouterOptions } from '../router-options.ts';

const INCARNATION = 1;

export interface ShapeRequest {
  readonly where?: string;
  readonly columns?: readonly string[];
  readonly replica?: 'default' | 'full';
  readonly log?: 'full' | 'changes_only';
  readonly chunkBytes?: number;
  readonly compaction?: boolean;
  readonly traceparent?: string;
}

export interface PlacedShape {
  readonly shard: ShardId;
  readonly handle: string;
}

/** A source in memory with everything around a router, and the tx stream written as a replicator would. */
export class Harness {
  readonly source = `test${randomUUID().slice(0, 8)}`;
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly memory = new MemoryDatabase();
  readonly database = new MemorySourceDatabase(this.memory, {
    matches: (where, row, table) => {
      const clause = parseStoredWhere(where, table.columns);
      return compileCondition(clause, table.columns)(table.columns.map(({ name }) => row[name] ?? null)) === true;
    },
  });
  readonly shards: number;
  readonly items: RelationInfo;
  readonly #routers: Router[] = [];
  #stream: TxStream | undefined;
  #chain: RecordChain = { position: POSITION_ZERO, progressLsn: 0n as Lsn };
  #lastSeq = 0;
  #written = 0n as Lsn;
  #epoch = 1;
  readonly #retain: boolean;

  /** `retain`: the database keeps every transaction, for a stream that will have to be refilled. */
  constructor(
    options: {
      readonly shards?: number;
      readonly store?: ShapeStore;
      readonly messaging?: Messaging;
      readonly retain?: boolean;
    } = {},
  ) {
    this.messaging = options.messaging ?? openMemoryMessaging(systemClock);
    this.#retain = options.retain ?? false;
    this.shards = options.shards ?? 2;
    this.store = options.store ?? openMemoryShapeStore(systemClock);
    this.items = this.memory.createTable({
      schema: 'public',
      name: 'items',
      columns: ['id', 'owner', 'note'],
      primaryKey: ['id'],
    });
  }

  get stream(): TxStream {
    if (this.#stream === undefined) throw new Error('open() was not called');
    return this.#stream;
  }

  async open(): Promise<void> {
    this.#stream = await this.messaging.txStreams.create({ source: this.source, incarnation: INCARNATION });
    await this.#publish({ kind: 'leader', holder: 'test' });
    const sources = await this.messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
    const record = { incarnation: INCARNATION, shards: this.shards, systemId: 's', timeline: 1, slotName: 'slot' };
    await sources.create(this.source, record);
    this.messaging.rpc.serve(publishTableSubject(this.source), async (request, signal) => {
      const table = request as { oid: number; schema: string; name: string };
      return { published: await this.database.publish(table, signal) };
    });
  }

  async startRouter(
    routerId: string,
    options: Partial<RouterOptions> = {},
    deps: {
      readonly store?: ShapeStore;
      readonly database?: SourceDatabase;
      readonly process?: RouterProcess;
      readonly log?: Logger;
      readonly telemetry?: Telemetry;
    } = {},
  ): Promise<Router> {
    const router = createRouter(
      {
        messaging: this.messaging,
        store: this.store,
        database: this.database,
        clock: systemClock,
        log: silentLogger,
        ...deps,
      },
      { source: this.source, routerId, heartbeatMs: 100, leaseMs: 1_000, ...options },
    );
    this.#routers.push(router);
    await router.start(new AbortController().signal);
    return router;
  }

  async stopRouters(): Promise<void> {
    for (const router of this.#routers) await router.stop();
  }

  async close(): Promise<void> {
    await this.stopRouters();
    await this.messaging.close();
    await this.store.close();
  }

  /** Commits a transaction; the tx stream gets it with the next `flush`. */
  commit(write: (transaction: MemoryTransaction) => void): Lsn {
    return this.memory.transaction(write);
  }

  /** Writes what was committed since into the tx stream, in records of at most `maxChanges`. */
  async flush(maxChanges = 500, traceparent?: string): Promise<void> {
    let parts: TransactionPart[] = [];
    let size = 0;
    const send = async () => {
      if (parts.length > 0) await this.#publish({ kind: 'data', parts }, traceparent);
      parts = [];
      size = 0;
    };
    for (const { changes, ...transaction } of this.memory.committedAfter(this.#written)) {
      this.#written = transaction.lsn;
      for (let from = 0; from < changes.length;) {
        const to = Math.min(changes.length, from + maxChanges - size);
        const ends = { begin: from === 0, commit: to === changes.length };
        parts.push({ ...transaction, commitTimeUs: 0n, ...ends, changes: changes.slice(from, to) });
        size += to - from;
        from = to;
        if (size >= maxChanges) await send();
      }
    }
    await send();
    if (!this.#retain) this.memory.recycle(this.#written);
  }

  /** Another stream under the same number begins where the database is now; nothing of before is in it. */
  async beginAgain(): Promise<void> {
    await this.messaging.txStreams.delete(this.stream.id);
    this.#stream = await this.messaging.txStreams.create(this.stream.id);
    this.#lastSeq = 0;
    this.#chain = { position: POSITION_ZERO, progressLsn: this.memory.walLsn };
    this.#written = this.memory.walLsn;
    await this.#publish({ kind: 'leader', holder: 'test' });
  }

  /** The stream has lost its tail: a new epoch goes on behind what is left, and the next `flush` writes the rest again. */
  async leadAgain(): Promise<void> {
    const last = await this.stream.last();
    const record = last && decodeRecord(last.payload);
    if (last === undefined || record === undefined || record.kind === 'slice') throw new Error('no end of the stream');
    this.#lastSeq = last.seq;
    this.#chain = chainAfter(record);
    this.#written = this.#chain.position.lsn;
    this.#epoch = record.epoch + 1;
    await this.#publish({ kind: 'leader', holder: 'test' });
  }

  /** Everything so far is in the stream. */
  async progress(): Promise<void> {
    await this.#publish({ kind: 'progress', lsn: this.memory.walLsn, xmin: this.memory.nextXid });
  }

  async createShape(request: ShapeRequest = {}, table: RelationInfo = this.items): Promise<PlacedShape> {
    const where = request.where === undefined ? undefined : parseWhere(request.where, {}, table.columns);
    if (where && !where.ok) throw new Error(where.message);
    const definition = buildDefinition({
      relation: table,
      columns: request.columns,
      where: where?.clause,
      replica: request.replica ?? 'default',
      log: request.log ?? 'full',
    });
    const digest = definitionDigest(definition);
    const shard = { source: this.source, incarnation: INCARNATION, shard: shardOf(digest, this.shards) };
    const fingerprint = buildFingerprint(definition, table, where?.clause);
    const chunkBytes = request.chunkBytes ?? 10_485_760;
    const { compaction = false } = request;
    const { traceparent } = request;
    const wanted = { digest, definition, fingerprint, chunkBytes, compaction, traceparent };
    const { handle } = await this.store.getOrCreate(shard, wanted);
    return { shard, handle };
  }

  async #publish(
    body:
      | { readonly kind: 'leader'; readonly holder: string }
      | Pick<DataRecord, 'kind' | 'parts'>
      | Pick<ProgressRecord, 'kind' | 'lsn' | 'xmin'>,
    traceparent?: string,
  ): Promise<void> {
    const record = { incarnation: INCARNATION, epoch: this.#epoch, prev: this.#chain, ...body };
    const outcome = await this.stream.publish(encodeRecord(record), {
      expectedLastSeq: this.#lastSeq,
      msgId: randomUUID(),
      traceparent,
    });
    if (outcome.kind !== 'stored') throw new Error('conflict');
    this.#lastSeq = outcome.seq;
    this.#chain = chainAfter(record);
  }
}
