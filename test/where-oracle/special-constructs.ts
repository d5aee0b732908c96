import { apply, joined, type Term } from './term.ts';
import type { Scalars } from './scalars.ts';
import { ARRAYS, FIELDS, NUMBERS, STRINGS, ZONES, type Construct } from './vocabulary.ts';

/** A construct whose result is of one type. */
export interface TypedConstruct extends Construct {
  readonly type: string;
}

/** Constructs that are neither operators nor functions nor casts of the catalog. */
export function specialConstructs(scalars: Scalars): TypedConstruct[] {
  const { chance } = scalars;
  const made: TypedConstruct[] = [];
  const add = (type: string, name: string, parts: (depth: number) => (string | Term)[], atomic = true): void => {
    made.push({ type, name, make: (depth) => apply(type, name, parts(depth), atomic) });
  };
  for (const type of [...NUMBERS, 'text', 'date', 'mood', 'timestamptz', 'interval', 'varchar', 'int4[]', 'jsonb']) {
    for (const name of ['nullif', 'greatest', 'least', 'coalesce', 'case']) {
      made.push({ type, name: `${name} ${type}`, make: (depth) => scalars.named(name, type, depth) });
    }
  }
  const int = (depth: number): Term => {
    const term = chance.chance(0.6) ? scalars.small('int4') : scalars.scalar('int4', depth);
    // An untyped literal would make SUBSTRING one with a regular expression.
    return term.kind === 'constant' ? { ...term, form: 'cast' } : term;
  };
  for (const array of new Set(ARRAYS)) {
    const element = array.slice(0, -2);
    const base = (depth: number): Term => (chance.chance(0.7) ? scalars.column(array) : scalars.scalar(array, depth));
    add(element, `subscript ${array}`, (depth) => [base(depth), '[', int(depth), ']']);
    add(element, `subscript ${array} 2`, (depth) => [base(depth), '[', int(depth), '][', int(0), ']']);
    add(array, `slice ${array}`, (depth) => [base(depth), '[', int(depth), ':', int(depth), ']']);
    add(array, `slice ${array} open`, (depth) => [
      base(depth),
      ...chance.pick([['[:', int(depth), ']'], ['[', int(depth), ':]'], ['[:]']]),
    ]);
    add(array, `slice ${array} 2`, (depth) => [base(depth), '[', int(depth), '][', int(0), ':', int(0), ']']);
    add(array, `constructor ${array}`, (depth) => [
      'ARRAY[',
      ...joined(Array.from({ length: 1 + chance.int(3) }, () => scalars.scalar(element, depth))),
      ']',
    ]);
    add(array, `constructor ${array} nested`, (depth) => [
      'ARRAY[[',
      scalars.scalar(element, depth),
      '], [',
      scalars.operand(element, depth),
      ']]',
    ]);
    for (const other of ARRAYS) {
      if (other !== array && chance.chance(0.15))
        made.push({
          type: array,
          name: `cast ${other} -> ${array}`,
          make: (depth) => scalars.cast(other, array, depth),
        });
    }
  }
  add(
    'timestamptz',
    'timestamp AT TIME ZONE',
    (depth) => [scalars.scalar('timestamp', depth), ' AT TIME ZONE ', scalars.word(ZONES, 's_zone')],
    false,
  );
  add(
    'timestamp',
    'timestamptz AT TIME ZONE',
    (depth) => [scalars.scalar('timestamptz', depth), ' AT TIME ZONE ', scalars.word(ZONES, 's_zone')],
    false,
  );
  add(
    'timestamp',
    'timestamptz AT TIME ZONE interval',
    (depth) => [scalars.scalar('timestamptz', depth), ' AT TIME ZONE ', scalars.constant('interval', 'prefix')],
    false,
  );
  for (const type of ['date', 'timestamp', 'interval', 'time', 'timestamptz']) {
    add('numeric', `extract ${type}`, (depth) => [
      `EXTRACT(${chance.pick(FIELDS)} FROM `,
      scalars.scalar(type, depth),
      ')',
    ]);
  }
  add('int4', 'position', (depth) => [
    'POSITION(',
    scalars.operand('text', depth),
    ' IN ',
    scalars.scalar('text', depth),
    ')',
  ]);
  add('text', 'substring from for', (depth) => [
    'SUBSTRING(',
    scalars.scalar('text', depth),
    ' FROM ',
    int(depth),
    ' FOR ',
    int(depth),
    ')',
  ]);
  add('text', 'substring from', (depth) => ['SUBSTRING(', scalars.scalar('text', depth), ' FROM ', int(depth), ')']);
  add('text', 'trim', (depth) => [
    `TRIM(${chance.pick(['', 'BOTH ', 'LEADING ', 'TRAILING '])}`,
    ...(chance.chance(0.5) ? [scalars.operand('text', 0), ' '] : []),
    'FROM ',
    scalars.scalar('text', depth),
    ')',
  ]);
  add('text', 'trim plain', (depth) => ['TRIM(', scalars.scalar('text', depth), ')']);
  add('text', 'overlay', (depth) => [
    'OVERLAY(',
    scalars.scalar('text', depth),
    ' PLACING ',
    scalars.operand('text', 0),
    ' FROM ',
    int(0),
    ')',
  ]);
  add('text', 'collate', (depth) => [scalars.scalar(chance.pick(STRINGS), depth), ' COLLATE "C"'], false);
  const modified: Readonly<Record<string, readonly string[]>> = {
    varchar: ['varchar(3)', 'character varying(1)'],
    bpchar: ['char(3)', 'character(5)', 'char'],
    numeric: ['numeric(5,2)', 'numeric(4)', 'decimal(20,10)', 'numeric(3,-2)', 'numeric(2,4)'],
    timestamp: ['timestamp(0)', 'timestamp(3)', 'timestamp without time zone'],
    timestamptz: ['timestamptz(0)', 'timestamp(2) with time zone'],
    time: ['time(0)', 'time(3)'],
    interval: ['interval(0)', 'interval(2)', 'interval day', 'interval year to month', 'interval hour to second'],
    float8: ['double precision', 'float(53)', 'float'],
    float4: ['real', 'float(1)'],
    int4: ['integer', 'int'],
    int8: ['bigint'],
    int2: ['smallint'],
    bool: ['boolean'],
    'varchar[]': ['varchar(2)[]'],
    'numeric[]': ['numeric(4,1)[]'],
    'int4[]': ['int ARRAY', 'integer[3]'],
  };
  const same: Readonly<Record<string, readonly string[]>> = {
    varchar: STRINGS,
    bpchar: STRINGS,
    numeric: NUMBERS,
    timestamp: ['date', 'timestamptz'],
  };
  for (const [type, spellings] of Object.entries(modified)) {
    for (const spelling of spellings) {
      add(
        type,
        `cast to ${spelling}`,
        (depth) => [scalars.scalar(chance.pick([type, type, ...(same[type] ?? [])]), depth), `::${spelling}`],
        false,
      );
    }
  }
  for (const type of [
    'int2',
    'int4',
    'int8',
    'float4',
    'float8',
    'numeric',
    'bool',
    'uuid',
    'text',
    'date',
    'timestamp',
    'timestamptz',
    'mood',
  ]) {
    add(type, `${type}(text)`, () => [`${type === 'timestamp' ? '"timestamp"' : type}(`, scalars.textOf(type), ')']);
  }
  return made;
}
