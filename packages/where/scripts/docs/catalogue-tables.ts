import { CASTS, FUNCTIONS, OPERATORS, TYPES } from '../../src/catalogue/catalogue.data.ts';
import { functionsNamed, isPseudo, operatorsNamed, type Param, type Routine } from '../../src/catalogue/catalogue.ts';
import { castPath, castsImplicitly } from '../../src/functions/cast-paths.ts';
import type { Implementations } from '../../src/functions/implementation.ts';
import { ARRAY_FUNCTIONS } from '../../src/functions/array.ts';
import { DATETIME_FUNCTIONS } from '../../src/functions/datetime.ts';
import { JSON_FUNCTIONS } from '../../src/functions/json.ts';
import { NETWORK_FUNCTIONS } from '../../src/functions/network.ts';
import { NUMERIC_FUNCTIONS } from '../../src/functions/numeric.ts';
import { RANGE_FUNCTIONS } from '../../src/functions/range.ts';
import { TEXT_FUNCTIONS } from '../../src/functions/text.ts';
import { parseWhere, type ClauseColumn } from '../../src/index.ts';
import { type as typeNamed } from '../../src/types/types.ts';
import type { Type } from '../../src/types/type.ts';
import { EXAMPLE_TABLE } from './example-table.ts';
import { FUNCTION_NOTES } from './function-notes.ts';
import { code, codes, lines, table } from './markdown.ts';

const ALL_TYPES: readonly Type[] = TYPES.trim()
  .split('\n')
  .map((line) => typeNamed(firstWord(line)));

/** The order in which people think of types; others follow. */
const FIRST = [
  ...[
    'bool',
    'int2',
    'int4',
    'int8',
    'numeric',
    'float4',
    'float8',
    'text',
    'varchar',
    'bpchar',
    'name',
    'uuid',
    'bytea',
  ],
  ...['date', 'time', 'timestamp', 'timestamptz', 'interval', 'json', 'jsonb'],
].toReversed();

/** Types whose values the engine understands, `json` included. */
const KNOWN = ALL_TYPES.filter((type) => type.compare !== undefined || operatorsOf(type).length > 0).sort(
  (a, b) => FIRST.indexOf(b.name) - FIRST.indexOf(a.name),
);

/** Other ways to write a type's name. */
const SPELLINGS: Readonly<Record<string, string>> = {
  bool: 'boolean',
  int2: 'smallint',
  int4: 'integer, int',
  int8: 'bigint',
  float4: 'real',
  float8: 'double precision, float',
  numeric: 'decimal, numeric(p,s)',
  varchar: 'character varying(n)',
  bpchar: 'char(n), character(n)',
  time: 'time(p)',
  timestamp: 'timestamp(p)',
  timestamptz: 'timestamp(p) with time zone',
};

/** Name, what may be done with values, and what stands in literals. */
export function typeTable(): string {
  const rows = KNOWN.map((type) => {
    const comparisons = type.compare === undefined ? '–' : isAccepted(type, '<') ? '`= <> < <= > >=`' : '`= <>`';
    const operators = [...new Set(operatorsOf(type).map(({ name }) => name))].sort();
    const spelling = SPELLINGS[type.name];
    const name = spelling === undefined ? code(type.name) : `${code(type.name)} (${codes(spelling.split(', '))})`;
    return [name, comparisons, operators.length === 0 ? '–' : code(operators.join(' '))];
  });
  return table(['type', 'comparisons', 'operators'], rows);
}

/** Built-in types without a row in that table. */
export function unknownTypes(): string {
  const names = ALL_TYPES.filter((type) => !KNOWN.includes(type)).map(({ name }) => code(name));
  const perLine = 10;
  const wrapped = names.map((name, i) => (i > 0 && i % perLine === 0 ? `\n${name}` : name));
  return wrapped.join(', ').replaceAll(' \n', '\n');
}

function isAccepted(type: Type, op: string): boolean {
  const collation = EXAMPLE_TABLE.databaseCollation;
  const column: ClauseColumn = {
    name: 'c',
    typeOid: type.oid,
    ...(type.category === 'S' && collation ? { collation } : {}),
  };
  return parseWhere(`c ${op} c`, {}, [column]).ok;
}

interface Operator {
  readonly name: string;
  readonly routine: Routine;
}

