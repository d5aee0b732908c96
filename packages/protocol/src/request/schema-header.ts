import type { ColumnInfo, RelationInfo } from '@shapecast/shape';

/**
 * The `electric-schema` header for the selected columns (spec H 17): JSON with ASCII bytes only (SC-4). `notNull` are the
 * columns whose NOT NULL holds for all of the log and may be claimed; all of the table's when left out.
 */
export function schemaHeader(
  relation: RelationInfo,
  columns: readonly string[],
  notNull?: ReadonlySet<string>,
): string {
  const selected = new Set(columns);
  const described: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  for (const column of relation.columns)
    if (selected.has(column.name)) described[column.name] = describe(column, notNull?.has(column.name) ?? true);
  return JSON.stringify(described).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function describe(column: ColumnInfo, neverNull: boolean): object {
  return {
    type: column.typeName,
    ...(column.dims > 0 ? { dims: column.dims } : undefined),
    ...(column.pkIndex === undefined ? undefined : { pk_index: column.pkIndex }),
    ...(column.notNull && neverNull ? { not_null: true } : undefined),
    ...modifier(column),
  };
}

/** Postgres packs a type's arguments into one integer, each type in its own way; 4 (VARHDRSZ) is added for historical reasons. */
function modifier(column: ColumnInfo): object | undefined {
  const mod = column.typeMod;
  if (mod < 0) return undefined;
  if (column.typeSchema !== 'pg_catalog') return { type_mod: mod };
  switch (column.typeName) {
    case 'varchar':
      return { max_length: mod - 4 };
    case 'bpchar':
      return { length: mod - 4 };
    case 'bit':
    case 'varbit':
      return { length: mod };
    case 'numeric':
      // The scale is 11 bits with sign since PostgreSQL 15, and was 0 to 1000 before.
      return { precision: ((mod - 4) >> 16) & 0xffff, scale: (((mod - 4) & 0x7ff) ^ 1024) - 1024 };
    case 'time':
    case 'timetz':
    case 'timestamp':
    case 'timestamptz':
      return { precision: mod };
    case 'interval':
      return interval(mod);
    default:
      return { type_mod: mod };
  }
}

/** Bits of `INTERVAL_MASK` in Postgres's `utils/timestamp.h`. */
const INTERVAL_BITS = [
  ['YEAR', 1 << 2],
  ['MONTH', 1 << 1],
  ['DAY', 1 << 3],
  ['HOUR', 1 << 10],
  ['MINUTE', 1 << 11],
  ['SECOND', 1 << 12],
] as const;
const FULL_RANGE = 0x7fff;
const FULL_PRECISION = 0xffff;

function interval(mod: number): object {
  const range = (mod >> 16) & FULL_RANGE;
  const precision = mod & 0xffff;
  const fields = INTERVAL_BITS.filter(([, bit]) => range !== FULL_RANGE && (range & bit) !== 0).map(([name]) => name);
  const [first, last] = [fields[0], fields.at(-1)];
  return {
    ...(first === undefined ? undefined : { fields: first === last ? first : `${first} TO ${last}` }),
    ...(precision === FULL_PRECISION ? undefined : { precision }),
  };
}
