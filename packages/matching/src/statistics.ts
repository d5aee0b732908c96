/** What is known about the values of a table (`pg_stats`), to guess how many rows an index entry matches. */
export interface ColumnStatistics {
  /** Rows of the table, estimated. */
  readonly rows: number;
  readonly columns: ReadonlyMap<string, OneColumnStatistics>;
}

export interface OneColumnStatistics {
  /** Distinct values, estimated. */
  readonly distinct: number;
  readonly nullFraction: number;
}

/** Expected fractions of the rows that hit one index entry (spec W 9.7). Without statistics, the defaults given there. */
export class Fractions {
  readonly #statistics: ColumnStatistics | undefined;

  constructor(statistics?: ColumnStatistics) {
    this.#statistics = statistics;
  }

  /** `column` is undefined for other expressions. */
  equality(column: string | undefined, typeName: string): number {
    const known = this.#of(column);
    if (known !== undefined && known.distinct > 0) return (1 - known.nullFraction) / known.distinct;
    if (typeName === 'bool') return 0.5;
    // Uuids are made to identify: without knowing better, they are taken for keys.
    return typeName === 'uuid' ? 1e-5 : 1e-3;
  }

  isNull(column: string | undefined): number {
    return this.#of(column)?.nullFraction ?? 0.1;
  }

  isNotNull(column: string | undefined): number {
    const known = this.#of(column);
    return known === undefined ? 0.95 : 1 - known.nullFraction;
  }

  complement(): number {
    return 0.95;
  }

  range(bounds: 1 | 2): number {
    return bounds === 2 ? 0.05 : 0.33;
  }

  prefix(length: number): number {
    return 1 / 20 ** Math.min(length, 4);
  }

  substring(length: number): number {
    return 1 / 10 ** Math.min(length, 4);
  }

  contains(): number {
    return 0.01;
  }

  overlaps(elements: number): number {
    return Math.min(1, elements / 100);
  }

  #of(column: string | undefined): OneColumnStatistics | undefined {
    return column === undefined ? undefined : this.#statistics?.columns.get(column);
  }
}
