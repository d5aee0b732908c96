/** Shapes of a table in the table of schema changes. */
export const DDL_SHAPES = ['all', 'touching', 'where', 'other'] as const;
export type DdlShape = (typeof DDL_SHAPES)[number];

export type DdlKind = 'table' | 'partitioned';

/**
 * A statement, and what it does to shapes. `s` is the schema that the table `s.t` has for itself:
 * `t (id int primary key, v varchar(20), w int, m s.mood, p s.pair)` with rows 1 and 101, `mood` an enum of sad and ok,
 * `pair` a composite of two integers. Partitioned tables have `t_1` (ids below 100) and `t_2` (below 200).
 */
export interface DdlCase {
  /** For people. */
  readonly title: string;
  readonly on: readonly DdlKind[];
  /** Statements, each on its own. */
  readonly ddl: readonly string[];
  /** What Postgres answers instead of doing it. */
  readonly refused?: RegExp;
  /** The column that shape `touching` selects beside the key. */
  readonly touched?: 'v' | 'm' | 'p';
  /** Shapes that end when the catalog is compared. */
  readonly ends: readonly DdlShape[];
  /**
   * Shapes that end with the next write to the table, before the catalog is compared. Left out: as many as `ends`; `undefined`
   * where there is no next write, or what it does is not promised.
   */
  readonly endsByWrite?: readonly DdlShape[] | undefined;
  /** The next write; by default an insert. */
  readonly write?: string;
  /** For people. */
  readonly remark?: string;
}

const BOTH: readonly DdlKind[] = ['table', 'partitioned'];
const TABLE: readonly DdlKind[] = ['table'];
const PARTITIONED: readonly DdlKind[] = ['partitioned'];
const EVERY: readonly DdlShape[] = DDL_SHAPES;
const ALL: readonly DdlShape[] = ['all'];
/** Of what touches the column. */
const TOUCHED: readonly DdlShape[] = ['all', 'touching', 'where'];
const NONE: readonly DdlShape[] = [];

