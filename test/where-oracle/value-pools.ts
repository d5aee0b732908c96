import type { Chance } from '../support/chance.ts';
import { address, date, decimal, float, hex, interval, json, network, time, whole, word } from './random-values.ts';

/**
 * Texts of every type the oracle knows, as its input function takes them (spec W 10.3). `common` is the small pool that
 * rows and constants share, so that equality hits; `boundary` has the values that break evaluators.
 */
export interface ValuePool {
  readonly common: readonly string[];
  readonly boundary: readonly string[];
  readonly random: (chance: Chance) => string;
}

const INT2 = ['32767', '-32768', '32766', '-32767', '100', '-100'];
const INT4 = [...INT2, '2147483647', '-2147483648', '2147483646', '-2147483647', '65536', '70000'];
const INT8 = [
  ...INT4,
  '9007199254740991',
  '9007199254740992',
  '9007199254740993',
  '-9007199254740993',
  '9223372036854775807',
  '-9223372036854775808',
  '9223372036854775806',
  '3000000000',
];
const SMALL = ['0', '1', '-1', '2', '3', '7'];
const FLOATS = [
  '0.1',
  '0.3333333333333333',
  'NaN',
  'Infinity',
  '-Infinity',
  '-0',
  '1e20',
  '1e-5',
  '0.0001',
  '123456.789',
  '2.5',
  '-2.5',
  '3.5',
  '1e15',
  '1e16',
];
const TEXTS = ['', ' ', 'a', 'A', 'b', 'ab', 'abc'];
const ODD_TEXTS = [
  'ß',
  'É',
  'é',
  'e\u0301',
  '😀',
  '\uffee',
  'a\nb',
  'a%b',
  'a_b',
  'a\\b',
  'a\\',
  'NULL',
  'null',
  '"',
  "it's",
  'İ',
  'ΑΣ',
  'ας',
  'a ',
  ' a',
  'aXc',
  '$1',
  '--',
  '/*',
  '{}',
  '1',
  't',
  '2024-01-01',
  'x'.repeat(300),
];
const DATES = ['2024-01-01', '2024-01-31', '2024-02-29', '1970-01-01', '2000-01-01', '2023-12-31'];
const ODD_DATES = [
  '2000-02-29',
  '0001-01-01',
  '0001-12-31 BC',
  '0044-03-15 BC',
  '4714-11-24 BC',
  '5874897-12-31',
  'infinity',
  '-infinity',
  '10000-01-01',
  '1582-10-15',
  '1900-03-01',
];
const TIMES = ['00:00:00', '10:00:00', '12:30:00.5', '23:59:59'];
const STAMPS = [
  '2024-01-01 00:00:00',
  '2024-01-01 10:00:00.5',
  '2024-03-31 02:30:00',
  '2024-10-27 02:30:00',
  '1970-01-01 00:00:00',
];
const ODD_STAMPS = [
  '2024-03-31 01:00:00',
  '2024-10-27 00:59:59.999999',
  '2024-11-03 06:30:00',
  '2024-03-10 07:00:00',
  '1999-12-31 23:59:59.000001',
  '2000-01-01 00:00:00',
  '0044-03-15 12:30:00 BC',
  '4714-11-24 00:00:00 BC',
  '294276-12-31 23:59:59.999999',
  'infinity',
  '-infinity',
  '1883-11-18 12:03:58',
  '1916-05-01 00:00:00',
  '1945-05-24 02:00:00',
  '2024-02-29 00:00:00.123456',
  '10000-06-01 12:00:00',
  '2037-07-01 00:00:00',
  '2050-07-01 00:00:00',
];

const zoned = (stamp: string): string =>
  stamp.endsWith('infinity') ? stamp : stamp.endsWith(' BC') ? `${stamp.slice(0, -3)}+00 BC` : `${stamp}+00`;

const pool = (
  common: readonly string[],
  boundary: readonly string[],
  random: (chance: Chance) => string,
): ValuePool => ({ common, boundary, random });

const stamp = (chance: Chance): string => `${date(chance)} ${time(chance)}`;

