import type { Relation } from '@shapecast/log';
import { ScanBudgetError, TableIndex } from '@shapecast/matching';
import { RowEncoder, projectionKey } from '@shapecast/protocol';
import { fingerprintMismatch, type Fingerprint } from '@shapecast/shape';
import type { ShapeRecord } from '@shapecast/shape-store';
import { parseStoredWhere } from '@shapecast/where';
import { isAncestor } from './ancestor-view.ts';
import { SharedEncoder } from './encoded-change.ts';
import type { RoutedShape } from './routed-shape.ts';

/** The shapes of one table, compiled for its rows as `relation` describes them. */
export interface TableShapes {
  readonly relation: Relation;
  readonly matcher: TableIndex<RoutedShape>;
  readonly shapes: ReadonlySet<RoutedShape>;
  /** Shapes whose fingerprint the relation does not satisfy: they rotate with the first change that concerns them (R 10.3.2). */
  readonly mismatched: ReadonlyMap<RoutedShape, string>;
  /** Shapes that rotated because the engine could not evaluate their clause on a row. */
  readonly undecided: number;
}

/** What the tables of a shard have in common. */
export interface TableContext {
  readonly seed: number;
  readonly maxScanned: () => number;
  refuse(shape: RoutedShape): void;
  failed(shape: RoutedShape, error: unknown): void;
}

export class Table implements TableShapes {
  relation: Relation;
  readonly matcher: TableIndex<RoutedShape>;
  readonly shapes = new Set<RoutedShape>();
  readonly mismatched = new Map<RoutedShape, string>();
  undecided = 0;
  /** Ancestor relations that have the columns this is compiled for. */
  readonly #fitting = new WeakSet<Relation>();
  readonly #context: TableContext;
  readonly #encoders = new Map<string, SharedEncoder>();
  readonly #columns: readonly string[];

  constructor(relation: Relation, context: TableContext) {
    this.relation = relation;
    this.#context = context;
    const { seed } = context;
    const maxScanned = context.maxScanned();
    const onEvaluationError = (shape: RoutedShape, error: unknown): void => context.failed(shape, error);
    this.matcher = new TableIndex(relation.columns, { seed, maxScanned, byTicket: true, onEvaluationError });
    this.#columns = relation.columns.map((column) => column.name);
  }

  /** Whether changes of `relation` are matched here. */
  serves(relation: Relation): boolean {
    return relation === this.relation || this.#fitting.has(relation);
  }

  /** Whether changes of `relation` can be matched here. */
  fits(relation: Relation): boolean {
    return this.serves(relation) || sameRelation(this.relation, relation);
  }

  /** Matches changes of a relation that fits from now on. */
  adopt(relation: Relation): void {
    if (isAncestor(relation)) this.#fitting.add(relation);
    else this.relation = relation;
  }

  add(shape: RoutedShape): void {
    this.shapes.add(shape);
    const { definition, fingerprint } = shape.record;
    const mismatch = fingerprintMismatch(fingerprint, seenBy(fingerprint, this.relation), definition.allColumns);
    if (mismatch !== undefined) return void this.mismatched.set(shape, mismatch);
    shape.ticket = undefined;
    try {
      shape.encoder = this.#encoder(definition);
      const { where, types } = definition;
      const clause = where === '' ? undefined : parseStoredWhere(where, this.relation.columns, types);
      shape.ticket = this.matcher.add(shape, clause);
    } catch (error) {
      if (error instanceof ScanBudgetError) this.#context.refuse(shape);
      else this.mismatched.set(shape, 'the shape cannot be evaluated on its table');
    }
  }

  remove(shape: RoutedShape): void {
    this.shapes.delete(shape);
    if (!this.mismatched.delete(shape) && shape.ticket !== undefined) this.matcher.removeTicket(shape.ticket);
  }

  #encoder(definition: ShapeRecord['definition']): SharedEncoder {
    const key = projectionKey(definition);
    let encoder = this.#encoders.get(key);
    if (encoder === undefined) {
      encoder = new SharedEncoder(new RowEncoder(definition, this.#columns));
      this.#encoders.set(key, encoder);
    }
    return encoder;
  }
}

/** A relation without a name of its own has the shape's; what is wrong with that the catalog has to say. */
function seenBy({ schema, table }: Fingerprint, relation: Relation): Relation {
  return isAncestor(relation) ? { ...relation, schema, name: table } : relation;
}

function sameRelation(a: Relation, b: Relation): boolean {
  return (
    (isAncestor(b) || (a.schema === b.schema && a.name === b.name && !isAncestor(a))) &&
    a.columns.length === b.columns.length &&
    a.keyColumns.length === b.keyColumns.length &&
    a.keyColumns.every((ordinal, i) => ordinal === b.keyColumns[i]) &&
    a.columns.every((column, i) => {
      const other = b.columns[i] as Relation['columns'][number];
      return column.name === other.name && column.typeOid === other.typeOid && column.typeMod === other.typeMod;
    })
  );
}