/** Operators that are implemented, comparisons and pattern matching aside. */
function allOperators(): Operator[] {
  const names = [...new Set(OPERATORS.trim().split('\n').map(firstWord))];
  return names.flatMap((name) =>
    ([1, 2] as const).flatMap((arity) =>
      implemented(operatorsNamed(name, arity)).map((routine) => ({ name, routine })),
    ),
  );
}

/** Operators whose first operand is declared as this type. */
function operatorsOf(type: Type): Operator[] {
  const name = type.category === 'R' ? 'anyrange' : type.name;
  return allOperators().filter(({ routine }) => nameOf(routine.params[0] as Param) === name);
}

const OPERATOR_GROUPS = [
  'numbers',
  'text',
  'dates and times',
  'arrays',
  'json and jsonb',
  'ranges',
  'network addresses',
  'bytea',
];

/** One table per family of types. Operators with the same operands and result share a row. */
export function operatorTables(): string {
  const groups = new Map(OPERATOR_GROUPS.map((title) => [title, new Map<string, Operator[]>()]));
  for (const operator of allOperators()) {
    const { params, result } = operator.routine;
    const rows = groups.get(operatorGroup(params)) as Map<string, Operator[]>;
    const key = [...params, result].map(nameOf).join(' ');
    rows.set(key, [...(rows.get(key) ?? []), operator]);
  }
  return [...groups]
    .map(([title, rows]) => `### Operators on ${title}\n\n${operatorTable([...rows.values()])}`)
    .join('\n');
}

function operatorTable(rows: readonly (readonly Operator[])[]): string {
  // Rows that differ in their operands only, such as those of the integer types, become one.
  const merged = new Map<string, { names: string; operands: string[]; result: string }>();
  for (const operators of rows) {
    const { params, result } = (operators[0] as Operator).routine;
    const names = operators.map(({ name }) => name).join(' ');
    const key = `${names} ${params.length} ${nameOf(result)}`;
    const row = merged.get(key) ?? { names, operands: [], result: display(result) };
    row.operands.push(
      params.length === 1 ? code(display(params[0] as Param)) : params.map(display).map(code).join(' and '),
    );
    merged.set(key, row);
  }
  return table(
    ['operators', 'operands, left and right', 'result'],
    [...merged.values()].map(({ names, operands, result }) => [code(names), lines(operands), code(result)]),
  );
}

function operatorGroup(params: readonly Param[]): string {
  const names = params.map(nameOf);
  const categories = params.map((param) => (isPseudo(param) ? undefined : param.category));
  if (names.includes('anyrange')) return 'ranges';
  if (names.includes('anyarray') || names.includes('anycompatiblearray')) return 'arrays';
  if (names.includes('jsonb') || names.includes('json')) return 'json and jsonb';
  if (names.includes('bytea')) return 'bytea';
  if (categories.includes('D') || categories.includes('T')) return 'dates and times';
  if (categories.includes('I')) return 'network addresses';
  if (categories.includes('S')) return 'text';
  return 'numbers';
}

const FUNCTION_GROUPS: readonly (readonly [title: string, implementations: Implementations])[] = [
  ['numbers', NUMERIC_FUNCTIONS],
  ['text and bytea', TEXT_FUNCTIONS],
  ['dates and times', DATETIME_FUNCTIONS],
  ['arrays', ARRAY_FUNCTIONS],
  ['jsonb', JSON_FUNCTIONS],
  ['ranges', RANGE_FUNCTIONS],
  ['network addresses', NETWORK_FUNCTIONS],
];

/** One table per area with every implemented function. */
export function functionTables(): string {
  const names = [
    ...new Set(
      FUNCTIONS.trim()
        .split('\n')
        .map((line) => line.slice(0, line.indexOf('('))),
    ),
  ];
  const routines = names.flatMap((name) => implemented(functionsNamed(name)));
  const isIn = (implementations: Implementations) => (routine: Routine) =>
    Object.hasOwn(implementations, routine.signature);
  const groups = FUNCTION_GROUPS.map(([title, all]) => ({ title, own: routines.filter(isIn(all)) }));
  const rest = routines.filter((routine) => !FUNCTION_GROUPS.some(([, all]) => isIn(all)(routine)));
  return [...groups, { title: 'any type', own: rest }]
    .map(({ title, own }) => `### Functions on ${title}\n\n${functionTable(own)}`)
    .join('\n');
}