/** Pools by `pg_type.typname`; arrays are written `int4[]`. User types are those of the oracle's table. */
export const POOLS: Readonly<Record<string, ValuePool>> = {
  bool: pool(['t', 'f'], ['true', 'false'], (chance) => chance.pick(['t', 'f'])),
  int2: pool(SMALL, INT2, (chance) => whole(chance, 15)),
  int4: pool(SMALL, INT4, (chance) => whole(chance, 31)),
  int8: pool(SMALL, INT8, (chance) => whole(chance, 60)),
  float4: pool(SMALL, [...FLOATS, '3.4028235e+38', '-3.4028235e+38', '1.1754944e-38', '1e-45', '16777217'], (chance) =>
    float(chance, 20),
  ),
  float8: pool(
    SMALL,
    [...FLOATS, '1.7976931348623157e+308', '2.2250738585072014e-308', '5e-324', '9007199254740993', '1e308', '1e-300'],
    (chance) => float(chance, 60),
  ),
  numeric: pool(
    [...SMALL, '1.10', '2.5'],
    [
      '0.0',
      '1.1',
      '-0.5',
      '0.00000000000000000001',
      '1' + '0'.repeat(30),
      'NaN',
      'Infinity',
      '-Infinity',
      '9007199254740993',
      '-1.5',
      '0.5',
      '1.50',
      '99999.99995',
      '0.333333333333',
      '12345678901234567890.123456789',
      '10000',
      '9999',
      '0.0001',
      '100000000',
      '65536',
      '2147483647.5',
      '32767.5',
      '9223372036854775807.5',
      '-2.500',
    ],
    decimal,
  ),
  text: pool(TEXTS, ODD_TEXTS, (chance) => word(chance, 8)),
  varchar: pool(TEXTS, ODD_TEXTS, (chance) => word(chance, 8)),
  name: pool(TEXTS, ['é', '😀', 'a_b', 'n'.repeat(63)], (chance) => word(chance, 6)),
  bpchar: pool(['', 'a', 'ab', 'abc', 'b'], ['abcd', 'abcde', ' a', 'é', '😀', 'B', 'a\nb', 'a%'], (chance) =>
    word(chance, 5),
  ),
  uuid: pool(
    [
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
      'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12',
      '00000000-0000-0000-0000-000000000000',
    ],
    [
      'ffffffff-ffff-ffff-ffff-ffffffffffff',
      'a0eebc99-9c0b-4ef8-ab6d-6bb9bd380a11',
      '10eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
    ],
    (chance) => `${hex(chance, 8)}-${hex(chance, 4)}-${hex(chance, 4)}-${hex(chance, 4)}-${hex(chance, 12)}`,
  ),
  bytea: pool(
    ['\\x', '\\x00', '\\x0aff', '\\x6162'],
    ['\\xff', '\\x0a', '\\x0aff00', '\\xe29883'],
    (chance) => `\\x${hex(chance, 2 * chance.int(6))}`,
  ),
  date: pool(DATES, ODD_DATES, date),
  time: pool(TIMES, ['23:59:59.999999', '24:00:00', '00:00:00.000001'], time),
  timestamp: pool(STAMPS, ODD_STAMPS, stamp),
  timestamptz: pool(STAMPS.map(zoned), ODD_STAMPS.map(zoned), (chance) => `${stamp(chance)}+00`),
  interval: pool(
    ['PT0S', 'P1D', 'P1M', 'PT1H', 'P30D', 'PT24H'],
    [
      'PT720H',
      'P1Y',
      'P12M',
      'P-1M30D',
      'P1M-30D',
      'P1DT-24H',
      'P1M-1DT2H3M4.5S',
      'PT-0.000001S',
      'P178000000Y',
      'P-178000000Y',
      'PT0.5S',
      'P1Y2M3DT4H5M6.789S',
      'P400D',
      'PT90M',
      'P-1DT25H',
    ],
    interval,
  ),
  json: pool(['1', '"a"', '{"a": 1}'], ['{"a":1,"a":2}', '[1, 2]', 'null', ' 1 ', '{}'], json),
  jsonb: pool(
    ['1', '"a"', '{"a": 1}', '{"a": 1, "b": 2}', '[1, 2]', '["a"]'],
    [
      '1.0',
      '1.00',
      'null',
      '[]',
      '{}',
      '[null]',
      '{"a": null}',
      '{"a": {"b": [1, {"c": 2}]}}',
      '[1, 1, 2]',
      '[[1], [2]]',
      '{"": 1}',
      '"é😀"',
      '1e30',
      '-0',
      '0.10',
      '"a\\nb"',
      '[1, "1", true]',
      'true',
      '12345678901234567890.5',
    ],
    json,
  ),
  inet: pool(
    ['10.0.0.1', '10.0.0.1/8', '192.168.1.0/24', '::1'],
    [
      '0.0.0.0/0',
      '255.255.255.255',
      '10.0.0.1/32',
      'fe80::1/64',
      '::ffff:1.2.3.4',
      '2001:db8::/32',
      '10.0.0.0/9',
      '::/0',
      '192.168.1.5/24',
    ],
    address,
  ),
  cidr: pool(
    ['10.0.0.0/8', '192.168.1.0/24', '::1/128'],
    ['0.0.0.0/0', '10.0.0.1/32', '2001:db8::/32', '::ffff:1.2.3.4/128', '10.128.0.0/9'],
    network,
  ),
  mood: pool(['sad', 'ok', 'happy'], ['OK', "it's", 'very ok'], (chance) =>
    chance.pick(['sad', 'ok', 'happy', 'OK', "it's", 'very ok']),
  ),
  size: pool(['s', 'm', 'l'], ['ok'], (chance) => chance.pick(['s', 'm', 'l', 'ok'])),
  posint: pool(['1', '2', '3', '7'], ['2147483647', '100', '32768'], (chance) => String(1 + chance.int(50))),
  label: pool(['a', 'A', 'ab', 'abc'], ['é', 'a b', '{}', '%'], (chance) => `x${word(chance, 4)}`),
};

