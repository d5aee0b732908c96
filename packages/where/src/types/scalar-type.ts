import { InputError } from '../errors.ts';
import {
  formatDate,
  formatTime,
  formatTimestamp,
  parseDate,
  parseTime,
  parseTimestamp,
  parseTimestamptz,
} from './datetime.ts';
import {
  compareNumbers,
  compareNumeric,
  decodeNumeric,
  formatNumeric,
  numericKey,
  parseNumericLiteral,
  type Numeric,
} from './decimal.ts';
import { decodeFloat, decodeInteger, formatFloat, parseFloatLiteral, parseInteger } from './numbers.ts';
import {
  compareCodePoints,
  decodeBool,
  parseBool,
  parseBytea,
  parseUuid,
  stripTrailingBlanks,
  truncateName,
} from './text.ts';
import type { Value } from './value.ts';

export type TypeName =
  | 'bool'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float4'
  | 'float8'
  | 'text'
  | 'varchar'
  | 'bpchar'
  | 'name'
  | 'uuid'
  | 'bytea'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz';

/** `pg_type.typcategory` of the supported types. */
type TypeCategory = 'B' | 'N' | 'S' | 'D' | 'U';

/** A literal that went through an input function. */
export interface Literal {
  readonly value: Value;
  /** Text that the same input function reads back as this value. For types with canonical output it is the wire text. */
  readonly text: string;
}

/** Everything the engine knows about one type: the module a new type adds. */
export interface ScalarType {
  readonly name: TypeName;
  readonly oid: number;
  readonly category: TypeCategory;
  readonly preferred: boolean;
  /** Input function for literals. Throws InputError for what Postgres refuses, and for what we cannot read exactly. */
  readonly parse: (text: string) => Literal;
  /** Value of a cell of the wire (spec W 2.1). Throws InputError for text Postgres does not write. */
  readonly decode: (text: string) => Value;
  /** Input text of a value, where that is not what `String` gives. */
  readonly format?: (value: Value) => string;
  /** The order of the type's btree operators. For text it is code point order: the caller checks the collation. */
  readonly compare: (a: Value, b: Value) => number;
  /**
   * Key under which equal cells meet in a hash table, taken from wire text. Undefined when wire text is the key itself.
   * Throws InputError when the text has to be understood and is not.
   */
  readonly key?: (text: string) => string | number;
}

const plainOrder = (a: Value, b: Value): number => (a < b ? -1 : a > b ? 1 : 0);

function integer(name: 'int2' | 'int4' | 'int8', oid: number): ScalarType {
  return {
    name,
    oid,
    category: 'N',
    preferred: false,
    parse: (text) => {
      const value = parseInteger(name, text);
      return { value, text: String(value) };
    },
    decode: decodeInteger,
    compare: plainOrder,
  };
}

function float(name: 'float4' | 'float8', oid: number): ScalarType {
  return {
    name,
    oid,
    category: 'N',
    preferred: name === 'float8',
    parse: (text) => {
      const value = parseFloatLiteral(name, text);
      return { value, text: formatFloat(name, value) };
    },
    decode: (text) => decodeFloat(name, text),
    format: (value) => formatFloat(name, value as number),
    compare: (a, b) => compareNumbers(a as number, b as number),
    key: (text) => decodeFloat(name, text),
  };
}

function textual(name: 'text' | 'varchar' | 'name', oid: number): ScalarType {
  return {
    name,
    oid,
    category: 'S',
    preferred: name === 'text',
    parse: (text) => {
      const value = name === 'name' ? truncateName(text) : text;
      return { value, text: value };
    },
    decode: (text) => text,
    compare: (a, b) => compareCodePoints(a as string, b as string),
  };
}

/** A type whose in-memory order is that of JavaScript and whose output function is `format`. */
function ordered<T extends Value>(
  identity: Pick<ScalarType, 'name' | 'oid' | 'category'> & { readonly preferred?: boolean },
  parse: (text: string) => T,
  format: (value: T) => string,
): ScalarType {
  return {
    name: identity.name,
    oid: identity.oid,
    category: identity.category,
    preferred: identity.preferred ?? false,
    parse: (text) => {
      const value = parse(text);
      return { value, text: format(value) };
    },
    decode: parse,
    format: (value) => format(value as T),
    compare: plainOrder,
  };
}

const asIs = (value: string): string => value;

const TYPES: readonly ScalarType[] = [
  {
    ...ordered({ name: 'bool', oid: 16, category: 'B', preferred: true }, parseBool, (value) => (value ? 't' : 'f')),
    decode: decodeBool,
    key: (text) => (decodeBool(text) ? 't' : 'f'),
  },
  integer('int2', 21),
  integer('int4', 23),
  integer('int8', 20),
  {
    name: 'numeric',
    oid: 1700,
    category: 'N',
    preferred: false,
    parse: parseNumericLiteral,
    decode: decodeNumeric,
    format: (value) => formatNumeric(value as Numeric),
    compare: compareNumeric,
    key: numericKey,
  },
  float('float4', 700),
  float('float8', 701),
  textual('text', 25),
  textual('varchar', 1043),
  {
    name: 'bpchar',
    oid: 1042,
    category: 'S',
    preferred: false,
    parse: (text) => ({ value: text, text }),
    decode: asIs,
    compare: (a, b) => compareCodePoints(stripTrailingBlanks(a as string), stripTrailingBlanks(b as string)),
    key: stripTrailingBlanks,
  },
  textual('name', 19),
  ordered({ name: 'uuid', oid: 2950, category: 'U' }, parseUuid, asIs),
  ordered({ name: 'bytea', oid: 17, category: 'U' }, parseBytea, asIs),
  ordered({ name: 'date', oid: 1082, category: 'D' }, parseDate, formatDate),
  ordered({ name: 'time', oid: 1083, category: 'D' }, parseTime, formatTime),
  ordered({ name: 'timestamp', oid: 1114, category: 'D' }, parseTimestamp, (value) => formatTimestamp(value, '')),
  ordered({ name: 'timestamptz', oid: 1184, category: 'D', preferred: true }, parseTimestamptz, (value) =>
    formatTimestamp(value, '+00'),
  ),
];

const BY_NAME = new Map(TYPES.map((type) => [type.name, type]));
const BY_OID = new Map(TYPES.map((type) => [type.oid, type]));

export function scalarType(name: TypeName): ScalarType {
  const type = BY_NAME.get(name);
  if (type === undefined) throw new Error(`no type ${name}`);
  return type;
}

/** The supported type with this oid; undefined for types whose values are opaque to the engine. */
export function scalarTypeByOid(oid: number): ScalarType | undefined {
  return BY_OID.get(oid);
}

/** Text that the input function of `type` reads back as `value`. */
export function formatValue(type: ScalarType, value: Value): string {
  if (type.format !== undefined) return type.format(value);
  return typeof value === 'object' ? formatNumeric(value as Numeric) : String(value);
}

/** Runs an input function; undefined when it refuses the text. */
export function tryParse(type: ScalarType, text: string): Literal | undefined {
  try {
    return type.parse(text);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}
