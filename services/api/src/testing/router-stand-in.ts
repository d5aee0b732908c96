import { randomUUID } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import {
  BUCKETS,
  decodeShardHint,
  encodeShardHint,
  introspectSubject,
  processKey,
  shardHintSubject,
  tableKey,
  type LeaderRecord,
  type Messaging,
  type ProcessRecord,
  type RouterRecord,
  type SourceRecord,
} from '@shapecast/messaging';
import { snapshotEndMessage } from '@shapecast/protocol';
import type { RelationInfo } from '@shapecast/shape';
import type { AppliedNote, LogEntry, ShapeStore, ShardId, ShardMeta } from '@shapecast/shape-store';

const SHARDS = 2;
export const SNAPSHOT_END_JSON = snapshotEndMessage({ xmin: 700n, xmax: 700n, xip: [] });

/** One transaction: its commit LSN, and per handle the JSON of its entries, which are numbered 0, 2, 4 and so on. */
export interface StandInTransaction {
  readonly lsn: bigint;
  readonly entries: Readonly<Record<string, readonly string[]>>;
}

/**
 * Fills the store through its port as replicator and routers would, for tests of the API alone: owns every shard, answers
 * for the catalog, takes snapshots when asked to, appends what a test says.
 */
export class RouterStandIn {
  readonly tables = new Map<string, RelationInfo>();
  /** Rows (JSON messages) of the snapshot of each table, as chunks of pieces. */
  readonly rows = new Map<string, readonly (readonly string[])[]>();
  /** Catalog questions that were answered. */
  lookups = 0;
  /** Set to refuse catalog questions. */
  catalogDown = false;
  /** Set to leave new shapes without a snapshot until the test takes it. */
  manual = false;
  readonly #messaging: Messaging;
  readonly #store: ShapeStore;
  readonly #metas = new Map<number, ShardMeta>();
  readonly #stops: (() => void)[] = [];
  readonly #taken = new Set<string>();
  #seq = 0;
  #stopped = false;
  incarnation = 1;
  readonly #source: string;

  constructor(messaging: Messaging, store: ShapeStore, source: string) {
    this.#messaging = messaging;
    this.#store = store;
    this.#source = source;
  }