/** Elements of arrays that casts, operators and functions of the catalog are looked up for. */
export const ARRAY_ELEMENTS = [
  'int4',
  'int2',
  'int8',
  'float8',
  'numeric',
  'text',
  'varchar',
  'name',
  'bpchar',
  'bool',
  'date',
  'timestamptz',
  'timestamp',
  'uuid',
  'mood',
  'jsonb',
  'interval',
  'bytea',
  'float4',
  'time',
  'inet',
] as const;

/** Ranges and what they range over. */
export const RANGE_SUBTYPES: Readonly<Record<string, string>> = {
  int4range: 'int4',
  int8range: 'int8',
  numrange: 'numeric',
  daterange: 'date',
  tsrange: 'timestamp',
  tstzrange: 'timestamptz',
};

/** The pool of a type, made from its element's or subtype's for arrays and ranges. */
export function poolOf(type: string): ValuePool {
  const known = POOLS[type] ?? MADE.get(type);
  if (known !== undefined) return known;
  const made = type.endsWith('[]') ? arrayPool(type.slice(0, -2)) : rangePool(type);
  MADE.set(type, made);
  return made;
}

const MADE = new Map<string, ValuePool>();

/** A value of the type: 45 % common, 25 % boundary, 30 % random. */
export function anyValue(type: string, chance: Chance): string {
  const { common, boundary, random } = poolOf(type);
  const roll = chance.next();
  return roll < 0.45 ? chance.pick(common) : roll < 0.7 ? chance.pick(boundary) : random(chance);
}

function arrayPool(element: string): ValuePool {
  const of = poolOf(element);
  const [a = '', b = a, c = a] = of.common;
  const list = (items: readonly (string | null)[]): string => `{${items.map(quoteElement).join(',')}}`;
  const odd = of.boundary.slice(0, 12);
  return {
    common: ['{}', list([a]), list([b]), list([a, b]), list([b, a])],
    boundary: [
      list([null]),
      list([a, null, b]),
      list([a, a]),
      list([a, b, c]),
      `{${list([a, b])},${list([c, null])}}`,
      `{${list([a])},${list([b])}}`,
      `[0:1]=${list([a, b])}`,
      `[2:3]=${list([a, b])}`,
      `[-1:-1]=${list([c])}`,
      list(odd),
    ],
    random: (chance) => {
      const item = (): string | null =>
        chance.chance(0.12) ? null : chance.chance(0.5) ? chance.pick(of.common) : anyValue(element, chance);
      const row = (count: number): string => list(Array.from({ length: count }, item));
      if (chance.chance(0.15)) {
        const width = 1 + chance.int(3);
        return `{${Array.from({ length: 1 + chance.int(3) }, () => row(width)).join(',')}}`;
      }
      const count = 1 + chance.int(5);
      const low = chance.int(5) - 2;
      return chance.chance(0.1) ? `[${low}:${low + count - 1}]=${row(count)}` : row(count);
    },
  };
}

function quoteElement(item: string | null): string {
  if (item === null) return 'NULL';
  const plain = /^[^\s{},"\\]+$/.test(item) && item.toLowerCase() !== 'null';
  return plain ? item : `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}

/** Bounds in ascending order, so that any two of them make a range. */
const BOUNDS: Readonly<Record<string, readonly string[]>> = {
  int4: ['-5', '0', '1', '2', '3', '7', '10', '100', '2147483646'],
  int8: ['-5', '0', '1', '2', '3', '7', '10', '3000000000', '9007199254740993'],
  numeric: ['-1.5', '0', '0.5', '1.0', '1.10', '2', '7', '100', '1e20'],
  date: [
    '2000-02-29',
    '2023-12-31',
    '2024-01-01',
    '2024-01-02',
    '2024-01-31',
    '2024-02-29',
    '2024-12-31',
    '10000-01-01',
  ],
  timestamp: STAMPS.toSorted(),
  timestamptz: STAMPS.toSorted().map(zoned),
};

function rangePool(range: string): ValuePool {
  const subtype = RANGE_SUBTYPES[range];
  const bounds = BOUNDS[subtype ?? ''];
  if (bounds === undefined) throw new Error(`no values of type ${range}`);
  const [a = '', b = '', c = '', d = ''] = bounds.map((bound) => JSON.stringify(bound)).slice(1);
  return {
    common: ['empty', `[${a},${b})`, `[${a},${c})`, `[${b},${d})`, `[${b},${b}]`],
    boundary: ['(,)', `(,${b})`, `[${b},)`, `(,${b}]`, `(${a},${c}]`, `(${a},)`, `[${a},${d}]`, `(${a},${b})`],
    random: (chance) => {
      if (chance.chance(0.05)) return 'empty';
      const at = [chance.int(bounds.length), chance.int(bounds.length)].sort((x, y) => x - y);
      const [low, high] = at.map((index) => (chance.chance(0.12) ? '' : JSON.stringify(bounds[index])));
      return `${chance.pick(['[', '('])}${low},${high}${chance.pick([')', ']'])}`;
    },
  };
}
