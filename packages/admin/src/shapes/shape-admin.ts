import { formatLsn, formatOffset } from '@shapecast/log';
import { RotationJournal, type Messaging, type UsageBoard } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeDefinition } from '@shapecast/shape';
import type { ShapeFailure, ShapeInspection, ShapeState, ShapeStore, ShardId } from '@shapecast/shape-store';
import { AdminError, unavailable, unknownShape } from '../admin-error.ts';
import { checkShape, type ShapeCheck } from '../consistency/check-shape.ts';
import type { SourcesView } from '../sources/sources-view.ts';
import { ClauseReader } from './clause-reader.ts';
import { endShapes } from './end-shapes.ts';
import { maskedWhere } from './masked-where.ts';
import { MassRotations, type RotationProgress } from './mass-rotations.ts';
import { failureFor, type RotationOrder } from './rotation-order.ts';
import { ShapeList, type ListedShape, type ShapeSort } from './shape-list.ts';
import { Tables } from './tables.ts';

interface ShapeDeps {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly board: UsageBoard;
  readonly view: SourcesView;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ShapeQuery {
  readonly sort: ShapeSort;
  readonly limit: number;
  /** How many to leave out. */
  readonly offset: number;
  readonly state: ShapeState | 'any' | 'alive';
  /** Only shapes of handles that begin with it. */
  readonly handle: string;
}

/** A definition without the constants of its clause. */
export interface ShapeSummary {
  readonly handle: string;
  readonly state: ShapeState;
  readonly shard: number;
  readonly readers: number;
  readonly lastReadAt?: string;
  readonly logBytes: number;
  readonly snapshotBytes: number;
  readonly heldBytes: number;
  /** `schema.table`; absent where the definition is no longer there. */
  readonly table?: string;
  /** `?` stands for each constant; absent when there is no clause. */
  readonly where?: string;
  /** How routers find it: a kind of `packages/matching`; `scan` costs an evaluation at every change of the table. */
  readonly indexKind: string;
}

export interface ShapePageAnswer {
  readonly shapes: readonly ShapeSummary[];
  /** Of the source, as far as was looked at. */
  readonly total: number;
  readonly truncated: boolean;
  /** `offset` of the next page. */
  readonly next?: number;
}

/** Each keeps up to 128 MiB of rows while it compares them. */
const MAX_CHECKS = 2;

const DELETED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'The shape was deleted by an operator.' };

/** The shapes of sources, for people who look at them and end them. */
export class ShapeAdmin {
  readonly #deps: ShapeDeps;
  readonly #list: ShapeList;
  readonly #tables: Tables;
  readonly #clauses = new ClauseReader();
  readonly #rotations: MassRotations;
  #checks = 0;

  constructor(deps: ShapeDeps) {
    this.#deps = deps;
    this.#list = new ShapeList(deps);
    this.#tables = new Tables(deps.messaging);
    this.#rotations = new MassRotations(deps);
  }

  async list(source: string, { sort, limit, offset, state, handle }: ShapeQuery): Promise<ShapePageAnswer> {
    const record = await this.#deps.view.record(source);
    if (record === undefined) return { shapes: [], total: 0, truncated: false };
    const { shapes, truncated } = await this.#list.read(source, record.incarnation, record.shards, sort);
    const wanted = shapes.filter(
      (shape) =>
        (state === 'any' || (state === 'alive' ? shape.state !== 'dead' : shape.state === state)) &&
        shape.handle.startsWith(handle),
    );
    const page = wanted.slice(offset, offset + limit);
    const next = offset + page.length;
    return {
      shapes: await this.#described(source, page),
      total: wanted.length,
      truncated,
      ...(next < wanted.length ? { next } : {}),
    };
  }

  /** How many are alive in each shard, as far as was looked at. */
  async perShard(source: string): Promise<ReadonlyMap<number, number>> {
    const record = await this.#deps.view.record(source);
    if (record === undefined) return new Map();
    const { shapes } = await this.#list.read(source, record.incarnation, record.shards, 'bytes');
    const alive = shapes.filter(({ state }) => state !== 'dead');
    return new Map([...Map.groupBy(alive, ({ shard }) => shard.shard)].map(([shard, all]) => [shard, all.length]));
  }

