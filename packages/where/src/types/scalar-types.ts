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
import type { Type } from './type.ts';
import type { Value } from './value.ts';

/** A type without its row of the catalogue: oid, category and preference come from there. */
export type TypeModule = Omit<Type, 'oid' | 'category' | 'preferred' | 'sql' | 'stableText' | 'element'>;

const plainOrder = (a: Value, b: Value): number => (a < b ? -1 : a > b ? 1 : 0);
const asIs = (value: string): string => value;

function integer(name: 'int2' | 'int4' | 'int8'): TypeModule {
  return {
    name,
    identical: true,
    plain: true,
    parse: (text) => {
      const value = parseInteger(name, text);
      return { value, text: String(value) };
    },
    decode: decodeInteger,
    format: String,
    compare: plainOrder,
    key: undefined,
  };
}

function float(name: 'float4' | 'float8'): TypeModule {
  return {
    name,
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

function textual(name: 'text' | 'varchar' | 'name'): TypeModule {
  return {
    name,
    identical: true,
    parse: (text) => {
      const value = name === 'name' ? truncateName(text) : text;
      return { value, text: value };
    },
    decode: asIs,
    format: (value) => value as string,
    compare: (a, b) => compareCodePoints(a as string, b as string),
    key: undefined,
  };
}

/** A type whose in-memory order is that of JavaScript and whose output function is `format`. */
function ordered<T extends Value>(name: string, parse: (text: string) => T, format: (value: T) => string): TypeModule {
  return {
    name,
    identical: true,
    plain: true,
    parse: (text) => {
      const value = parse(text);
      return { value, text: format(value) };
    },
    decode: parse,
    format: (value) => format(value as T),
    compare: plainOrder,
    key: undefined,
  };
}

export const SCALAR_TYPES: readonly TypeModule[] = [
  {
    ...ordered('bool', parseBool, (value) => (value ? 't' : 'f')),
    decode: decodeBool,
    key: (text) => (decodeBool(text) ? 't' : 'f'),
  },
  integer('int2'),
  integer('int4'),
  integer('int8'),
  {
    name: 'numeric',
    parse: parseNumericLiteral,
    decode: decodeNumeric,
    format: (value) => formatNumeric(value as Numeric),
    compare: compareNumeric,
    key: numericKey,
  },
  float('float4'),
  float('float8'),
  textual('text'),
  textual('varchar'),
  textual('name'),
  {
    ...textual('text'),
    name: 'bpchar',
    identical: false,
    compare: (a, b) => compareCodePoints(stripTrailingBlanks(a as string), stripTrailingBlanks(b as string)),
    key: stripTrailingBlanks,
  },
  ordered('uuid', parseUuid, asIs),
  ordered('bytea', parseBytea, asIs),
  ordered('date', parseDate, formatDate),
  ordered('time', parseTime, formatTime),
  ordered('timestamp', parseTimestamp, (value) => formatTimestamp(value, '')),
  ordered('timestamptz', parseTimestamptz, (value) => formatTimestamp(value, '+00')),
  {
    // Text of a json value is not compared or read, only handed on.
    name: 'json',
    parse: () => {
      throw new InputError('json literals are not supported');
    },
    decode: asIs,
    format: (value) => value as string,
    compare: undefined,
    key: undefined,
  },
];