function functionTable(routines: readonly Routine[]): string {
  const byName = new Map<string, Routine[]>();
  for (const routine of routines) {
    const name = routineName(routine);
    byName.set(name, [...(byName.get(name) ?? []), routine]);
  }
  const rows = [...byName].map(([name, overloads]) => {
    const note = FUNCTION_NOTES[(overloads[0] as Routine).signature] ?? FUNCTION_NOTES[name];
    if (note === undefined) throw new Error(`no note on the function ${name} in function-notes.ts`);
    const takesNull = overloads.some(({ strict }) => !strict);
    return [lines(signaturesOf(overloads)), takesNull ? `${note}; takes NULLs` : note];
  });
  return table(['function', 'result'], rows);
}

/** Overloads that differ in one type are written once, with `T` for it. */
function signaturesOf(overloads: readonly Routine[]): string[] {
  const written: string[] = [];
  let rest = [...overloads];
  while (rest.length > 0) {
    const shapes = new Map<string, { readonly routine: Routine; readonly type: string }[]>();
    for (const routine of rest) {
      for (const type of new Set(routine.params)) {
        const shape = signatureText(routine, type);
        shapes.set(shape, [...(shapes.get(shape) ?? []), { routine, type: display(type) }]);
      }
    }
    let [best, members] = ['', [] as { readonly routine: Routine; readonly type: string }[]];
    for (const [shape, found] of shapes) if (found.length > members.length) [best, members] = [shape, found];
    if (members.length < 2) return [...written, ...rest.map((routine) => code(signatureText(routine)))];
    written.push(`${code(best)} for ${codes(members.map(({ type }) => type))}`);
    rest = rest.filter((routine) => !members.some((member) => member.routine === routine));
  }
  return written;
}

/** With `T` in place of the type `open`. */
function signatureText(routine: Routine, open?: Param): string {
  const text = (param: Param): string => (param === open ? 'T' : display(param));
  const args = routine.params.map(text).join(', ');
  return `${routineName(routine)}(${args}${routine.variadic ? ', …' : ''}) → ${text(routine.result)}`;
}

/** What each type can be cast to, text and its like aside. */
export function castTable(): string {
  const targets = KNOWN.filter((type) => type.category !== 'S');
  const rows = targets.flatMap((from) => {
    const reached = targets.filter((to) => to.compare !== undefined && to !== from && castPath(from, to) !== undefined);
    const implicit = reached.filter((to) => castsImplicitly(from, to));
    const explicit = reached.filter((to) => !implicit.includes(to));
    if (reached.length === 0) return [];
    const list = (types: readonly Type[]): string => (types.length === 0 ? '–' : codes(types.map(({ name }) => name)));
    return [[code(from.name), list(implicit), list(explicit)]];
  });
  return table(['from', 'by itself', 'when the clause says so'], rows);
}

/** Casts of Postgres between known types that there are not. */
export function missingCasts(): string {
  const missing = CASTS.trim()
    .split('\n')
    .map((line) => line.split(' ') as [string, string])
    .filter(([from, to]) => from !== to && isKnown(from) && isKnown(to))
    .filter(([from, to]) => castPath(typeNamed(from), typeNamed(to)) === undefined);
  return missing.map(([from, to]) => `${code(from)} to ${code(to)}`).join(', ');
}

function isKnown(name: string): boolean {
  return KNOWN.some((type) => type.name === name);
}

function implemented(routines: readonly Routine[]): Routine[] {
  return routines.filter(({ implementation }) => implementation !== undefined);
}

function routineName({ signature }: Routine): string {
  return signature.slice(0, signature.indexOf('('));
}

function nameOf(param: Param): string {
  return isPseudo(param) ? param : param.name;
}

const DISPLAY: Readonly<Record<string, string>> = {
  anyarray: 'array',
  anycompatiblearray: 'array',
  anyelement: 'element',
  anycompatible: 'element',
  anynonarray: 'any but an array',
  anyrange: 'range',
  bpchar: 'char',
};

/** A parameter as people call it. */
function display(param: Param): string {
  const name = nameOf(param);
  return DISPLAY[name] ?? name;
}

function firstWord(line: string): string {
  return line.slice(0, line.indexOf(' '));
}
