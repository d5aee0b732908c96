import { apply, joined, type Term } from './term.ts';
import { pattern } from './patterns.ts';
import type { Scalars } from './scalars.ts';
import { ARRAYS, NUMBERS, ORDERED, STRINGS, VALUE_TYPES, type Construct } from './vocabulary.ts';

const COMPARISONS = ['=', '<>', '!=', '<', '<=', '>', '>='];
const LIKES = ['LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE', '~~', '!~~', '~~*', '!~~*'];

/** Makes clauses. */
export class Booleans {
  readonly #scalars: Scalars;
  /** Every kind of predicate; the oracle goes through all of them in turn. */
  readonly constructs: readonly Construct[];
  readonly #atoms: readonly Construct[];

  constructor(scalars: Scalars) {
    this.#scalars = scalars;
    this.#atoms = this.#predicates();
    this.constructs = [...this.#atoms, ...this.#connectives()];
  }

  /** A boolean expression with `depth` levels of connectives at most. */
  clause(depth: number): Term {
    const { chance } = this.#scalars;
    if (depth <= 0 || chance.chance(0.25)) return this.atom(1 + chance.int(2));
    const roll = chance.next();
    if (roll < 0.7) return this.#connective(roll < 0.36 ? 'AND' : 'OR', () => this.clause(depth - 1));
    if (roll < 0.85) return apply('bool', 'not', ['NOT ', this.clause(depth - 1)]);
    return this.#booleanTest(() => this.clause(depth - 1));
  }

  /** A predicate without connectives. */
  atom(depth: number): Term {
    const { chance } = this.#scalars;
    const roll = chance.next();
    if (roll < 0.4) return this.#comparison(chance.pick(VALUE_TYPES), depth - 1);
    if (roll < 0.85) return chance.pick(this.#atoms).make(depth - 1);
    return this.#scalars.scalar('bool', depth);
  }

  #comparison(type: string, depth: number): Term {
    const scalars = this.#scalars;
    const { chance } = scalars;
    const op = chance.pick(COMPARISONS);
    const left = scalars.scalar(type, depth);
    const right = chance.chance(0.7) ? scalars.constant(type) : scalars.operand(type, depth);
    const name = `${type} ${op === '!=' ? '<>' : op} ${type}`;
    return chance.chance(0.2) && !(left.kind === 'constant' && right.kind === 'constant')
      ? apply('bool', name, [right, ` ${op} `, left])
      : apply('bool', name, [left, ` ${op} `, right]);
  }

  #connective(word: 'AND' | 'OR', one: () => Term): Term {
    const parts = Array.from({ length: 2 + this.#scalars.chance.int(2) }, one);
    return apply('bool', word.toLowerCase(), joined(parts, ` ${word} `));
  }

  #booleanTest(one: () => Term): Term {
    const test = this.#scalars.chance.pick(['TRUE', 'FALSE', 'UNKNOWN']);
    const not = this.#scalars.chance.chance(0.5) ? 'NOT ' : '';
    return apply('bool', `is ${test.toLowerCase()}`, [one(), ` IS ${not}${test}`]);
  }

  /** TRUE, FALSE, NULL, or an error for some rows. */
  #outcome(): Term {
    const scalars = this.#scalars;
    const { chance } = scalars;
    const column = (name: string): Term => ({ kind: 'column', type: name, name });
    switch (chance.int(6)) {
      case 0:
        return { kind: 'constant', type: 'bool', text: chance.pick(['TRUE', 'FALSE', 'NULL']), form: 'bare' };
      case 1:
        return apply('bool', 'error: division', ['10 / ', column(chance.pick(['i4', 'i2', 'n', 'f8'])), ' > 1']);
      case 2:
        return apply('bool', 'error: cast', [column(chance.pick(['s_number', 's'])), '::int4 > 1']);
      case 3:
        return apply('bool', 'error: pattern', [column('s'), ' LIKE ', column('s_pattern')]);
      default:
        return column(chance.pick(['b', 'bb']));
    }
  }

