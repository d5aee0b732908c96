import type { Chance } from '../support/chance.ts';
import type { Catalog, CatalogCast, CatalogFunction, CatalogOperator } from './catalog.ts';
import { pattern } from './patterns.ts';
import { specialConstructs } from './special-constructs.ts';
import { COLUMNS } from './table.ts';
import { apply, joined, type ConstantForm, type Term } from './term.ts';
import { anyValue, RANGE_SUBTYPES } from './value-pools.ts';
import { ARRAYS, FIELDS, NUMBERS, ORDERED, RANGES, VALUE_TYPES, ZONES, type Construct } from './vocabulary.ts';

/** What a type may stand in for, by implicit cast or as its domain. */
const WIDENS: Readonly<Record<string, readonly string[]>> = {
  int4: ['int2', 'posint'],
  int8: ['int2', 'int4'],
  numeric: ['int2', 'int4', 'int8'],
  float4: ['int4', 'numeric'],
  float8: ['int4', 'int8', 'numeric', 'float4'],
  text: ['varchar', 'bpchar', 'name', 'label'],
  varchar: ['text', 'label'],
  timestamp: ['date'],
  timestamptz: ['date', 'timestamp'],
  inet: ['cidr'],
};

/** Makes expressions of a given type. */
export class Scalars {
  readonly chance: Chance;
  readonly #rows: readonly (readonly (string | null)[])[];
  readonly #operators = new Map<string, CatalogOperator[]>();
  readonly #functions = new Map<string, CatalogFunction[]>();
  readonly #casts = new Map<string, CatalogCast[]>();
  readonly #columns = new Map<string, string[]>();
  readonly #specials = new Map<string, Construct[]>();
  /** Every construct that makes a value other than a boolean atom of `Booleans`. */
  readonly constructs: readonly Construct[];

  /** Postgres 16 and later: other bases and separators in numbers. */
  readonly #modern: boolean;