export const DDL_CASES: readonly DdlCase[] = [
  { title: '`ADD COLUMN`', on: BOTH, ddl: ['alter table s.t add c int'], ends: ALL },
  { title: '`ADD COLUMN` with a constant default', on: TABLE, ddl: ['alter table s.t add c int default 7'], ends: ALL },
  {
    title: '`ADD COLUMN` with a volatile default',
    on: BOTH,
    ddl: ['alter table s.t add c double precision default random()'],
    ends: ALL,
    remark: 'Postgres writes all rows anew; the values of the other columns stay.',
  },
  {
    title: '`ADD COLUMN … GENERATED … STORED`',
    on: TABLE,
    ddl: ['alter table s.t add c int generated always as (w * 2) stored'],
    ends: ALL,
  },
  {
    title: '`DROP COLUMN`',
    on: BOTH,
    ddl: ['alter table s.t drop v'],
    ends: TOUCHED,
    write: 'insert into s.t (id, w) values (2, 5)',
  },
  {
    title: '`DROP COLUMN` and `ADD COLUMN` of the same name and type',
    on: BOTH,
    ddl: ['alter table s.t drop v, add v varchar(20)'],
    ends: TOUCHED,
    endsByWrite: NONE,
    remark: 'The stream describes the table as before.',
  },
  {
    title: '`RENAME COLUMN`',
    on: BOTH,
    ddl: ['alter table s.t rename v to v2'],
    ends: TOUCHED,
    write: `insert into s.t (id, v2, w) values (2, 'a', 5)`,
  },
  {
    title: '`RENAME COLUMN` that swaps two columns',
    on: TABLE,
    ddl: [
      'alter table s.t add v2 varchar(20)',
      'begin; alter table s.t rename v to x; alter table s.t rename v2 to v; alter table s.t rename x to v2; commit',
    ],
    ends: TOUCHED,
    endsByWrite: ALL,
    remark:
      'The stream does not tell which column has a name, so the next write ends only what minds the number of columns.',
  },
  { title: '`ALTER COLUMN … TYPE`', on: BOTH, ddl: ['alter table s.t alter v type text'], ends: TOUCHED },
  {
    title: '`ALTER COLUMN … TYPE` of another length',
    on: TABLE,
    ddl: ['alter table s.t alter v type varchar(40)'],
    ends: TOUCHED,
  },
  {
    title: '`ALTER COLUMN … TYPE … USING` of the same type',
    on: BOTH,
    ddl: [`alter table s.t alter v type varchar(20) using v || '!'`],
    ends: TOUCHED,
    endsByWrite: NONE,
    remark: 'Every row has another value, and the stream has not one of them.',
  },
  {
    title: '`ALTER COLUMN … TYPE … COLLATE`',
    on: TABLE,
    ddl: ['alter table s.t alter v type varchar(20) collate "POSIX"'],
    ends: ['where'],
    endsByWrite: NONE,
    remark: 'Values stay; what a clause makes of them may not.',
  },
  { title: '`SET DEFAULT`', on: TABLE, ddl: [`alter table s.t alter v set default 'x'`], ends: NONE },
  {
    title: '`SET NOT NULL`, `DROP NOT NULL`',
    on: BOTH,
    ddl: [
      'alter table s.t alter v set not null',
      'alter table s.t alter w set not null',
      'alter table s.t alter w drop not null',
    ],
    ends: NONE,
    remark: 'Shows in the header `electric-schema`.',
  },
  {
    title: '`SET STATISTICS`, `SET STORAGE`',
    on: TABLE,
    ddl: ['alter table s.t alter v set statistics 10, alter v set storage external'],
    ends: NONE,
  },
  {
    title: '`DROP CONSTRAINT` of the primary key',
    on: BOTH,
    ddl: ['alter table s.t drop constraint t_pkey'],
    ends: EVERY,
  },
  {
    title: '`ADD PRIMARY KEY` of other columns',
    on: BOTH,
    ddl: ['alter table s.t drop constraint t_pkey, add primary key (id, w)'],
    ends: EVERY,
  },
  { title: '`ADD CHECK`', on: TABLE, ddl: [`alter table s.t add check (v <> 'z')`], ends: NONE },
  {
    title: '`CREATE INDEX`, `DROP INDEX`',
    on: BOTH,
    ddl: ['create index t_v on s.t (v)', 'drop index s.t_v'],
    ends: NONE,
  },
  {
    title: '`VACUUM FULL`',
    on: TABLE,
    ddl: ['vacuum full s.t'],
    ends: NONE,
    remark: 'So does `CLUSTER`: rows move and stay what they are.',
  },
  { title: '`CLUSTER`', on: TABLE, ddl: ['cluster s.t using t_pkey'], ends: NONE },
  { title: '`ANALYZE`', on: TABLE, ddl: ['analyze s.t'], ends: NONE },
  {
    title: '`ENABLE ROW LEVEL SECURITY`',
    on: TABLE,
    ddl: ['alter table s.t enable row level security'],
    ends: NONE,
    remark: 'Row security is for queries; replication does not know it.',
  },
  {
    title: '`GRANT`, `COMMENT`, `CREATE TRIGGER`',
    on: TABLE,
    ddl: [
      'grant select on s.t to public',
      `comment on table s.t is 'x'`,
      'create trigger t_same before update on s.t for each row execute function suppress_redundant_updates_trigger()',
    ],
    ends: NONE,
  },
  {
    title: '`SET UNLOGGED`',
    on: TABLE,
    ddl: ['alter table s.t set unlogged'],
    refused: /publication/,
    ends: NONE,
    remark: 'Postgres refuses it for a published table.',
  },
  {
    title: '`REPLICA IDENTITY DEFAULT`',
    on: TABLE,
    ddl: ['alter table s.t replica identity default'],
    ends: NONE,
    endsByWrite: EVERY,
    write: `update s.t set v = 'b' where id = 1`,
    remark: 'Set back to `FULL` when it is noticed. What is updated or deleted before that ends shapes.',
  },
  {
    title: '`RENAME TO`',
    on: BOTH,
    ddl: ['alter table s.t rename to u'],
    ends: EVERY,
    write: `insert into s.u (id, v, w) values (2, 'a', 5)`,
  },
  {
    title: '`SET SCHEMA`',
    on: TABLE,
    ddl: ['create schema s_b', 'alter table s.t set schema s_b'],
    ends: EVERY,
    write: `insert into s_b.t (id, v, w) values (2, 'a', 5)`,
  },
  {
    title: '`ALTER SCHEMA … RENAME`',
    on: BOTH,
    ddl: ['alter schema s rename to s_b'],
    ends: EVERY,
    write: `insert into s_b.t (id, v, w) values (2, 'a', 5)`,
    endsByWrite: undefined,
    remark: 'Postgres may not describe the table again for the next write.',
  },
  { title: '`DROP TABLE`', on: BOTH, ddl: ['drop table s.t'], ends: EVERY, endsByWrite: undefined },
  {
    title: '`DROP TABLE` and `CREATE TABLE` of the same name',
    on: TABLE,
    ddl: [
      'begin; drop table s.t; create table s.t (id int primary key, v varchar(20), w int, m s.mood, p s.pair); commit',
    ],
    ends: EVERY,
    endsByWrite: undefined,
    remark: 'The new table is not published before somebody asks for a shape of it.',
  },
  {
    title: '`TRUNCATE`',
    on: BOTH,
    ddl: ['truncate s.t'],
    ends: EVERY,
    remark: 'At once: it is in the stream.',
  },
  {
    title: '`ALTER TYPE … ADD VALUE`',
    on: BOTH,
    ddl: [`alter type s.mood add value 'great'`],
    touched: 'm',
    ends: NONE,
  },
  {
    title: '`ALTER TYPE … ADD VALUE … BEFORE`',
    on: TABLE,
    ddl: [`alter type s.mood add value 'so-so' before 'ok'`],
    touched: 'm',
    ends: NONE,
    remark: "Ends shapes whose clause orders values of the type (`m > 'sad'`).",
  },
  {
    title: '`ALTER TYPE … RENAME VALUE`',
    on: BOTH,
    ddl: [`alter type s.mood rename value 'ok' to 'fine'`],
    touched: 'm',
    ends: TOUCHED,
    endsByWrite: undefined,
  },
  {
    title: '`ALTER TYPE … ADD ATTRIBUTE`',
    on: TABLE,
    ddl: ['alter type s.pair add attribute c int'],
    touched: 'p',
    ends: ['all', 'touching'],
    endsByWrite: NONE,
  },
  {
    title: '`ALTER TYPE … DROP ATTRIBUTE`',
    on: TABLE,
    ddl: ['alter type s.pair drop attribute b'],
    touched: 'p',
    ends: ['all', 'touching'],
    endsByWrite: NONE,
  },
  {
    title: '`ALTER TYPE … RENAME TO`',
    on: TABLE,
    ddl: ['alter type s.mood rename to feeling'],
    touched: 'm',
    ends: ['where'],
    endsByWrite: undefined,
    remark: 'A clause names the types of its constants: to those who ask, it is another one from then on.',
  },
  {
    title: '`CREATE TABLE … INHERITS`',
    on: TABLE,
    ddl: ['create table s.child () inherits (s.t)'],
    ends: EVERY,
    endsByWrite: undefined,
    remark: 'What the child holds before it is published is not in the stream.',
  },
  {
    title: '`CREATE TABLE … PARTITION OF`',
    on: PARTITIONED,
    ddl: ['create table s.t_3 partition of s.t for values from (200) to (300)'],
    ends: NONE,
  },
  {
    title: '`ATTACH PARTITION`',
    on: PARTITIONED,
    ddl: [
      'create table s.t_3 (like s.t)',
      `insert into s.t_3 (id) values (201)`,
      'alter table s.t attach partition s.t_3 for values from (200) to (300)',
    ],
    ends: EVERY,
    endsByWrite: undefined,
    remark: 'Also of an empty table: whether it was empty cannot be told afterwards.',
  },
  {
    title: '`DETACH PARTITION`',
    on: PARTITIONED,
    ddl: ['alter table s.t detach partition s.t_2'],
    ends: EVERY,
    endsByWrite: undefined,
  },
  {
    title: '`DROP TABLE` of a partition',
    on: PARTITIONED,
    ddl: ['drop table s.t_2'],
    ends: EVERY,
    endsByWrite: undefined,
  },
  { title: '`TRUNCATE` of a partition', on: PARTITIONED, ddl: ['truncate s.t_2'], ends: EVERY },
  { title: '`VACUUM FULL` of a partition', on: PARTITIONED, ddl: ['vacuum full s.t_2'], ends: NONE },
];

