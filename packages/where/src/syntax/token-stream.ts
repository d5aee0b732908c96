import { syntaxError, type Token } from './lexer.ts';

/** Cursor over the tokens of a clause, with the small questions parsers ask. `expect` methods throw a syntax refusal. */
export class TokenStream {
  readonly #source: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  /** `tokens` ends with the `end` token. */
  constructor(source: string, tokens: readonly Token[]) {
    this.#source = source;
    this.#tokens = tokens;
  }

  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#next + ahead, this.#tokens.length - 1)] as Token;
  }

  next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  back(): void {
    this.#next--;
  }

  mark(): number {
    return this.#next;
  }

  reset(mark: number): void {
    this.#next = mark;
  }

  isPunct(text: string): boolean {
    const token = this.peek();
    return token.kind === 'punct' && token.text === text;
  }

  isWord(text: string): boolean {
    const token = this.peek();
    return token.kind === 'word' && token.text === text;
  }

  isWordBehind(distance: number, text: string): boolean {
    const token = this.#tokens[this.#next - distance];
    return token?.kind === 'word' && token.text === text;
  }

  skipPunct(text: string): boolean {
    if (!this.isPunct(text)) return false;
    this.#next++;
    return true;
  }

  skipWord(text: string): boolean {
    if (!this.isWord(text)) return false;
    this.#next++;
    return true;
  }

  expectPunct(text: string): void {
    if (!this.skipPunct(text)) throw this.unexpected();
  }

  expectWord(text: string): void {
    if (!this.skipWord(text)) throw this.unexpected();
  }

  /** `name { "." name }`. */
  path(): string[] {
    const path: string[] = [];
    do {
      const token = this.next();
      if (token.kind !== 'word' && token.kind !== 'quoted') throw syntaxError(this.#source, token);
      path.push(token.text);
    } while (this.skipPunct('.'));
    return path;
  }

  unexpected(): Error {
    return syntaxError(this.#source, this.peek());
  }
}
