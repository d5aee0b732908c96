import { isColumnWord } from './keywords.ts';
import { isPattern } from './precedence.ts';
import { Lexer, syntaxError, type Token } from './lexer.ts';

/** Cursor over the tokens of a clause, with the small questions parsers ask. `expect` methods throw a syntax refusal. */
export class TokenStream {
  readonly #source: string;
  readonly #lexer: Lexer;
  /** Tokens that were read and not taken: the next one, and what was looked at behind it. */
  readonly #ahead: Token[] = [];

  constructor(source: string) {
    this.#source = source;
    this.#lexer = new Lexer(source);
  }

  /** The next token, or one behind it; the last one, `end`, is followed by itself. */
  peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#lexer.next());
    return this.#ahead[distance] as Token;
  }

  next(): Token {
    return this.#ahead.shift() ?? this.#lexer.next();
  }

  isPunct(text: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token.kind === 'punct' && token.text === text;
  }

  isWord(text: string, distance = 0): boolean {
    const token = this.peek(distance);
    return token.kind === 'word' && token.text === text;
  }

  isOperator(text: string): boolean {
    const token = this.peek();
    return token.kind === 'op' && token.text === text;
  }

  /** The next token if it is one of these words. */
  wordOf(words: { has(word: string): boolean }): Token | undefined {
    const token = this.peek();
    return token.kind === 'word' && words.has(token.text) ? token : undefined;
  }

  skipPunct(text: string): boolean {
    const found = this.isPunct(text);
    if (found) this.next();
    return found;
  }

  skipWord(text: string): boolean {
    const found = this.isWord(text);
    if (found) this.next();
    return found;
  }

  expectPunct(text: string): void {
    if (!this.skipPunct(text)) throw this.unexpected();
  }

  expectWord(text: string): void {
    if (!this.skipWord(text)) throw this.unexpected();
  }

  /** A name as columns, tables and schemas have them, without quotes if it is no keyword that cannot be one. */
  columnName(): string {
    const token = this.peek();
    if (token.kind !== 'quoted' && !(token.kind === 'word' && isColumnWord(token.text))) throw this.unexpected();
    return this.next().text;
  }

  /** What may stand behind a dot: any word. */
  label(): string {
    const token = this.peek();
    // Postgres has one token for the NOT of NOT LIKE, and that is no word.
    const isOperator = this.isWord('not') && isPattern(this.peek(1));
    if ((token.kind !== 'quoted' && token.kind !== 'word') || isOperator) throw this.unexpected();
    return this.next().text;
  }

  /** `name { "." name }`. */
  path(): string[] {
    const path = [this.columnName()];
    while (this.skipPunct('.')) path.push(this.label());
    return path;
  }

  /** An integer constant that Postgres has as an int4. */
  smallInteger(): number {
    const token = this.peek();
    if (token.kind !== 'integer' || token.text.length > 10 || Number(token.text) > 2_147_483_647) {
      throw this.unexpected();
    }
    return Number(this.next().text);
  }

  /** Leaves out everything up to the parenthesis that closes what is open; the cursor is then on it. */
  skipToClosing(): void {
    let depth = 0;
    for (;;) {
      const token = this.peek();
      if (token.kind === 'end') throw this.unexpected();
      if (token.kind === 'punct' && token.text === ')' && depth-- === 0) return;
      if (token.kind === 'punct' && token.text === '(') depth++;
      this.next();
    }
  }

  unexpected(token: Token = this.peek()): Error {
    return syntaxError(this.#source, token);
  }
}
