import type { Chance } from './chance.ts';

/** A column of the oracle's table. Its values and the constants that clauses compare it with come from one small pool. */
interface OracleColumn {
  readonly name: string;
  /** Type in CREATE TABLE. */
  readonly type: string;
  /** Texts as the type's input function takes them. */
  readonly pool: readonly string[];
}

export const GROUPS = ['0', '1', '2', '3', '4', '5'] as const;
export const NAMES = ['alpha', 'beta', 'gamma', 'Delta', 'al%pha', 'a_b', '', "o'hara", 'été', 'x/y', '7'] as const;
export const UUIDS = [1, 2, 3, 4, 10].map((n) => `a0eebc99-9c0b-4ef8-bb6d-6bb9bd38${String(n).padStart(4, '0')}`);
export const INSTANTS = [
  '2026-01-01 00:00:00+00',
  '2026-06-15 12:30:00.5+02',
  '1999-12-31 23:59:59+00',
  '2026-01-01 00:00:01+00',
  'infinity',
  '0044-03-15 12:00:00+00 BC',
];
export const BIGS = ['0', '-1', '9007199254740993', '9007199254740992', '9223372036854775807', '42'];
export const SMALLS = ['-32768', '-3', '0', '2', '5', '32767'];
export const NUMERICS = [
  '0',
  '0.00',
  '1',
  '1.0',
  '1.10',
  '-2.5',
  '3.5',
  '1e-20',
  '9007199254740993',
  'NaN',
  'Infinity',
];
export const PRICES = ['0', '1.10', '9.99', '-5', '120000.5'];
export const FLOATS4 = ['0', '-0', '0.1', '-1.5', 'NaN', '1e20'];
export const FLOATS8 = ['0', '-0', '0.1', '2.25', '-1e-5', '1e16', 'NaN', 'Infinity', '-Infinity'];
export const WORDS = ['ab', 'abc', 'Abc', 'b%c', 'été', '', 'ab ', '12'];
export const CODES = ['ab', 'ab ', 'a', '', 'zzzzz', 'É'];
export const DAYS = ['2026-01-01', '2026-01-31', '2024-02-29', '1970-01-01', '0044-03-15 BC', 'infinity', '-infinity'];
export const TIMES_OF_DAY = ['00:00:00', '09:30:00', '12:30:00.5', '23:59:59.999999', '24:00:00'];
export const STAMPS = [
  '2026-01-01 00:00:00',
  '2026-01-31 10:00:00.5',
  '2024-02-29 23:59:59',
  '1999-12-31 12:00:00',
  'infinity',
];
export const DURATIONS = ['1 mon', '30 days', '720:00:00', '-1 day', '01:30:00', '0', '1 year 2 mons -3 days'];
export const BINARIES = ['\\x', '\\x00', '\\x0aff', '\\x0aff00', '\\xdeadbeef'];
export const MOODS = ['sad', 'very ok', 'ok', 'happy'];
export const MOOD_SETS = ['{}', '{sad}', '{ok,happy}', '{"very ok",NULL}', '{happy,happy,sad}'];
export const INT_SETS = ['{}', '{1}', '{1,2}', '{2,1,3}', '{1,NULL,5}', '{{1,2},{3,4}}', '[0:1]={1,2}', '{9}'];
export const TAG_SETS = ['{}', '{x}', '{x,y}', '{"a b",NULL}', '{y,"",x}', '{"q\\"u","null"}'];
export const DOCUMENTS = [
  '{"a": 1, "b": "x"}',
  '{"a": 2, "tags": ["x", "y"]}',
  '{"a": 1.0}',
  '{"a": null, "n": {"deep": true}}',
  '[1, 2, 3]',
  '"text"',
  'null',
  '3',
  '{}',
];
export const POSITIVES = ['1', '2', '3', '10', '2147483647'];
export const LABELS = ['x', 'xy', 'été', 'Label', 'a%'];
export const SPANS = ['[1,5)', '[3,4]', 'empty', '(,3]', '[5,)', '(,)', '[-10,-1]'];
export const PERIODS = [
  '["2026-01-01 00:00:00+00","2026-06-15 10:30:00.5+00")',
  '("1999-12-31 23:59:59+00",)',
  'empty',
  '(,"2026-01-01 00:00:01+00"]',
];
export const ADDRESSES = ['10.0.0.1', '10.1.2.0/24', '192.168.0.1/16', '::1', '2001:db8::/32', '10.0.0.1/8'];
const POINTS = ['(0,0)', '(1.5,-2)'];

