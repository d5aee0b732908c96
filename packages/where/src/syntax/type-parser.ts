import { ClauseRefusal } from '../errors.ts';
import { isFunctionWord } from './keywords.ts';
import type { Token } from './lexer.ts';
import type { TypeSyntax } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';

/** Type names that are keywords: the name in `pg_type`. */
const SPELLINGS: ReadonlyMap<string, string> = new Map([
  ['bigint', 'int8'],
  ['bit', 'bit'],
  ['boolean', 'bool'],
  ['char', 'bpchar'],
  ['character', 'bpchar'],
  ['dec', 'numeric'],
  ['decimal', 'numeric'],
  ['float', 'float8'],
  ['int', 'int4'],
  ['integer', 'int4'],
  ['interval', 'interval'],
  ['json', 'json'],
  ['national', 'bpchar'],
  ['nchar', 'bpchar'],
  ['numeric', 'numeric'],
  ['real', 'float4'],
  ['smallint', 'int2'],
  ['time', 'time'],
  ['timestamp', 'timestamp'],
  ['varchar', 'varchar'],
]);

/** Keywords that VARYING may follow. */
const VARYING: ReadonlyMap<string, string> = new Map([
  ['bit', 'varbit'],
  ['char', 'varchar'],
  ['character', 'varchar'],
  ['nchar', 'varchar'],
]);

/** Keyword types that take no modifier in parentheses. */
const UNMODIFIED: ReadonlySet<string> = new Set(['bigint', 'boolean', 'int', 'integer', 'json', 'real', 'smallint']);
/** Keyword types with one modifier, which is a constant. */
const ONE_MODIFIER: ReadonlySet<string> = new Set([
  'char',
  'character',
  'float',
  'nchar',
  'time',
  'timestamp',
  'varchar',
]);

/** Bits of the fields in the type modifier of `interval`, from the largest field to the smallest. */
const INTERVAL_FIELDS: ReadonlyMap<string, number> = new Map([
  ['year', 1 << 2],
  ['month', 1 << 1],
  ['day', 1 << 3],
  ['hour', 1 << 10],
  ['minute', 1 << 11],
  ['second', 1 << 12],
]);
const ALL_INTERVAL_FIELDS = 0x7fff;

/** Where a type name stands. Before a constant it has no brackets, and `char` no length of its own. */
type Place = 'cast' | 'constant';

/** Parses type names: `int`, `character varying(10)`, `timestamp with time zone`, `pg_catalog.int4[]`, `"Mood"`. */
export class TypeParser {
  readonly #tokens: TokenStream;

  constructor(tokens: TokenStream) {
    this.#tokens = tokens;
  }

