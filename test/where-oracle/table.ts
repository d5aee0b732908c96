import type { Chance } from '../support/chance.ts';
import { poolOf } from './value-pools.ts';

/** A column of the oracle's table (spec W 10.2, with more). */
export interface OracleColumn {
  readonly name: string;
  /** Type as the generator knows it: without modifiers. */
  readonly type: string;
  /** Type in CREATE TABLE. */
  readonly sql: string;
  /** Values other than those of its type: text that other types' input functions read. */
  readonly pool?: readonly string[];
}

const column = (name: string, type: string, sql = type, pool?: readonly string[]): OracleColumn => ({
  name,
  type,
  sql,
  ...(pool === undefined ? {} : { pool }),
});

/** Inputs of numeric types, good and bad. */
const NUMBER_TEXTS = [
  '1',
  '12',
  ' 7 ',
  '-0',
  '+5',
  '1e3',
  '1.5',
  '.5',
  '5.',
  '-2.50',
  'inf',
  'NaN',
  '-Infinity',
  '0x1F',
  '1_000',
  '32768',
  '2147483648',
  '9223372036854775807',
  '9223372036854775808',
  '1e400',
  '1e-400',
  '',
  ' ',
  '1 2',
  '--1',
  '0.1',
  '0.30000000000000004',
  '2.5',
  '3.5',
  '1e40',
];
const TIME_TEXTS = [
  '2024-01-01',
  '2024-01-01T10:00:00Z',
  '2024-02-29 12:34:56.789',
  '2024-01-01 10:00:00+02',
  'infinity',
  '-infinity',
  'epoch',
  '10:00',
  '10:00:00.5',
  '24:00:00',
  '20240229',
  '1 day',
  'P1D',
  '1 mon 2 days',
  '-1:30',
  '2023-02-29',
  '2024-13-01',
  '25:00',
  'x',
  '',
  '2024-01-01 10:00:00 Europe/Berlin',
  '0044-03-15 BC',
];
const OTHER_TEXTS = [
  't',
  'true',
  'yes',
  'off',
  ' F ',
  'o',
  '{}',
  '{1,2}',
  '{1,NULL}',
  '{"a b",c}',
  '{{1},{2}}',
  '[0:1]={1,2}',
  '[1,5)',
  'empty',
  '(,3]',
  '192.168.0.1/24',
  '::1',
  '{"a": 1}',
  '[1, 2.0]',
  'null',
  'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '{A0EEBC99-9C0B4EF8BB6D6BB9BD380A11}',
  '\\x0aff',
  '\\xzz',
  'ab',
  'sad',
  'ok',
  'Sad',
  '1',
  '10.0.0.0/8',
];
const PATTERNS = [
  '',
  '%',
  '_',
  'a%',
  '%a',
  '%b%',
  'a_c',
  'a\\%b',
  'a\\_b',
  '\\',
  'a\\',
  '%\\',
  '__',
  '%%',
  'A%',
  'É',
  'é%',
  '_%_',
  'a\\\\b',
  'x%x',
  '%\n%',
  '😀',
  'ß',
  '%ς',
];
const ZONES = [
  'UTC',
  'Europe/Berlin',
  'America/New_York',
  'Asia/Kolkata',
  'utc',
  'europe/berlin',
  'Australia/Lord_Howe',
  'Africa/Monrovia',
  'Nowhere/Land',
  'EST',
  'America/St_Johns',
];
const FIELDS = [
  'year',
  'month',
  'day',
  'hour',
  'minute',
  'second',
  'quarter',
  'week',
  'dow',
  'doy',
  'isodow',
  'isoyear',
  'decade',
  'century',
  'millennium',
  'epoch',
  'milliseconds',
  'microseconds',
  'julian',
  'YEAR',
  'nonsense',
];