/** The statement with `schema` in the place of `s`. */
export function inSchema(statement: string, schema: string): string {
  return statement.replaceAll(/\bs(_b)?\b/g, `${schema}$1`);
}

/** Makes the table that a case is about. */
export function setUpCase(kind: DdlKind): readonly string[] {
  const partitions = [
    'create table s.t_1 partition of s.t for values from (0) to (100)',
    'create table s.t_2 partition of s.t for values from (100) to (200)',
  ];
  return [
    'create schema s',
    `create type s.mood as enum ('sad', 'ok')`,
    'create type s.pair as (a int, b int)',
    `create table s.t (id int primary key, v varchar(20), w int, m s.mood, p s.pair)${kind === 'table' ? '' : ' partition by range (id)'}`,
    ...(kind === 'table' ? [] : partitions),
    `insert into s.t values (1, 'a', 1, 'ok', '(1,2)'), (101, 'a', 1, 'ok', '(1,2)')`,
  ];
}

export const DEFAULT_WRITE = `insert into s.t (id, v, w, m) values (2, 'a', 5, 'ok')`;

/** Which shapes end with the next write; undefined where that is not said. */
export function endsByWrite(each: DdlCase): readonly DdlShape[] | undefined {
  return 'endsByWrite' in each ? each.endsByWrite : each.ends;
}

/** The query parameters that make each shape of a case; `where` is on the column that is touched, which it does not select. */
export function shapeParams({ touched = 'v' }: DdlCase, shape: DdlShape): Readonly<Record<string, string>> {
  switch (shape) {
    case 'all':
      return {};
    case 'touching':
      return { columns: `id,${touched}` };
    case 'where':
      return { columns: 'id,w', where: { v: `v = 'a'`, m: `m = 'ok'`, p: 'w > 0' }[touched] };
    case 'other':
      return { columns: 'id,w' };
  }
}
