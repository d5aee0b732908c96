import { RESERVED, TYPE_SPELLINGS } from './keywords.ts';
import type { TypeSyntax } from './syntax.ts';
import type { TokenStream } from './token-stream.ts';

/** Parses type names: `int`, `character varying(10)`, `timestamp with time zone`, `pg_catalog.int4[]`. */
export class TypeParser {
  readonly #tokens: TokenStream;

  constructor(tokens: TokenStream) {
    this.#tokens = tokens;
  }

  type(): TypeSyntax {
    const type = this.tryType();
    if (type === undefined) throw this.#tokens.unexpected();
    return type;
  }

  /** Undefined, with the cursor anywhere, when there is no type. */
  tryType(): TypeSyntax | undefined {
    const token = this.#tokens.peek();
    const at = token.at;
    if (token.kind !== 'word' && token.kind !== 'quoted') return undefined;
    if (token.kind === 'word' && RESERVED.has(token.text)) return undefined;
    this.#tokens.next();
    let word = token.text;
    let quoted = token.kind === 'quoted';
    while (this.#tokens.skipPunct('.')) {
      const part = this.#tokens.next();
      if (part.kind !== 'word' && part.kind !== 'quoted') return undefined;
      // pg_catalog is where the built-in types are; any other schema makes a name we do not know.
      word = word === 'pg_catalog' ? part.text : `${word}.${part.text}`;
      quoted = true;
    }
    let name = quoted ? quotedName(word) : this.#spelledName(word);
    const modifiers = this.#modifiers();
    if (modifiers === undefined) return undefined;
    if (!quoted) {
      if (name === 'time' || name === 'timestamp') name = this.#zoned(name);
      if (word === 'float' && modifiers.length > 0) {
        if ((modifiers.shift() as number) <= 24) name = 'float4';
      }
      // The standard's `char` is `char(1)`; `bpchar` has no length.
      if (name === 'bpchar' && word !== 'bpchar' && modifiers.length === 0) modifiers.push(1);
    }
    const arrayDims = this.#dimensions();
    return arrayDims === undefined ? undefined : { name, modifiers, arrayDims, at };
  }

  #spelledName(word: string): string {
    if (word === 'double' && this.#tokens.skipWord('precision')) return 'float8';
    if (word === 'national' && (this.#tokens.skipWord('character') || this.#tokens.skipWord('char'))) {
      return this.#tokens.skipWord('varying') ? 'varchar' : 'bpchar';
    }
    if (word === 'character' || word === 'char' || word === 'nchar') {
      return this.#tokens.skipWord('varying') ? 'varchar' : 'bpchar';
    }
    return TYPE_SPELLINGS.get(word) ?? word;
  }

  #zoned(name: string): string {
    if (this.#tokens.isWord('with') || this.#tokens.isWord('without')) {
      const zoned = this.#tokens.next().text === 'with';
      this.#tokens.expectWord('time');
      this.#tokens.expectWord('zone');
      return zoned ? `${name}tz` : name;
    }
    return name;
  }

  #modifiers(): number[] | undefined {
    const modifiers: number[] = [];
    if (!this.#tokens.skipPunct('(')) return modifiers;
    do {
      const token = this.#tokens.next();
      if (token.kind !== 'integer' || token.text.length > 9) return undefined;
      modifiers.push(Number(token.text));
    } while (this.#tokens.skipPunct(','));
    return this.#tokens.skipPunct(')') ? modifiers : undefined;
  }

  #dimensions(): number | undefined {
    let dims = 0;
    if (this.#tokens.skipWord('array')) return 1;
    while (this.#tokens.isPunct('[')) {
      this.#tokens.next();
      if (this.#tokens.peek().kind === 'integer') this.#tokens.next();
      if (!this.#tokens.skipPunct(']')) return undefined;
      dims++;
    }
    return dims;
  }
}

/** `"char"` in quotes is a one-byte type of the catalogs, not `char(n)`. */
function quotedName(name: string): string {
  return name === 'char' ? '"char"' : name;
}