export const COLUMNS: readonly OracleColumn[] = [
  column('id', 'int4', 'int4 PRIMARY KEY'),
  column('i2', 'int2'),
  column('i2b', 'int2'),
  column('i4', 'int4'),
  column('i4b', 'int4'),
  column('i8', 'int8'),
  column('i8b', 'int8'),
  column('f4', 'float4'),
  column('f4b', 'float4'),
  column('f8', 'float8'),
  column('f8b', 'float8'),
  column('n', 'numeric'),
  column('nb', 'numeric'),
  column('n2', 'numeric', 'numeric(10,2)'),
  column('b', 'bool'),
  column('bb', 'bool'),
  column('s', 'text'),
  column('sb', 'text'),
  column('s_number', 'text', 'text', NUMBER_TEXTS),
  column('s_time', 'text', 'text', TIME_TEXTS),
  column('s_other', 'text', 'text', OTHER_TEXTS),
  column('s_pattern', 'text', 'text', PATTERNS),
  column('s_zone', 'text', 'text', ZONES),
  column('s_field', 'text', 'text', FIELDS),
  column('vc', 'varchar', 'varchar(10)'),
  column('vcb', 'varchar', 'varchar'),
  column('bc', 'bpchar', 'char(5)'),
  column('bcb', 'bpchar', 'char(3)'),
  column('nm', 'name'),
  column('u', 'uuid'),
  column('ub', 'uuid'),
  column('d', 'date'),
  column('db', 'date'),
  column('tm', 'time'),
  column('tmb', 'time'),
  column('ts', 'timestamp'),
  column('tsb', 'timestamp'),
  column('ts3', 'timestamp', 'timestamp(3)'),
  column('tz', 'timestamptz'),
  column('tzb', 'timestamptz'),
  column('iv', 'interval'),
  column('ivb', 'interval'),
  column('by', 'bytea'),
  column('byb', 'bytea'),
  column('e', 'mood'),
  column('eb', 'mood'),
  column('z', 'size'),
  column('dom', 'posint'),
  column('lab', 'label'),
  column('j', 'jsonb'),
  column('jb', 'jsonb'),
  column('js', 'json'),
  column('ip', 'inet'),
  column('ipb', 'inet'),
  column('net', 'cidr'),
  column('r4', 'int4range'),
  column('r4b', 'int4range'),
  column('r8', 'int8range'),
  column('rn', 'numrange'),
  column('rnb', 'numrange'),
  column('rd', 'daterange'),
  column('rs', 'tsrange'),
  column('rz', 'tstzrange'),
  column('ia', 'int4[]'),
  column('ib', 'int4[]'),
  column('ia2', 'int2[]'),
  column('ia8', 'int8[]'),
  column('fa', 'float8[]'),
  column('na', 'numeric[]'),
  column('ta', 'text[]'),
  column('tb', 'text[]'),
  column('va', 'varchar[]', 'varchar(10)[]'),
  column('nma', 'name[]'),
  column('bca', 'bpchar[]', 'char(3)[]'),
  column('ba', 'bool[]'),
  column('da', 'date[]'),
  column('za', 'timestamptz[]'),
  column('ua', 'uuid[]'),
  column('ea', 'mood[]'),
  column('ja', 'jsonb[]'),
  column('iva', 'interval[]'),
  column('Mixed', 'text'),
  column('Mixed "x"', 'text'),
  column('user', 'int4'),
];

/** Types whose columns and values exist; built-in ones first. */
export const SCHEMA = `
  CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'OK', 'it''s');
  ALTER TYPE mood ADD VALUE 'very ok' BEFORE 'happy';
  CREATE TYPE size AS ENUM ('s', 'm', 'l', 'ok');
  CREATE DOMAIN posint AS int4 CHECK (value > 0);
  CREATE DOMAIN label AS text CHECK (value <> '');
  CREATE TABLE t (${COLUMNS.map(({ name, sql }) => `${quoteName(name)} ${sql}`).join(', ')});
  ALTER TABLE t REPLICA IDENTITY FULL;`;

/** SQL of one row's values: 20 % NULL, 30 % common, 20 % boundary, 30 % random (spec W 10.3). */
export function anyRow(id: number, chance: Chance): string {
  const cells = COLUMNS.map((one) => {
    if (one.name === 'id') return String(id);
    if (chance.chance(0.2)) return 'NULL';
    // An explicit cast: text that is too long is cut.
    return `CAST(${quoteText(anyCell(one, chance))} AS ${one.sql})`;
  });
  return `(${cells.join(', ')})`;
}

function anyCell(one: OracleColumn, chance: Chance): string {
  if (one.pool !== undefined) return chance.pick(one.pool);
  const { common, boundary, random } = poolOf(one.type);
  const roll = chance.next();
  const value = roll < 0.375 ? chance.pick(common) : roll < 0.625 ? chance.pick(boundary) : random(chance);
  const fits = one.name !== 'n2' || /^-?\d{1,7}(\.\d+)?$|^NaN$/.test(value);
  return fits ? value : chance.pick(common);
}

export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && name !== 'user' ? name : `"${name.replaceAll('"', '""')}"`;
}

export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
