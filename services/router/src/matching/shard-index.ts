import type { ErrorCode } from '@shapecast/errors';
import type { Joined, Relation, TxRecord } from '@shapecast/log';
import type { ShapeFailure, ShapeRecord } from '@shapecast/shape-store';
import { PublicationBreaks, UNPUBLISHED } from '../publication/breaks.ts';
import { ancestorViews, isAncestor } from './ancestor-view.ts';
import { RoutedShape } from './routed-shape.ts';
import { Table, type TableContext, type TableShapes } from './table-shapes.ts';

export interface ShardIndexOptions {
  /** Secret of the hash tables, an integer from 0 to 2^53 - 1: clients choose the clauses and must not choose collisions. */
  readonly seed?: number;
  /** Different clauses of one table that no index serves, all shards of the source together (spec W 9.12). */
  readonly maxScannedClauses?: number;
  /** Shards of the source. Each has an equal share of the limit, so that nothing ends because a shard moved. */
  readonly shards?: number;
  /** Told of the first row on which a shape's clause fails, once per shape. */
  readonly onEvaluationError?: (shape: RoutedShape, error: unknown) => void;
  /** Told when a relation shows for the first time, or anew, that it is below a table with shapes; by their oids. */
  readonly onRelationBelow?: (oid: number, below: number) => void;
}

export const DEFAULT_MAX_SCANNED_CLAUSES = 20_000;
/** Shapes that are compiled without a pause: a few milliseconds of work. */
const COMPILED_AT_ONCE = 256;

/** Why shapes end whose table has got other rows than the stream can tell. */
export const TREE_CHANGED: ShapeFailure = {
  code: 'SCHEMA_CHANGED' satisfies ErrorCode,
  message: 'The partitions of the table changed.',
};

function refusalOf(maxScannedClauses: number): ShapeFailure {
  const condition = 'Add an equality, range, prefix or array condition to the where clause.';
  const message = `This table has too many where clauses that no index serves (limit ${maxScannedClauses}). ${condition}`;
  return { code: 'SCAN_LIMIT_EXCEEDED' satisfies ErrorCode, message };
}

const NO_SHAPES: ReadonlySet<RoutedShape> = new Set();

/**
 * The shapes of one shard by table. A table is compiled when a change of it comes by, for the columns that the change's
 * relation has; a relation that looks different later compiles it again (R 10.3.5).
 */
export class ShardIndex {
  readonly #shapes = new Map<string, RoutedShape>();
  readonly #byOid = new Map<number, Set<RoutedShape>>();
  readonly #byName = new Map<string, Set<RoutedShape>>();
  readonly #tables = new Map<number, Table>();
  /** By ancestor, then by the table that joined it, as the stream tells. */
  readonly #joined = new Map<number, Map<number, Joined>>();
  /** Relations that concern no shape. */
  #unshaped = new WeakSet<Relation>();
  readonly #breaks = new PublicationBreaks();
  readonly #ending = new Map<RoutedShape, ShapeFailure>();
  readonly #context: TableContext;
  readonly #onEvaluationError: ((shape: RoutedShape, error: unknown) => void) | undefined;
  readonly #onRelationBelow: ((oid: number, below: number) => void) | undefined;
  /** Shapes that were not held against the catalog yet since they came here. For the reconciler, which takes them out. */
  readonly unreviewed = new Set<RoutedShape>();
  /** Why shapes end that are one too many for their table. */
  refusal: ShapeFailure;
  readonly #shards: number;
  #maxScanned: number;

