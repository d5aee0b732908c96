/** A row as messages have it: the text of each column, `null` for SQL NULL. */
export type RowValue = Readonly<Record<string, string | null>>;

/** A message of a shape, as far as the rows of the shape are concerned. */
export interface RowMessage {
  readonly key?: string;
  readonly value?: RowValue;
  readonly headers: {
    readonly operation?: 'insert' | 'update' | 'delete';
    readonly txids?: readonly number[];
    readonly lsn?: string;
  };
}

/**
 * The rows of a shape by key. Rows of a table without primary key may be the same in every selected column: such a key stands for as
 * many rows as were inserted.
 */
export class Rows {
  readonly #distinct: boolean;
  readonly #rows = new Map<string, { value: RowValue; count: number }>();

  /** `distinct`: the table has a primary key, so that a key is one row. */
  constructor(distinct: boolean) {
    this.#distinct = distinct;
  }

  get size(): number {
    let size = 0;
    for (const { count } of this.#rows.values()) size += count;
    return size;
  }

  apply({ key, value = {}, headers }: RowMessage): void {
    if (key === undefined) return;
    const row = this.#rows.get(key);
    switch (headers.operation) {
      case 'insert':
        this.#rows.set(key, { value, count: this.#distinct ? 1 : (row?.count ?? 0) + 1 });
        return;
      case 'update':
        // Only what changed is in it.
        this.#rows.set(key, { value: { ...row?.value, ...value }, count: row?.count ?? 1 });
        return;
      case 'delete':
        if (row === undefined || row.count <= 1) this.#rows.delete(key);
        else row.count -= 1;
        return;
      case undefined:
        return;
    }
  }

  /** What differs from `truth`, a key at a time: see `Difference`. */
  *differencesFrom(truth: Rows): Generator<Difference, void, void> {
    for (const [key, { value, count }] of truth.#rows) {
      const own = this.#rows.get(key);
      if (own === undefined) yield { key, kind: 'missing' };
      else {
        const columns = columnsThatDiffer(own.value, value);
        if (columns.length > 0 || own.count !== count) yield { key, kind: 'changed', columns };
      }
    }
    for (const key of this.#rows.keys()) if (!truth.#rows.has(key)) yield { key, kind: 'extra' };
  }
}

/** `missing`: the database has the row and the log does not; `extra`: the other way round; `changed`: both have it, and not the same. */
export interface Difference {
  readonly key: string;
  readonly kind: 'missing' | 'extra' | 'changed';
  /** Of a row that changed; none of them where only the number of equal rows differs. */
  readonly columns?: readonly string[];
}

function columnsThatDiffer(a: RowValue, b: RowValue): readonly string[] {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].filter((name) => a[name] !== b[name]).toSorted();
}
