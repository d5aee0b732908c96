import { schemaHeader } from '@shapecast/protocol';
import type { ShapeStore } from '@shapecast/shape-store';
import type { ShapeTarget } from '../answers.ts';
import type { RequestedShape } from './definitions.ts';

const MAX_HANDLES = 10_000;

/**
 * The `electric-schema` of a handle. It says what the table is like now, but claims `not_null` only of columns that were NOT
 * NULL when the handle began, too: entries of its log may be older than the constraint, and clients fail on a NULL in a column
 * of which none was announced (spec H SC-2).
 */
export class SchemaHeaders {
  readonly #store: ShapeStore;
  /** Columns that were NOT NULL at the beginning, by handle; the longest known go first. */
  readonly #notNull = new Map<string, ReadonlySet<string>>();

  constructor(store: ShapeStore) {
    this.#store = store;
  }

  /** `target` with its header. Asks the store once for a handle, and only if the table has such columns beside its key. */
  async describe(target: ShapeTarget): Promise<ShapeTarget> {
    const { shape, handle } = target;
    const claimed = claimedColumns(shape);
    if (claimed.length === 0) return target;
    let notNull = this.#notNull.get(handle);
    if (notNull === undefined) {
      const fingerprint = await this.#store.readFingerprint(target.shard, handle);
      notNull = new Set(fingerprint?.notNull ?? shape.definition.keyColumns);
      this.#remember(handle, notNull);
    }
    const held: ReadonlySet<string> = notNull;
    if (claimed.every((name) => held.has(name))) return target;
    const header = schemaHeader(shape.relation, shape.definition.columns, new Set([...held, ...keysOf(shape)]));
    return { ...target, schema: header };
  }

  #remember(handle: string, notNull: ReadonlySet<string>): void {
    if (this.#notNull.size >= MAX_HANDLES) this.#notNull.delete(this.#notNull.keys().next().value as string);
    this.#notNull.set(handle, notNull);
  }
}

/** Selected columns that are NOT NULL now and could have been otherwise; kept with the shape, which is shared. */
function claimedColumns(shape: RequestedShape): readonly string[] {
  const known = claims.get(shape);
  if (known !== undefined) return known;
  const keys = keysOf(shape);
  const { columns } = shape.definition;
  const claimed = shape.relation.columns
    .filter(({ name, notNull }) => notNull && columns.includes(name) && !keys.includes(name))
    .map(({ name }) => name);
  claims.set(shape, claimed);
  return claimed;
}

const claims = new WeakMap<RequestedShape, readonly string[]>();

/** Columns of a primary key are never NULL. */
function keysOf({ definition }: RequestedShape): readonly string[] {
  return definition.hasPrimaryKey ? definition.keyColumns : [];
}