  /** `rows` are the table's, as wire text in the order of COLUMNS: constants are drawn from them. */
  constructor(chance: Chance, catalog: Catalog, rows: readonly (readonly (string | null)[])[]) {
    this.chance = chance;
    this.#rows = rows;
    this.#modern = catalog.version >= 160_000;
    for (const { name, type } of COLUMNS) push(this.#columns, type, name);
    for (const one of catalog.operators) push(this.#operators, one.result, one);
    for (const one of catalog.functions) push(this.#functions, one.result, one);
    for (const one of catalog.casts) push(this.#casts, one.to, one);
    const specials = specialConstructs(this);
    for (const { type, ...one } of specials) push(this.#specials, type, one);
    this.constructs = [
      ...catalog.operators.map((one) => ({
        name: operatorName(one),
        make: (depth: number) => this.operator(one, depth),
      })),
      ...catalog.functions.map((one) => ({
        name: functionName(one),
        make: (depth: number) => this.#call(one, depth),
      })),
      ...catalog.casts.map((one) => ({
        name: `cast ${one.from} -> ${one.to}`,
        make: (depth: number) => this.cast(one.from, one.to, depth),
      })),
      ...specials,
    ];
  }

  /** An expression of the type; `depth` levels of operands at most. */
  scalar(type: string, depth: number): Term {
    const { chance } = this;
    if (depth <= 0 || chance.chance(0.4)) return this.leaf(type);
    const roll = chance.next();
    const operators = this.#operators.get(type) ?? [];
    const functions = this.#functions.get(type) ?? [];
    const casts = this.#casts.get(type) ?? [];
    const specials = this.#specials.get(type) ?? [];
    if (roll < 0.35 && operators.length > 0) return this.operator(chance.pick(operators), depth - 1);
    if (roll < 0.55 && functions.length > 0) return this.#call(chance.pick(functions), depth - 1);
    if (roll < 0.7 && casts.length > 0) {
      const { from, to } = chance.pick(casts);
      return this.cast(from, to, depth - 1);
    }
    if (roll < 0.85 && specials.length > 0) return chance.pick(specials).make(depth - 1);
    return this.#choice(type, depth - 1);
  }

  /** A column of the type, or a constant where there is none. */
  leaf(type: string): Term {
    return this.chance.chance(0.75) ? this.column(type) : this.constant(type);
  }

  column(type: string): Term {
    const names = this.#columns.get(type);
    return names === undefined ? this.constant(type) : { kind: 'column', type, name: this.chance.pick(names) };
  }

  /** 60 % from the rows (spec W 10.4), 6 % NULL. */
  constant(type: string, form: ConstantForm = this.#form(type)): Term {
    if (this.chance.chance(0.06)) return { kind: 'constant', type, text: null, form };
    const text = this.text(type);
    if (form !== 'bare') return { kind: 'constant', type, text, form };
    const number = /^-?\d+(\.\d+)?(e[-+]?\d+)?$/.test(text);
    return { kind: 'constant', type, text: number ? this.#spell(text) : text, form: number ? form : 'unknown' };
  }

  /** Another way to write the same number; its type may be another one. */
  #spell(number: string): string {
    const { chance } = this;
    if (!/^\d+$/.test(number) || chance.chance(0.8)) return number;
    const hex = `0x${BigInt(number).toString(16).toUpperCase()}`;
    const grouped = number.replace(/(\d)(?=\d)/, '$1_');
    return chance.pick([
      `${number}.`,
      `${number}e0`,
      `${number}.0E+0`,
      `0${number}`,
      ...(this.#modern ? [hex, grouped] : []),
    ]);
  }

  /** Wire or input text of a value of the type. */
  text(type: string): string {
    const names = this.#columns.get(type);
    if (names !== undefined && this.chance.chance(0.6)) {
      const name = this.chance.pick(names);
      const cell = this.chance.pick(this.#rows)[COLUMNS.findIndex((one) => one.name === name)];
      if (typeof cell === 'string') return cell;
    }
    return anyValue(type, this.chance);
  }

  /** An operand for a parameter of the type: mostly of that type, now and then one that is cast, or an untyped literal. */
  operand(type: string, depth: number): Term {
    const roll = this.chance.next();
    const widens = WIDENS[type];
    if (roll < 0.1 && widens !== undefined) return this.scalar(this.chance.pick(widens), depth);
    if (roll < 0.25) return this.constant(type, 'unknown');
    return this.scalar(type, depth);
  }

  operator(one: CatalogOperator, depth: number): Term {
    const [right = '', result = '', left] = this.concrete([one.right, one.result, one.left ?? '']);
    const name = operatorName(one);
    if (one.left === undefined) return apply(result, name, [`${one.name} `, this.scalar(right, depth)]);
    if (/^!?~~\*?$/.test(one.name) && right === 'text') {
      return apply(result, name, [this.scalar(left ?? '', depth), ` ${one.name} `, pattern(this, left ?? '', depth)]);
    }
    if (['=', '<>'].includes(one.name) && this.chance.chance(0.35)) return this.#twins(one, left ?? '', right, depth);
    const exponent = one.name === '^' && this.chance.chance(0.7);
    const shift = one.name === '<<' || one.name === '>>';
    const second = exponent || (shift && right === 'int4') ? this.small(right) : this.operand(right, depth);
    // Two untyped literals would be text.
    const first = second.kind === 'constant' ? this.scalar(left ?? '', depth) : this.operand(left ?? '', depth);
    return apply(result, name, [first, ` ${one.name} `, second]);
  }

  /** A comparison of two sides that are the same in some rows. */
  #twins(one: CatalogOperator, left: string, right: string, depth: number): Term {
    const first = this.scalar(left, depth);
    const same = left === right ? first : apply(right, `cast ${left} -> ${right}`, [first, `::${right}`]);
    const parts = ['CASE WHEN ', this.column('bool'), ' THEN ', same, ' ELSE ', this.leaf(right), ' END'];
    return apply('bool', operatorName(one), [first, ` ${one.name} `, apply(right, 'case searched', parts, true)]);
  }

  /** Polymorphic types replaced by ones that fit together. */
  concrete(types: readonly string[]): string[] {
    const { chance } = this;
    const range = chance.pick(RANGES);
    const array = chance.pick(ARRAYS);
    const ranged = types.some((type) => type.endsWith('range') && type.startsWith('any'));
    const element = ranged ? (RANGE_SUBTYPES[range] ?? '') : array.slice(0, -2);
    const enumeration = chance.chance(0.8) ? 'mood' : 'size';
    return types.map((type) => {
      switch (type) {
        case 'anyarray':
        case 'anycompatiblearray':
          return array;
        case 'anyelement':
        case 'anynonarray':
          return types.includes('anyenum') ? enumeration : element;
        case 'anycompatible':
          return element;
        case 'anyenum':
          return enumeration;
        case 'anyrange':
        case 'anycompatiblerange':
          return range;
        case 'any':
          return chance.pick(VALUE_TYPES);
        default:
          return type;
      }
    });
  }

  #call(one: CatalogFunction, depth: number): Term {
    const types = this.concrete([...one.args, one.result]);
    const result = types.pop() ?? '';
    const variadic = ['concat', 'concat_ws', 'num_nulls', 'num_nonnulls'].includes(one.name);
    const more = variadic ? Array.from({ length: this.chance.int(3) }, () => this.chance.pick(VALUE_TYPES)) : [];
    const args = [...types, ...more].map((type, i) => this.#argument(one.name, i, type, depth));
    return apply(result, functionName(one), [`${one.name}(`, ...joined(args), ')'], true);
  }

  #argument(name: string, place: number, type: string, depth: number): Term {
    const { chance } = this;
    const odd = chance.chance(0.1);
    if (!odd && place === 0 && (name === 'date_trunc' || name === 'date_part')) return this.word(FIELDS, 's_field');
    if (!odd && name === 'timezone' && place === 0 && type === 'text') return this.word(ZONES, 's_zone');
    if (name === 'date_trunc' && place === 2) return this.word(ZONES, 's_zone');
    if (name === 'repeat' && place === 1) return this.small(type);
    if (place === 1 && ['power', 'round', 'trunc'].includes(name)) return this.small(type);
    if (place > 0 && type === 'int4' && chance.chance(0.7)) return this.small(type);
    return this.operand(type, depth);
  }

  word(words: readonly string[], column: string): Term {
    if (this.chance.chance(0.25)) return { kind: 'column', type: 'text', name: column };
    return { kind: 'constant', type: 'text', text: this.chance.pick(words), form: 'unknown' };
  }

  small(type: string): Term {
    const fractions = type === 'numeric' || type === 'float8' ? ['0.5', '-1.5', '2.0'] : [];
    const text = this.chance.pick(['0', '1', '2', '3', '-1', '-2', '4', '5', ...fractions]);
    return { kind: 'constant', type, text, form: this.chance.chance(0.7) && type !== 'int2' ? 'bare' : 'cast' };
  }

  cast(from: string, to: string, depth: number): Term {
    const operand = from === 'text' && this.chance.chance(0.5) ? this.textOf(to) : this.scalar(from, depth);
    const form = this.chance.int(3);
    const name = `cast ${from} -> ${to}`;
    if (form === 0) return apply(to, name, ['CAST(', operand, ` AS ${to})`], true);
    return apply(to, name, [operand, `::${to}`]);
  }

  /** Text that the input function of a type may take. */
  textOf(type: string): Term {
    const { chance } = this;
    const names = NUMBERS.includes(type) ? 's_number' : /date|time|interval/.test(type) ? 's_time' : 's_other';
    const roll = chance.next();
    if (roll < 0.3) return { kind: 'column', type: 'text', name: names };
    if (roll < 0.5) return { kind: 'constant', type: 'text', text: anyValue(type, chance), form: 'cast' };
    const written = apply('text', `cast ${type} -> text`, [this.column(type), '::text']);
    return roll < 0.9 ? written : apply('text', 'text || text', ["' ' || ", written]);
  }

  #choice(type: string, depth: number): Term {
    const { chance } = this;
    const one = (): Term => (chance.chance(0.2) ? this.constant(type, 'unknown') : this.scalar(type, depth));
    const first = this.scalar(type, depth);
    const roll = chance.int(7);
    const rest = Array.from({ length: chance.int(3) }, one);
    if (roll === 0) return apply(type, 'nullif', ['NULLIF(', first, ', ', one(), ')'], true);
    if (roll === 1) return apply(type, 'greatest', ['GREATEST(', ...joined([first, ...rest]), ')'], true);
    if (roll === 2) return apply(type, 'least', ['LEAST(', ...joined([first, ...rest]), ')'], true);
    if (roll === 3) return apply(type, 'coalesce', ['COALESCE(', ...joined([first, ...rest]), ')'], true);
    return this.#case(type, depth, first, one);
  }

  #case(type: string, depth: number, first: Term, one: () => Term): Term {
    const { chance } = this;
    const arms = Array.from({ length: 1 + chance.int(2) }, (_, i) => i);
    const otherwise = chance.chance(0.7) ? [' ELSE ', one()] : [];
    if (chance.chance(0.4)) {
      const subject = chance.pick(ORDERED);
      const parts = arms.flatMap((i) => [' WHEN ', this.operand(subject, 0), ' THEN ', i === 0 ? first : one()]);
      return apply(type, 'case simple', ['CASE ', this.scalar(subject, depth), ...parts, ...otherwise, ' END'], true);
    }
    const parts = arms.flatMap((i) => [' WHEN ', this.scalar('bool', depth), ' THEN ', i === 0 ? first : one()]);
    return apply(type, 'case searched', ['CASE', ...parts, ...otherwise, ' END'], true);
  }

  #form(type: string): ConstantForm {
    const roll = this.chance.next();
    if (roll < 0.45) {
      const number = NUMBERS.includes(type);
      return number && this.chance.chance(0.5) ? 'bare' : 'unknown';
    }
    if (roll < 0.65) return 'cast';
    if (roll < 0.75) return 'call';
    if (roll < 0.85) return 'prefix';
    if (roll < 0.9) return 'parameter';
    if (roll < 0.93) return 'escape';
    if (roll < 0.96) return 'dollar';
    return roll < 0.98 ? 'unicode' : 'split';
  }

  named(name: string, type: string, depth: number): Term {
    const one = (): Term => this.operand(type, depth);
    const first = this.scalar(type, depth);
    if (name === 'case') return this.#case(type, depth, first, one);
    const rest = Array.from({ length: 1 + (name === 'nullif' ? 0 : this.chance.int(3)) }, one);
    return apply(type, name, [`${name.toUpperCase()}(`, ...joined([first, ...rest]), ')'], true);
  }
}

function operatorName({ left, name, right }: CatalogOperator): string {
  return left === undefined ? `${name} ${right}` : `${left} ${name} ${right}`;
}

function functionName({ name, args }: CatalogFunction): string {
  return `${name}(${args.join(', ')})`;
}

function push<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