  /** A type behind `::` or in CAST. Throws ClauseRefusal. */
  type(): TypeSyntax {
    const token = this.#tokens.peek();
    if (token.kind === 'word' && token.text === 'setof') {
      throw new ClauseRefusal('SETOF types are not supported in this context', token.at);
    }
    const type = this.#startsKeywordType() ? this.#keywordType('cast') : this.#genericType();
    return { ...type, arrayDims: this.#dimensions() };
  }

  /**
   * Whether `type 'constant'` comes, with a type that is a keyword. The keyword may also be the name of a column, which is
   * settled by the token behind it.
   */
  isConstantAhead(): boolean {
    if (!this.#startsKeywordType()) return false;
    const word = this.#tokens.peek().text;
    const next = this.#tokens.peek(1);
    if (next.kind === 'string') return true;
    if (next.kind === 'punct') return next.text === '(' && !UNMODIFIED.has(word);
    if (next.kind !== 'word') return false;
    if (next.text === 'varying') return VARYING.has(word);
    if (word === 'time' || word === 'timestamp') return next.text === 'with' || next.text === 'without';
    if (word === 'national') return next.text === 'character' || next.text === 'char';
    return word === 'double';
  }

  /** The type of such a constant; the cursor is then on the string. */
  constantType(): TypeSyntax {
    return { ...this.#keywordType('constant'), arrayDims: 0 };
  }

  /** The fields behind `interval '...'`. */
  intervalFields(): number[] {
    const first = this.#tokens.wordOf(INTERVAL_FIELDS)?.text;
    if (first === undefined) return [];
    this.#tokens.next();
    let mask = INTERVAL_FIELDS.get(first) as number;
    let last = first;
    if (first !== 'second' && first !== 'month' && this.#tokens.skipWord('to')) {
      const fields = [...INTERVAL_FIELDS.keys()];
      // Years go with months, and the rest among themselves.
      const smaller = first === 'year' ? ['month'] : fields.slice(fields.indexOf(first) + 1);
      const to = this.#tokens.wordOf(new Set(smaller));
      if (to === undefined) throw this.#tokens.unexpected();
      last = this.#tokens.next().text;
      for (let i = fields.indexOf(first); i <= fields.indexOf(last); i++) {
        mask |= INTERVAL_FIELDS.get(fields[i] as string) as number;
      }
    }
    if (last !== 'second' || !this.#tokens.skipPunct('(')) return [mask];
    const precision = this.#tokens.smallInteger();
    this.#tokens.expectPunct(')');
    return [mask, precision];
  }

  #startsKeywordType(): boolean {
    const token = this.#tokens.peek();
    if (token.kind !== 'word') return false;
    return SPELLINGS.has(token.text) || (token.text === 'double' && this.#tokens.isWord('precision', 1));
  }

  #keywordType(place: Place): Omit<TypeSyntax, 'arrayDims'> {
    const { text: word, at } = this.#tokens.next();
    switch (word) {
      case 'double':
        this.#tokens.expectWord('precision');
        return system('float8', [], at);
      case 'time':
      case 'timestamp': {
        const modifiers = this.#oneModifier();
        return system(this.#isZoned() ? `${word}tz` : word, modifiers, at);
      }
      case 'interval':
        return system('interval', this.#intervalModifiers(place), at);
      case 'float': {
        const [bits = 53] = this.#oneModifier();
        if (bits < 1 || bits > 53) throw new ClauseRefusal('precision for type float must be from 1 to 53 bits', at);
        return system(bits <= 24 ? 'float4' : 'float8', [], at);
      }
      default:
        return this.#lengthType(word, at, place);
    }
  }

  #lengthType(word: string, at: number, place: Place): Omit<TypeSyntax, 'arrayDims'> {
    const national = word === 'national';
    if (national && !this.#tokens.skipWord('character')) this.#tokens.expectWord('char');
    const varying = VARYING.get(national ? 'char' : word);
    const name = varying !== undefined && this.#tokens.skipWord('varying') ? varying : (SPELLINGS.get(word) as string);
    if (UNMODIFIED.has(word)) return system(name, [], at);
    const modifiers = national || ONE_MODIFIER.has(word) ? this.#oneModifier() : this.#modifiers();
    // The standard's `char` is `char(1)`, though not before a constant.
    const isBare = modifiers.length === 0 && place === 'cast';
    return system(name, isBare && (name === 'bpchar' || name === 'bit') ? [1] : modifiers, at);
  }

  #intervalModifiers(place: Place): number[] {
    const precision = this.#oneModifier();
    if (precision.length > 0) return [ALL_INTERVAL_FIELDS, ...precision];
    return place === 'cast' ? this.intervalFields() : [];
  }

  #isZoned(): boolean {
    // WITH and WITHOUT belong to the type only before TIME.
    if (!this.#tokens.isWord('time', 1)) return false;
    const zoned = this.#tokens.isWord('with');
    if (!zoned && !this.#tokens.isWord('without')) return false;
    this.#tokens.next();
    this.#tokens.next();
    this.#tokens.expectWord('zone');
    return zoned;
  }

  #genericType(): Omit<TypeSyntax, 'arrayDims'> {
    const token = this.#tokens.peek();
    const isName = token.kind === 'quoted' || (token.kind === 'word' && isFunctionWord(token.text));
    if (!isName) throw this.#tokens.unexpected();
    const path = [this.#tokens.next().text];
    while (this.#tokens.skipPunct('.')) path.push(this.#tokens.label());
    return namedType(path, this.#modifiers(), token.at);
  }

  #oneModifier(): number[] {
    if (!this.#tokens.skipPunct('(')) return [];
    const modifier = this.#tokens.smallInteger();
    this.#tokens.expectPunct(')');
    return [modifier];
  }

  /** Postgres's grammar takes any expressions here; its types want integers. */
  #modifiers(): number[] {
    const modifiers: number[] = [];
    if (!this.#tokens.skipPunct('(')) return modifiers;
    do {
      const sign = this.#tokens.isOperator('-') ? -1 : 1;
      if (sign === -1) this.#tokens.next();
      const token = this.#tokens.peek();
      if (token.kind !== 'integer') throw badModifier(token);
      modifiers.push(sign * this.#tokens.smallInteger());
      if (!this.#tokens.isPunct(')') && !this.#tokens.isPunct(',')) throw badModifier(this.#tokens.peek());
    } while (this.#tokens.skipPunct(','));
    this.#tokens.expectPunct(')');
    return modifiers;
  }

  #dimensions(): number {
    if (this.#tokens.skipWord('array')) {
      if (this.#tokens.skipPunct('[')) {
        this.#tokens.smallInteger();
        this.#tokens.expectPunct(']');
      }
      return 1;
    }
    let dims = 0;
    while (this.#tokens.skipPunct('[')) {
      if (!this.#tokens.isPunct(']')) this.#tokens.smallInteger();
      this.#tokens.expectPunct(']');
      dims++;
    }
    return dims;
  }
}

/** A type by a name of the catalogs. */
export function namedType(
  path: readonly string[],
  modifiers: readonly number[],
  at: number,
): Omit<TypeSyntax, 'arrayDims'> {
  const local = path.length > 1 && path[0] === 'pg_catalog' ? path.slice(1) : path;
  const name = local.join('.');
  // Written as a word, `char` is `char(n)`; as a name it is the one-byte type of the catalogs.
  return { name: name === 'char' ? '"char"' : name, path, modifiers, at };
}

export function badModifier(place: Pick<Token, 'at'>): ClauseRefusal {
  return new ClauseRefusal('type modifiers must be integers', place.at);
}

function system(name: string, modifiers: readonly number[], at: number): Omit<TypeSyntax, 'arrayDims'> {
  return { name, path: ['pg_catalog', name], modifiers, at };
}