  async start(): Promise<void> {
    this.#stopped = false;
    for (let shard = 0; shard < SHARDS; shard += 1) {
      const id = this.shard(shard);
      this.#metas.set(shard, await this.#store.acquire(id, 'stand-in'));
      const subject = shardHintSubject(this.#source, this.incarnation, shard);
      this.#stops.push(
        this.#messaging.hints.subscribe(
          subject,
          (payload) => {
            this.#onHint(id, payload).catch((err: unknown) => {
              if (!this.#stopped) throw err;
            });
          },
          () => {},
        ),
      );
    }
    this.#stops.push(
      this.#messaging.rpc.serve(introspectSubject(this.#source), async (request) => {
        if (this.catalogDown) throw new ShapecastError('SOURCE_UNAVAILABLE', 'the database is away');
        this.lookups += 1;
        const { schema, table } = request as { schema: string; table: string };
        const relation = this.tables.get(`${schema}.${table}`);
        await this.#record(tableKey(this.#source, schema, table), relation);
        return relation ?? null;
      }),
    );
    await this.announce();
  }

  async #record(key: string, relation: RelationInfo | undefined): Promise<void> {
    const tables = await this.#messaging.registries.open<RelationInfo>(BUCKETS.tables.name);
    await (relation === undefined ? tables.delete(key) : tables.put(key, relation));
  }

  /** Writes the registries: source, leader, and this router as the owner of everything. */
  async announce(): Promise<void> {
    const { registries } = this.#messaging;
    const sources = await registries.open<SourceRecord>(BUCKETS.sources.name);
    await sources.put(this.#source, {
      incarnation: this.incarnation,
      shards: SHARDS,
      systemId: '1',
      timeline: 1,
      slotName: 'slot',
    });
    const routers = await registries.open<RouterRecord>(BUCKETS.routers.name);
    await routers.put(`${this.#source}.r1`, { id: 'r1', owned: [0, 1] });
    const processes = await registries.open<ProcessRecord>(BUCKETS.processes.name);
    await processes.put(processKey('r1'), { v: 1, id: 'r1' });
    await this.lead(true);
  }

  async lead(streaming: boolean): Promise<void> {
    const leaders = await this.#messaging.registries.open<LeaderRecord>(BUCKETS.leaders.name);
    await leaders.put(this.#source, {
      holder: 'x',
      epoch: 1,
      incarnation: this.incarnation,
      walSenderPid: 1,
      streaming,
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const stop of this.#stops) stop();
  }

  shard(shard: number): ShardId {
    return { source: this.#source, incarnation: this.incarnation, shard };
  }

  /** Where a handle lives. */
  async shardOf(handle: string): Promise<ShardId> {
    for (let shard = 0; shard < SHARDS; shard += 1) {
      if ((await this.#store.readHead(this.shard(shard), handle)) !== undefined) return this.shard(shard);
    }
    throw new Error(`unknown handle ${handle}`);
  }

  hint(shard: ShardId, ...handles: string[]): void {
    this.#messaging.hints.publish(
      shardHintSubject(this.#source, shard.incarnation, shard.shard),
      encodeShardHint(handles),
    );
  }

  /** Starts a snapshot; the returned functions deliver it piece by piece. */
  async snapshot(handle: string) {
    const shard = await this.shardOf(handle);
    const token = randomUUID();
    await this.#store.snapshotBegin(shard, handle, token);
    const visibility = { xmin: 700n, xmax: 700n, xip: [], insertLsn: 0n as Lsn };
    await this.#store.snapshotKnown(shard, handle, token, visibility);
    let chunk = 0;
    return {
      part: async (json: string, close = false, hint = true) => {
        const bytes = Buffer.from(json);
        await this.#store.snapshotPart(shard, handle, token, { chunk, bytes, close });
        if (close) chunk += 1;
        if (hint) this.hint(shard, handle);
      },
      done: async () => {
        await this.#store.snapshotDone(shard, handle, token);
        while (((await this.#store.promote(shard, handle, 1_000)) ?? 0) > 0);
        this.hint(shard, handle);
      },
      fail: async (code: string, message: string) => {
        await this.#store.snapshotFailed(shard, handle, token, { code, message });
        this.hint(shard, handle);
      },
    };
  }

  async rotate(handle: string, code = 'SCHEMA_CHANGED'): Promise<void> {
    const shard = await this.shardOf(handle);
    await this.#store.rotate(shard, handle, { code, message: 'the test said so' });
    this.hint(shard, handle);
  }

  /** Appends transactions to the shards of the handles, and moves every shard to the last of them. */
  async commit(
    transactions: readonly StandInTransaction[],
    options: { readonly hint?: boolean; readonly note?: AppliedNote } = {},
  ): Promise<void> {
    const last = transactions.at(-1);
    if (last === undefined) return;
    this.#seq += 1;
    const handles = new Map<string, ShardId>();
    for (const { entries } of transactions) {
      for (const handle of Object.keys(entries)) handles.set(handle, await this.shardOf(handle));
    }
    for (let shard = 0; shard < SHARDS; shard += 1) {
      const batch: LogEntry[] = [];
      for (const { lsn, entries } of transactions) {
        for (const [handle, jsons] of Object.entries(entries)) {
          if (handles.get(handle)?.shard !== shard) continue;
          for (const [index, json] of jsons.entries()) {
            const position = { lsn: lsn as Lsn, op: index * 2 };
            batch.push({ handle, position, xid: 1_000n + lsn, bytes: Buffer.from(json), origin: options.note });
          }
        }
      }
      await this.#append(shard, batch, last.lsn as Lsn, options.note?.appliedMs);
      const touched = [...handles].filter(([, id]) => id.shard === shard).map(([handle]) => handle);
      if (options.hint !== false && touched.length > 0) this.hint(this.shard(shard), ...touched);
    }
  }

  async #append(shard: number, entries: readonly LogEntry[], lsn: Lsn, appliedMs?: number): Promise<void> {
    const id = this.shard(shard);
    for (;;) {
      const meta = (await this.#store.readMeta(id)) as ShardMeta;
      const position = { lsn, op: 1_000_000 };
      const outcome = await this.#store.append(id, meta, {
        entries,
        transactions: [{ lsn, xid: 1_000n + lsn }],
        to: { seq: this.#seq, position, openTxSeq: 0 },
        visible: position,
        watermark: lsn,
        ...(appliedMs === undefined ? {} : { appliedMs }),
      });
      if (outcome === 'ok') return;
      if (outcome === 'epoch') throw new Error('the stand-in lost a shard');
    }
  }

  async #onHint(shard: ShardId, payload: Uint8Array): Promise<void> {
    const hint = decodeShardHint(payload);
    if (this.manual || 'many' in hint) return;
    const { shapes } = await this.#store.loadShapes(shard);
    for (const shape of shapes) {
      if (shape.state !== 'creating' || !hint.handles.includes(shape.handle) || this.#taken.has(shape.handle)) continue;
      this.#taken.add(shape.handle);
      const snapshot = await this.snapshot(shape.handle);
      const rows = shape.definition.log === 'full' ? (this.rows.get(shape.definition.table) ?? []) : [];
      for (const [index, pieces] of rows.entries()) {
        for (const [at, piece] of pieces.entries()) {
          await snapshot.part(piece, at === pieces.length - 1 && index < rows.length - 1);
        }
      }
      await snapshot.part(SNAPSHOT_END_JSON, true);
      await snapshot.done();
    }
  }
}