  constructor(options: ShardIndexOptions = {}) {
    const { seed = 0, maxScannedClauses = DEFAULT_MAX_SCANNED_CLAUSES, shards = 1 } = options;
    this.#shards = shards;
    this.#maxScanned = Math.ceil(maxScannedClauses / shards);
    this.refusal = refusalOf(maxScannedClauses);
    this.#onEvaluationError = options.onEvaluationError;
    this.#onRelationBelow = options.onRelationBelow;
    this.#context = {
      seed,
      maxScanned: () => this.#maxScanned,
      refuse: (shape) => this.#ending.set(shape, this.refusal),
      failed: (shape, error) => this.#failed(shape, error),
    };
  }

  /** As of `ShardIndexOptions.maxScannedClauses`. With less than before, shapes end with the next change of their table. */
  limitScans(maxScannedClauses: number): void {
    const maxScanned = Math.ceil(maxScannedClauses / this.#shards);
    this.refusal = refusalOf(maxScannedClauses);
    if (maxScanned === this.#maxScanned) return;
    this.#maxScanned = maxScanned;
    this.#tables.clear();
  }

  get size(): number {
    return this.#shapes.size;
  }

  get(handle: string): RoutedShape | undefined {
    return this.#shapes.get(handle);
  }

  all(): IterableIterator<RoutedShape> {
    return this.#shapes.values();
  }

  /** The tables of which a change came by. */
  tables(): IterableIterator<TableShapes> {
    return this.#tables.values();
  }

  /**
   * Shapes that have to end before the next step is appended, and why: not indexed because of the limit on clauses without
   * index, so that changes pass them by; or short of rows that a table brought along when it came under
   * theirs, or of changes while their table was not published.
   */
  get ending(): ReadonlyMap<RoutedShape, ShapeFailure> {
    return this.#ending;
  }

  /** Oids of the tables that have shapes. */
  oids(): IterableIterator<number> {
    return this.#byOid.keys();
  }

  /** The shapes of a table. */
  shapesOn(oid: number): ReadonlySet<RoutedShape> {
    return this.#byOid.get(oid) ?? NO_SHAPES;
  }

  /** Has a shape end before the next step is appended. */
  end(shape: RoutedShape, failure: ShapeFailure): void {
    this.#ending.set(shape, failure);
  }

  /** A shape's clause has no value on a row that Postgres has one for. */
  undecided(shape: RoutedShape, error: unknown): void {
    const table = this.#tables.get(shape.record.definition.oid);
    if (table) table.undecided += 1;
    this.#failed(shape, error);
  }

  /** Replaces everything. */
  reset(records: readonly ShapeRecord[]): void {
    this.#shapes.clear();
    this.#byOid.clear();
    this.#byName.clear();
    this.#tables.clear();
    this.#joined.clear();
    this.#breaks.clear();
    this.#ending.clear();
    this.unreviewed.clear();
    this.apply(records);
  }

  /** Takes in shapes that came, changed state, or died. */
  apply(records: readonly ShapeRecord[]): void {
    for (const record of records) {
      const known = this.#shapes.get(record.handle);
      if (record.state === 'dead') {
        if (known) this.#remove(known);
      } else if (known) {
        known.update(record);
        this.#checkJoined(known);
        this.#checkPublished(known);
      } else this.#add(new RoutedShape(record));
    }
  }

  /** The shapes that a change of `relation` may concern; undefined when there are none. */
  table(relation: Relation): TableShapes | undefined {
    const known = this.#tables.get(relation.oid);
    if (known?.serves(relation)) return known;
    if (this.#unshaped.has(relation)) return undefined;
    if (!known?.fits(relation)) return this.#compile(relation);
    known.adopt(relation);
    this.#showed(relation);
    return known;
  }

  /**
   * The relation of a record that should be compiled with pauses before the record is matched: its table has many shapes and
   * no index, or one for other columns. Undefined when matching may go on.
   */
  uncompiled(record: TxRecord): Relation | undefined {
    if (record.kind !== 'data') return undefined;
    let last: Relation | undefined;
    for (const { changes } of record.parts) {
      for (const { relation } of changes) {
        if (relation === last) continue;
        last = relation;
        if (this.#isLarge(relation)) return relation;
        if (relation.ancestors === undefined) continue;
        const above = ancestorViews(relation).find((view) => this.#isLarge(view.relation));
        if (above) return above.relation;
      }
    }
    return undefined;
  }

  #isLarge(relation: Relation): boolean {
    const size = this.#byOid.get(relation.oid)?.size ?? 0;
    return size > COMPILED_AT_ONCE && !this.#tables.get(relation.oid)?.fits(relation);
  }

  /** Compiles a table for the columns of `relation`, a few hundred shapes between two pauses. */
  async compile(relation: Relation, pause: () => Promise<void>): Promise<void> {
    const table = new Table(relation, this.#context);
    let added = 0;
    for (const shape of this.#shapesOf(relation)) {
      if (++added % COMPILED_AT_ONCE === 0) await pause();
      // It may have gone meanwhile.
      if (this.#shapes.get(shape.handle) === shape) table.add(shape);
    }
    for (const shape of this.#shapesOf(relation)) if (!table.shapes.has(shape)) table.add(shape);
    if (table.shapes.size === 0) return;
    this.#tables.set(relation.oid, table);
    this.#showed(relation);
  }

  #compile(relation: Relation): TableShapes | undefined {
    const shapes = this.#shapesOf(relation);
    if (shapes.length === 0) {
      this.#unshaped.add(relation);
      return undefined;
    }
    const table = new Table(relation, this.#context);
    for (const shape of shapes) table.add(shape);
    this.#tables.set(relation.oid, table);
    this.#showed(relation);
    return table;
  }

  #shapesOf(relation: Relation): RoutedShape[] {
    const shapes = new Set(this.#byOid.get(relation.oid));
    // A table that was dropped and made again has the name but not the oid: its old shapes mismatch (R 10.3.2).
    if (!isAncestor(relation))
      for (const shape of this.#byName.get(nameKey(relation.schema, relation.name)) ?? []) shapes.add(shape);
    // Where the limit does not suffice for all, the oldest stay.
    const mayRefuse = shapes.size > this.#maxScanned;
    return mayRefuse ? [...shapes].sort(byAge) : [...shapes];
  }

  #add(shape: RoutedShape): void {
    const { definition } = shape.record;
    this.#unshaped = new WeakSet();
    this.#shapes.set(shape.handle, shape);
    this.unreviewed.add(shape);
    addTo(this.#byOid, definition.oid, shape);
    addTo(this.#byName, nameKey(definition.schema, definition.table), shape);
    this.#tables.get(definition.oid)?.add(shape);
    this.#checkJoined(shape);
    this.#checkPublished(shape);
  }

  #remove(shape: RoutedShape): void {
    const { definition } = shape.record;
    this.#shapes.delete(shape.handle);
    this.unreviewed.delete(shape);
    this.#ending.delete(shape);
    removeFrom(this.#byOid, definition.oid, shape);
    if (!this.#byOid.has(definition.oid)) {
      this.#joined.delete(definition.oid);
      this.#breaks.forget(definition.oid);
    }
    removeFrom(this.#byName, nameKey(definition.schema, definition.table), shape);
    for (const [oid, table] of this.#tables) {
      if (!table.shapes.has(shape)) continue;
      table.remove(shape);
      if (table.shapes.size === 0) this.#tables.delete(oid);
    }
  }

  /**
   * Shapes of a table that was not published for a while are wrong; and where a relation is below a table with shapes, those that
   * started without the rows it brought along.
   */
  #showed(relation: Relation): void {
    if (this.#breaks.news(relation.oid, relation.published))
      for (const shape of this.shapesOn(relation.oid)) this.#checkPublished(shape);
    if (!isAncestor(relation)) return;
    const { oid, shownBy, joined } = relation;
    this.#onRelationBelow?.(oid, shownBy.oid);
    if (joined === undefined) return;
    const tables = this.#joined.get(oid) ?? new Map<number, Joined>();
    tables.set(shownBy.oid, joined);
    this.#joined.set(oid, tables);
    for (const shape of this.shapesOn(oid)) this.#checkJoined(shape);
  }

  #checkJoined(shape: RoutedShape): void {
    for (const joined of this.#joined.get(shape.record.definition.oid)?.values() ?? []) {
      if (!shape.sees(joined)) this.end(shape, TREE_CHANGED);
    }
  }

  #checkPublished(shape: RoutedShape): void {
    if (!this.#breaks.allows(shape)) this.end(shape, UNPUBLISHED);
  }

  #failed(shape: RoutedShape, error: unknown): void {
    if (shape.failed) return;
    shape.failed = true;
    this.#onEvaluationError?.(shape, error);
  }
}

function byAge(a: RoutedShape, b: RoutedShape): number {
  const difference = a.record.regLsn - b.record.regLsn;
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

function nameKey(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}

function addTo<K>(map: Map<K, Set<RoutedShape>>, key: K, shape: RoutedShape): void {
  const set = map.get(key);
  if (set) set.add(shape);
  else map.set(key, new Set([shape]));
}

function removeFrom<K>(map: Map<K, Set<RoutedShape>>, key: K, shape: RoutedShape): void {
  const set = map.get(key);
  set?.delete(shape);
  if (set?.size === 0) map.delete(key);
}