/** Every kind of type that clauses know, one that they only test for NULL, and a name that needs quotes. */
const COLUMNS: readonly OracleColumn[] = [
  { name: 'grp', type: 'int4', pool: GROUPS },
  { name: 'name', type: 'text', pool: NAMES },
  { name: 'flag', type: 'bool', pool: ['t', 'f'] },
  { name: 'ref', type: 'uuid', pool: UUIDS },
  { name: 'at', type: 'timestamptz', pool: INSTANTS },
  { name: 'big', type: 'int8', pool: BIGS },
  { name: 'small', type: 'int2', pool: SMALLS },
  { name: 'num', type: 'numeric', pool: NUMERICS },
  { name: 'price', type: 'numeric(8,2)', pool: PRICES },
  { name: 'f4', type: 'float4', pool: FLOATS4 },
  { name: 'f8', type: 'float8', pool: FLOATS8 },
  { name: 'word', type: 'varchar(12)', pool: WORDS },
  { name: 'code', type: 'char(5)', pool: CODES },
  { name: 'day', type: 'date', pool: DAYS },
  { name: 'tod', type: 'time', pool: TIMES_OF_DAY },
  { name: 'ts', type: 'timestamp', pool: STAMPS },
  { name: 'dur', type: 'interval', pool: DURATIONS },
  { name: 'bin', type: 'bytea', pool: BINARIES },
  { name: 'mood', type: 'oracle_mood', pool: MOODS },
  { name: 'moods', type: 'oracle_mood[]', pool: MOOD_SETS },
  { name: 'ints', type: 'int4[]', pool: INT_SETS },
  { name: 'tags', type: 'text[]', pool: TAG_SETS },
  { name: 'js', type: 'jsonb', pool: DOCUMENTS },
  { name: 'pos', type: 'oracle_positive', pool: POSITIVES },
  { name: 'lab', type: 'oracle_label', pool: LABELS },
  { name: 'span', type: 'int4range', pool: SPANS },
  { name: 'during', type: 'tstzrange', pool: PERIODS },
  { name: 'ip', type: 'inet', pool: ADDRESSES },
  { name: 'place', type: 'point', pool: POINTS },
  { name: 'Mixed Name', type: 'text', pool: NAMES },
];

/** Long enough to be stored out of line, where an update that leaves it alone does not send it. */
const DOC = { name: 'doc', type: 'text' };
const TOASTED_LENGTH = 2500;

/** All columns in the order of the table. */
export const ORACLE_COLUMNS: readonly string[] = ['id', ...COLUMNS.map(({ name }) => name), DOC.name];

/** Names of the columns that statements fill: all but the key. */
export const CELL_NAMES: readonly string[] = ORACLE_COLUMNS.slice(1);

export function oracleTableSql(table: string): string {
  const columns = [...COLUMNS, DOC].map(({ name, type }) => `"${name}" ${type}`);
  return `
    do $$ begin
      create type oracle_mood as enum ('sad', 'ok', 'happy');
      alter type oracle_mood add value 'very ok' before 'ok';
      create domain oracle_positive as int4 check (value > 0);
      create domain oracle_label as text check (value <> '');
    exception when duplicate_object then null;
    end $$;
    create table ${table} (id int primary key, ${columns.join(', ')});
    alter table ${table} alter column doc set storage external`;
}

/** A value for the column, as text; NULL now and then. */
export function anyCell(name: string, chance: Chance): string | null {
  if (chance.chance(0.15)) return null;
  if (name === DOC.name) return anyDocument(chance);
  const column = COLUMNS.find((one) => one.name === name);
  if (column === undefined) throw new Error(`the oracle's table has no column ${name}`);
  return chance.pick(column.pool);
}

function anyDocument(chance: Chance): string {
  const word = chance.pick(NAMES);
  return chance.chance(0.3) ? `${word} ${'lorem '.repeat(TOASTED_LENGTH / 6)}${word}` : word;
}