  #connectives(): Construct[] {
    const outcome = (): Term => this.#outcome();
    const either = (): Term => (this.#scalars.chance.chance(0.6) ? outcome() : this.clause(1));
    return [
      { name: 'and', make: () => this.#connective('AND', either) },
      { name: 'or', make: () => this.#connective('OR', either) },
      { name: 'and', make: () => this.#connective('AND', outcome) },
      { name: 'or', make: () => this.#connective('OR', outcome) },
      { name: 'not', make: () => apply('bool', 'not', ['NOT ', either()]) },
      { name: 'is true', make: () => this.#booleanTest(either) },
      { name: 'is true', make: () => this.#booleanTest(outcome) },
    ];
  }

  #predicates(): Construct[] {
    const scalars = this.#scalars;
    const { chance } = scalars;
    const made: Construct[] = [];
    const add = (name: string, parts: (depth: number) => (string | Term)[]): void => {
      made.push({ name, make: (depth) => apply('bool', name, parts(depth)) });
    };
    const not = (): string => (chance.chance(0.4) ? ' NOT' : '');
    for (const type of new Set([...VALUE_TYPES, 'json'])) {
      add(`is null ${type}`, (depth) => [
        scalars.scalar(type, depth),
        ` ${chance.pick(['IS NULL', 'IS NOT NULL', 'ISNULL', 'NOTNULL'])}`,
      ]);
      if (type === 'json') continue;
      add(`is distinct ${type}`, (depth) => [
        scalars.scalar(type, depth),
        ` IS${not()} DISTINCT FROM `,
        scalars.operand(type, depth),
      ]);
      add(`in ${type}`, (depth) => [
        scalars.scalar(type, depth),
        `${not()} IN (`,
        ...joined(this.#items(type, chance.pick([1, 2, 3, 10]), depth)),
        ')',
      ]);
    }
    for (const type of ORDERED) {
      add(`between ${type}`, (depth) => [
        scalars.scalar(type, depth),
        `${not()} BETWEEN `,
        scalars.operand(type, depth),
        ' AND ',
        scalars.operand(type, depth),
      ]);
      add(`between symmetric ${type}`, (depth) => [
        scalars.scalar(type, depth),
        `${not()} BETWEEN SYMMETRIC `,
        scalars.operand(type, depth),
        ' AND ',
        scalars.operand(type, depth),
      ]);
    }
    for (const array of new Set(ARRAYS)) {
      for (const word of ['ANY', 'ALL', 'SOME']) {
        add(`${word.toLowerCase()} ${array}`, (depth) => [
          scalars.scalar(array.slice(0, -2), depth),
          ` ${chance.pick(COMPARISONS)} ${word} (`,
          this.#set(array, depth),
          ')',
        ]);
      }
      add(`${array} against other array`, () => [
        scalars.column(array),
        ` ${chance.pick(['=', '@>', '&&', '<@', '||'])} `,
        scalars.column(chance.pick(ARRAYS)),
      ]);
    }
    add('in 50', () => {
      const type = chance.pick(['int4', 'text', 'numeric', 'date', 'int8', 'uuid']);
      return [scalars.column(type), `${not()} IN (`, ...joined(this.#items(type, 50, 0)), ')'];
    });
    add('in 5000', () => {
      const items = Array.from({ length: 5000 }, () => (chance.chance(0.0001) ? 'NULL' : String(chance.int(9999))));
      return [scalars.column(chance.pick(['int4', 'int8', 'int2', 'numeric'])), `${not()} IN (${items.join(', ')})`];
    });
    for (const left of NUMBERS) {
      add(`in mixed ${left}`, (depth) => [
        scalars.scalar(left, depth),
        `${not()} IN (`,
        ...joined(Array.from({ length: 3 }, () => scalars.scalar(chance.pick(NUMBERS), 0))),
        ')',
      ]);
      add(`any mixed ${left}`, () => [
        scalars.scalar(left, 0),
        ` ${chance.pick(COMPARISONS)} ${chance.pick(['ANY', 'ALL'])} (`,
        scalars.column(chance.pick(['int4[]', 'int8[]', 'numeric[]', 'float8[]', 'int2[]'])),
        ')',
      ]);
    }
    for (const left of STRINGS) {
      for (const op of LIKES) {
        add(`${left} ${op}`, (depth) => [scalars.scalar(left, depth), ` ${op} `, pattern(scalars, left, depth)]);
      }
      add(`${left} like any`, (depth) => [
        scalars.scalar(left, depth),
        ` ${chance.pick(LIKES)} ${chance.pick(['ANY', 'ALL'])} (`,
        ...chance.pick([
          () => ['ARRAY[', pattern(scalars, left, 0), ', ', pattern(scalars, left, 0), ']'],
          () => [scalars.column('text[]')],
        ])(),
        ')',
      ]);
      add(`${left} like escape`, (depth) => [
        scalars.scalar(left, depth),
        ` ${chance.pick(['LIKE', 'NOT LIKE', 'ILIKE', 'NOT ILIKE'])} `,
        pattern(scalars, left, depth),
        ' ESCAPE ',
        {
          kind: 'constant',
          type: 'text',
          text: chance.pick(['a', '%', '_', '\\', '', 'é', 'ab', '😀', null]),
          form: 'unknown',
        },
      ]);
      add(`${left} like concatenation`, () => [
        scalars.column(left),
        ' LIKE ',
        pattern(scalars, left, 0),
        ` || `,
        scalars.column(chance.pick(STRINGS)),
      ]);
    }
    const row = (types: readonly string[], make: (type: string) => Term): (string | Term)[] => [
      chance.chance(0.3) ? 'ROW(' : '(',
      ...joined(types.map(make)),
      ')',
    ];
    const rowTypes = (): string[] => Array.from({ length: 2 + chance.int(2) }, () => chance.pick(ORDERED));
    for (const op of COMPARISONS) {
      add(`row ${op}`, () => {
        const types = rowTypes();
        return [
          ...row(types, (type) => scalars.scalar(type, 0)),
          ` ${op} `,
          ...row(types, (type) => scalars.operand(type, 0)),
        ];
      });
    }
    add('row in', () => {
      const types = rowTypes();
      const rows = Array.from({ length: 1 + chance.int(3) }, (_, i) => [
        i === 0 ? '' : ', ',
        ...row(types, (type) => scalars.leaf(type)),
      ]);
      return [...row(types, (type) => scalars.scalar(type, 0)), `${not()} IN (`, ...rows.flat(), ')'];
    });
    add('row is distinct', () => {
      const types = rowTypes();
      return [
        ...row(types, (type) => scalars.scalar(type, 0)),
        ` IS${not()} DISTINCT FROM `,
        ...row(types, (type) => scalars.leaf(type)),
      ];
    });
    add('row is null', () => [...row(rowTypes(), (type) => scalars.scalar(type, 0)), ` IS${not()} NULL`]);
    add('mixed numbers', () => [
      scalars.column(chance.pick(NUMBERS)),
      ` ${chance.pick(COMPARISONS)} `,
      scalars.column(chance.pick(NUMBERS)),
    ]);
    add('mixed strings', () => [
      scalars.column(chance.pick(STRINGS)),
      ` ${chance.pick(COMPARISONS)} `,
      scalars.column(chance.pick(STRINGS)),
    ]);
    add('literal alone', () => [chance.pick(['TRUE', 'FALSE', 'NULL', "'t'", "'no'", "'x'"])]);
    return made;
  }

  #items(type: string, count: number, depth: number): Term[] {
    const { chance } = this.#scalars;
    return Array.from({ length: count }, () => {
      if (count <= 3 && chance.chance(0.25)) return this.#scalars.scalar(type, depth);
      const text = chance.chance(count > 3 ? 0.01 : 0.08) ? null : this.#scalars.text(type);
      return { kind: 'constant', type, text, form: chance.chance(0.9) ? 'unknown' : 'cast' };
    });
  }

  /** An array to compare with every element of: a literal, a constructor, a column. */
  #set(array: string, depth: number): Term {
    const scalars = this.#scalars;
    const { chance } = scalars;
    const element = array.slice(0, -2);
    const roll = chance.next();
    if (roll < 0.35) return scalars.column(array);
    if (roll < 0.5) return scalars.constant(array, 'unknown');
    if (roll < 0.6) return scalars.constant(array, 'cast');
    if (roll < 0.65) return { kind: 'constant', type: array, text: '{}', form: 'unknown' };
    if (roll < 0.68 && ['int4', 'int8', 'text'].includes(element)) {
      const items = Array.from({ length: chance.pick([50, 5000]) }, () => String(chance.int(20000) - 100));
      return { kind: 'constant', type: array, text: `{${items.join(',')}}`, form: 'unknown' };
    }
    const count = chance.pick([1, 2, 2, 5]);
    const items = Array.from({ length: count }, () => scalars.operand(element, depth));
    return apply(array, 'constructor in any', ['ARRAY[', ...joined(items), ']'], true);
  }
}
