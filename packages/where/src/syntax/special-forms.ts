import type { CallParser } from './call-parser.ts';
import type { Grammar } from './grammar.ts';
import { isColumnWord, isFunctionWord } from './keywords.ts';
import { BEFORE_SIMILAR, RESTRICTED, WHOLE, type Parsing } from './precedence.ts';
import type { CallSyntax, Syntax, TypeSyntax } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';
import type { TypeParser } from './type-parser.ts';

const FORMS: ReadonlySet<string> = new Set([
  ...['cast', 'coalesce', 'extract', 'greatest', 'least', 'normalize', 'nullif', 'overlay', 'position', 'substring'],
  'trim',
]);

/** The type `substring(text FOR count)` converts its count to. */
const INT4: Omit<TypeSyntax, 'at'> = { name: 'int4', path: ['pg_catalog', 'int4'], modifiers: [], arrayDims: 0 };

const TRIM_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['both', 'btrim'],
  ['leading', 'ltrim'],
  ['trailing', 'rtrim'],
]);
const NORMAL_FORMS: ReadonlySet<string> = new Set(['nfc', 'nfd', 'nfkc', 'nfkd']);

/** Whether one of the functions comes whose name is a keyword and whose arguments may have words between them. */
export function isSpecialForm(tokens: TokenStream): boolean {
  if (tokens.isWord('collation')) return tokens.isWord('for', 1);
  const form = tokens.wordOf(FORMS);
  return form !== undefined && (tokens.isPunct('(', 1) || form.text === 'cast');
}

/** Parses those functions. Most become calls of the function that Postgres turns them into. */
export class SpecialForms {
  readonly #grammar: Grammar;
  readonly #types: TypeParser;
  readonly #calls: CallParser;

  constructor(grammar: Grammar, types: TypeParser, calls: CallParser) {
    this.#grammar = grammar;
    this.#types = types;
    this.#calls = calls;
  }

  *form(): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { text, at } = tokens.next();
    if (text === 'collation') tokens.next();
    tokens.expectPunct('(');
    const form = yield* this.#form(text, at);
    tokens.expectPunct(')');
    return form;
  }

  /** The form without its closing parenthesis. */
  *#form(name: string, at: number): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    switch (name) {
      case 'cast': {
        const arg = yield WHOLE;
        tokens.expectWord('as');
        return this.#grammar.node({ kind: 'cast', arg, type: this.#types.type(), at }, [arg]);
      }
      case 'coalesce':
      case 'greatest':
      case 'least': {
        const args = yield* this.#list();
        return this.#grammar.node({ kind: name, args, at }, args);
      }
      case 'nullif': {
        const left = yield WHOLE;
        tokens.expectPunct(',');
        const right = yield WHOLE;
        return this.#grammar.node({ kind: 'nullif', left, right, at }, [left, right]);
      }
      case 'collation':
        return this.#grammar.call('pg_collation_for', [yield WHOLE], at);
      case 'extract':
        return yield* this.#extract(at);
      case 'normalize':
        return yield* this.#normalize(at);
      case 'position': {
        const part = yield RESTRICTED;
        tokens.expectWord('in');
        return this.#grammar.call('position', [yield RESTRICTED, part], at);
      }
      case 'trim':
        return yield* this.#trim(at);
      case 'overlay':
        return yield* this.#overlay(at);
      default:
        return yield* this.#substring(at);
    }
  }

  *#extract(at: number): Parsing<CallSyntax> {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    const isName =
      token.kind === 'quoted' || (token.kind === 'word' && isColumnWord(token.text) && isFunctionWord(token.text));
    if (!isName && token.kind !== 'string') throw tokens.unexpected();
    tokens.next();
    const field = this.#grammar.leaf({ kind: 'string' as const, text: token.text, at: token.at });
    tokens.expectWord('from');
    return this.#grammar.call('extract', [field, yield WHOLE], at);
  }

  *#normalize(at: number): Parsing<CallSyntax> {
    const { tokens } = this.#grammar;
    const args = [yield WHOLE];
    if (tokens.skipPunct(',')) {
      const form = tokens.wordOf(NORMAL_FORMS);
      if (form === undefined) throw tokens.unexpected();
      tokens.next();
      args.push(this.#grammar.leaf({ kind: 'string', text: form.text.toUpperCase(), at: form.at }));
    }
    return this.#grammar.call('normalize', args, at);
  }

  /** `[BOTH | LEADING | TRAILING] [characters] FROM text`; a list of plain arguments may stand for either part. */
  *#trim(at: number): Parsing<CallSyntax> {
    const { tokens } = this.#grammar;
    const side = tokens.wordOf(TRIM_FUNCTIONS) === undefined ? 'both' : tokens.next().text;
    const name = TRIM_FUNCTIONS.get(side) as string;
    if (tokens.skipWord('from')) return this.#grammar.call(name, yield* this.#list(), at);
    const first = yield WHOLE;
    if (tokens.skipWord('from')) return this.#grammar.call(name, [...(yield* this.#list()), first], at);
    const args = tokens.skipPunct(',') ? [first, ...(yield* this.#list())] : [first];
    return this.#grammar.call(name, args, at);
  }

  *#overlay(at: number): Parsing<CallSyntax> {
    const { tokens } = this.#grammar;
    if (tokens.isPunct(')')) return this.#grammar.call('overlay', [], at);
    const args = [yield* this.#calls.argument(0)];
    if (!tokens.skipWord('placing')) return this.#grammar.call('overlay', yield* this.#calls.rest(args), at);
    args.push(yield WHOLE);
    tokens.expectWord('from');
    args.push(yield WHOLE);
    if (tokens.skipWord('for')) args.push(yield WHOLE);
    return this.#grammar.call('overlay', args, at);
  }

  *#substring(at: number): Parsing<CallSyntax> {
    const { tokens } = this.#grammar;
    if (tokens.isPunct(')')) return this.#grammar.call('substring', [], at);
    const text = yield* this.#calls.argument(0, BEFORE_SIMILAR);
    if (tokens.skipWord('from')) {
      const from = yield WHOLE;
      const args = tokens.skipWord('for') ? [text, from, yield WHOLE] : [text, from];
      return this.#grammar.call('substring', args, at);
    }
    if (tokens.skipWord('for')) {
      const count = yield WHOLE;
      if (tokens.skipWord('from')) return this.#grammar.call('substring', [text, yield WHOLE, count], at);
      const one = this.#grammar.leaf({ kind: 'integer', text: '1', at: count.at } as const);
      const type = { ...INT4, at: count.at };
      const cast = this.#grammar.node({ kind: 'cast', arg: count, type, at: count.at } as const, [count]);
      return this.#grammar.call('substring', [text, one, cast], at);
    }
    if (tokens.skipWord('similar')) {
      const pattern = yield WHOLE;
      tokens.expectWord('escape');
      return this.#grammar.call('substring', [text, pattern, yield WHOLE], at);
    }
    return this.#grammar.call('substring', yield* this.#calls.rest([text]), at);
  }

  *#list(): Parsing<Syntax[]> {
    const items: Syntax[] = [];
    do items.push(yield WHOLE);
    while (this.#grammar.tokens.skipPunct(','));
    return items;
  }
}