  /** Everything that is known of one. */
  async inspect(source: string, handle: string) {
    const { shard, shape } = await this.#find(source, handle);
    const { store } = this.#deps;
    const [head, readers] = await Promise.all([store.readHead(shard, handle), this.#list.readers(source)]);
    const { record, read } = shape;
    const definition = record?.definition;
    return {
      ...(await this.#summaryOf(source, shard.shard, shape, readers.get(handle) ?? 0)),
      waiting: read.waiting,
      compaction: shape.compaction,
      ...(definition === undefined ? {} : { definition: publicDefinition(definition) }),
      ...(record === undefined ? {} : { chunkBytes: record.chunkBytes, logFormat: record.logFormat }),
      logChunks: shape.logChunks,
      ...(head === undefined
        ? {}
        : {
            tail: formatOffset(head.tail),
            watermark: formatLsn(head.watermark),
            snapshotChunks: head.closedChunks,
            snapshotComplete: head.snapshotComplete,
            ...(head.error === undefined ? {} : { error: head.error }),
          }),
    };
  }

  /** Ends it: its readers start over, with another handle. */
  delete(source: string, handle: string): Promise<void> {
    return this.#end(source, handle, DELETED);
  }

  /** As `delete`, with the operator's own words on why. */
  rotate(source: string, handle: string, reason: string): Promise<void> {
    return this.#end(source, handle, failureFor(reason));
  }

  /** Begins to end all shapes of a table or of the source. */
  async rotateAll(source: string, order: RotationOrder): Promise<RotationProgress> {
    const record = await this.#deps.view.record(source);
    if (record === undefined) {
      throw new AdminError({
        status: 409,
        code: 'not_set_up',
        message: 'The source was never set up: it has no shapes.',
      });
    }
    return this.#rotations.start(source, record, order, () => this.#list.forget(source));
  }

  /** Of the source, newest first, since this process started. */
  rotations(source: string): readonly RotationProgress[] {
    return this.#rotations.of(source);
  }

  /** Compares what its log says with what the database says at one moment (spec O 10.1). */
  async check(source: string, handle: string, signal: AbortSignal): Promise<ShapeCheck> {
    const { messaging, store, clock, log } = this.#deps;
    const { shard, shape } = await this.#find(source, handle);
    const definition = shape.record?.definition;
    if (shape.state === 'dead' || definition === undefined) throw unknownShape();
    if (this.#checks >= MAX_CHECKS) {
      const message = 'Other shapes are being checked by this process. Try again later.';
      throw new AdminError({ status: 503, code: 'busy', message, retryAfterS: 5 });
    }
    this.#checks += 1;
    try {
      const check = await checkShape({ store, rpc: messaging.rpc, clock }, shard, { handle, definition }, signal);
      if (!check.consistent) {
        const { missing, extra, changed } = check.differences;
        const message = `The shape ${handle} is not what the database says: ${missing} rows are missing, ${extra} too many, ${changed} different.`;
        emitEvent(log.child({ source }), 'warning', { type: 'shape_inconsistent', message });
      }
      return check;
    } finally {
      this.#checks -= 1;
    }
  }

  /** Breaks off rotations of many shapes. */
  stop(): Promise<void> {
    return this.#rotations.stop();
  }

  get clauses(): ClauseReader {
    return this.#clauses;
  }

  async #end(source: string, handle: string, failure: ShapeFailure): Promise<void> {
    const { messaging, store, clock, log } = this.#deps;
    const { shard, shape } = await this.#find(source, handle);
    if (shape.state === 'dead') throw unknownShape();
    const { registries, hints } = messaging;
    const journal = new RotationJournal({ registries, clock, log }, source);
    const table = shape.record && tableName(shape.record.definition);
    const ending = { handle, ...(table === undefined ? {} : { table }) };
    const deps = { store, journal, hints, log: log.child({ source }) };
    if ((await endShapes(deps, shard, [ending], failure)) === 0) throw unknownShape();
    this.#list.forget(source);
  }

  /** A handle does not tell its shard, so all are asked. */
  async #find(source: string, handle: string): Promise<{ readonly shard: ShardId; readonly shape: ShapeInspection }> {
    const record = await this.#deps.view.record(source);
    if (record === undefined || !/^[\w-]{1,100}$/.test(handle)) throw unknownShape();
    const { incarnation, shards } = record;
    const places = Array.from({ length: shards }, (_, shard) => ({ source, incarnation, shard }));
    const found = await Promise.all(
      places.map(async (shard) => ({ shard, shape: (await this.#deps.store.inspectShapes(shard, [handle]))[0] })),
    );
    for (const { shard, shape } of found) if (shape !== undefined) return { shard, shape };
    throw unknownShape();
  }

  async #described(source: string, page: readonly ListedShape[]): Promise<readonly ShapeSummary[]> {
    const byShard = Map.groupBy(page, ({ shard }) => shard.shard);
    const inspected = new Map<string, ShapeInspection>();
    await Promise.all(
      [...byShard.values()].map(async (some) => {
        const handles = some.map(({ handle }) => handle);
        const shard = (some[0] as ListedShape).shard;
        for (const one of await this.#deps.store.inspectShapes(shard, handles)) {
          if (one !== undefined) inspected.set(one.handle, one);
        }
      }),
    );
    return Promise.all(
      page.flatMap(({ handle, shard, readers }) => {
        const shape = inspected.get(handle);
        // It was swept in between.
        return shape === undefined ? [] : [this.#summaryOf(source, shard.shard, shape, readers)];
      }),
    );
  }

  async #summaryOf(
    source: string,
    shard: number,
    { handle, state, logBytes, snapshotBytes, heldBytes, record, read }: ShapeInspection,
    readers: number,
  ): Promise<ShapeSummary> {
    const definition = record?.definition;
    const relation =
      definition && definition.where !== ''
        ? await this.#tables.remembered(source, { schema: definition.schema, name: definition.table })
        : undefined;
    return {
      ...{ handle, state, shard, readers },
      ...(read.at === undefined ? {} : { lastReadAt: new Date(read.at).toISOString() }),
      ...{ logBytes, snapshotBytes, heldBytes },
      ...(definition === undefined ? {} : { table: tableName(definition) }),
      ...(definition === undefined || definition.where === '' ? {} : { where: maskedWhere(definition.where) }),
      indexKind: definition === undefined ? 'unknown' : this.#clauses.kindOf(definition, relation),
    };
  }
}

/** Where there is no Redis to look into. */
export function noStore(): never {
  throw unavailable('store_unavailable', 'This process has no Redis: set SHAPECAST_REDIS_URL to see shapes.');
}

function tableName({ schema, table }: ShapeDefinition): string {
  return `${schema}.${table}`;
}

function publicDefinition({
  oid,
  schema,
  table,
  keyColumns,
  hasPrimaryKey,
  columns,
  allColumns,
  ...rest
}: ShapeDefinition) {
  const { where, replica, log } = rest;
  return {
    ...{ oid, schema, table, keyColumns, hasPrimaryKey, columns, allColumns, replica, log },
    ...(where === '' ? {} : { where: maskedWhere(where) }),
  };
}
