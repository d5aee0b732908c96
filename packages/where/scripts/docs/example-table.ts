import type { ClauseColumn, ClauseTable, ColumnCollation } from '../../src/index.ts';

/** The table that every example of the page is about, in a database whose default collation is `C.UTF-8`. */
export const EXAMPLE_DDL = `CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN amount AS numeric CHECK (VALUE >= 0);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

CREATE TABLE items (
  id        int8 PRIMARY KEY,
  owner     uuid,
  status    text,
  title     text,
  code      char(5),
  done      bool,
  priority  int4,
  price     numeric,
  fee       amount,
  rating    float8,
  due       date,
  opens     time,
  local_at  timestamp,
  created   timestamptz,
  spent     interval,
  tags      text[],
  scores    int4[],
  data      jsonb,
  raw       json,
  body      bytea,
  feeling   mood,
  address   inet,
  booked    tstzrange,
  place     point,
  "Mixed"   text,
  label     text COLLATE "en-x-icu",
  nickname  text COLLATE loose
);
`;

const C_UTF8: ColumnCollation = { provider: 'libc', collate: 'C.UTF-8', ctype: 'C.UTF-8', deterministic: true };
const EN: ColumnCollation = { provider: 'icu', collate: 'en-x-icu', ctype: 'en-x-icu', deterministic: true };
const LOOSE: ColumnCollation = { ...EN, collate: 'und-u-ks-level2', ctype: 'und-u-ks-level2', deterministic: false };

const BUILT_IN = {
  ...{ id: 20, owner: 2950, done: 16, priority: 23, price: 1700, rating: 701, due: 1082, opens: 1083, local_at: 1114 },
  ...{
    created: 1184,
    spent: 1186,
    scores: 1007,
    data: 3802,
    raw: 114,
    body: 17,
    address: 869,
    booked: 3910,
    place: 600,
  },
};
const TEXTUAL = { status: 25, title: 25, code: 1042, tags: 1009, Mixed: 25 };

export const EXAMPLE_COLUMNS: readonly ClauseColumn[] = [
  ...Object.entries(BUILT_IN).map(([name, typeOid]) => ({ name, typeOid })),
  ...Object.entries(TEXTUAL).map(([name, typeOid]) => ({ name, typeOid, collation: C_UTF8 })),
  { name: 'label', typeOid: 25, collation: EN },
  { name: 'nickname', typeOid: 25, collation: LOOSE },
  {
    ...{ name: 'feeling', typeOid: 16_500, typeName: 'mood', typeSchema: 'public', typeKind: 'e', dims: 0 },
    enumLabels: ['sad', 'ok', 'happy'],
  },
  { name: 'fee', typeOid: 16_600, typeName: 'amount', typeSchema: 'public', typeKind: 'd', dims: 0, baseTypeOid: 1700 },
];

export const EXAMPLE_TABLE: ClauseTable = { schema: 'public', name: 'items', databaseCollation: C_UTF8 };
