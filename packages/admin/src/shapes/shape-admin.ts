import { formatLsn, formatOffset } from '@shapecast/log';
import {
  encodeShardHint,
  RotationJournal,
  shardHintSubject,
  type Messaging,
  type UsageBoard,
} from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeDefinition } from '@shapecast/shape';
import type { ShapeInspection, ShapeState, ShapeStore, ShardId } from '@shapecast/shape-store';
import { unavailable, unknownShape } from '../admin-error.ts';
import type { SourcesView } from '../sources/sources-view.ts';
import { ClauseReader } from './clause-reader.ts';
import { maskedWhere } from './masked-where.ts';
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

const DELETED = { code: 'SCHEMA_CHANGED', message: 'The shape was deleted by an operator.' };

/** The shapes of sources, for people who look at them and end them. */
export class ShapeAdmin {
  readonly #deps: ShapeDeps;
  readonly #list: ShapeList;
  readonly #tables: Tables;
  readonly #clauses = new ClauseReader();

  constructor(deps: ShapeDeps) {
    this.#deps = deps;
    this.#list = new ShapeList(deps);
    this.#tables = new Tables(deps.messaging);
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
  async delete(source: string, handle: string): Promise<void> {
    const { messaging, store, clock, log } = this.#deps;
    const { shard, shape } = await this.#find(source, handle);
    if (shape.state === 'dead') throw unknownShape();
    const registries = messaging.registries;
    // First where a store that goes back cannot lose it (spec R 12.5.7).
    await new RotationJournal({ registries, clock, log }, source).record([[handle, DELETED]]);
    if (!(await store.rotate(shard, handle, DELETED))) throw unknownShape();
    const subject = shardHintSubject(source, shard.incarnation, shard.shard);
    messaging.hints.publish(subject, encodeShardHint([handle]));
    const table = shape.record && tableName(shape.record.definition);
    emitEvent(log.child({ source }), 'shape_rotated', {
      handle,
      reason: DELETED.message,
      ...(table === undefined ? {} : { table }),
    });
    this.#list.forget(source);
  }

  get clauses(): ClauseReader {
    return this.#clauses;
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
