import { ClauseEvaluationError, InputError } from '../errors.ts';
import { MAX_DEPTH, readJsonString } from '../types/json-text.ts';

/** A step of a path: by name in an object, by index in an array, where a negative one counts from the end. */
export interface JsonStep {
  readonly name?: string;
  readonly index?: number | undefined;
}

/** A step of a path as C's strtol reads an int4: blanks in front are fine, anything behind is not. */
export function parseIndex(step: string): number | undefined {
  if (!/^[ \t\n\v\f\r]*[-+]?[0-9]+$/.test(step)) return undefined;
  const index = Number(step);
  return index >= -2147483648 && index <= 2147483647 ? index : undefined;
}

/**
 * What the operators on json (not jsonb) take out of a value: the text as it was written, or as `text` a string without
 * its quotes and escapes and JSON null as SQL NULL. The whole value is read, as in Postgres: an escape that text cannot
 * hold is an error wherever it is. Throws ClauseEvaluationError `postgres` for that, `undecided` for deep nesting.
 */
export function extractJson(json: string, path: readonly JsonStep[], form: 'json' | 'text'): string | null {
  try {
    return new JsonWalk(json, path, form).run();
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new ClauseEvaluationError(error.undecided ? 'undecided' : 'postgres', 'unsupported Unicode escape in json');
  }
}

/** Follows the path while it walks through the value. The value was checked when it was stored. */
class JsonWalk {
  readonly #json: string;
  readonly #path: readonly JsonStep[];
  readonly #form: 'json' | 'text';
  #at = 0;
  /**
   * Index that a step has come to mean: one from the end is counted in the first array of its level, on the path or not,
   * and stays what it is for the arrays after it.
   */
  readonly #indexes: (number | undefined)[];
  /** A later match replaces an earlier one. */
  #result: string | null = null;

  constructor(json: string, path: readonly JsonStep[], form: 'json' | 'text') {
    this.#json = json;
    this.#path = path;
    this.#form = form;
    this.#indexes = path.map(({ index }) => index);
  }

  run(): string | null {
    this.#skipBlanks();
    const isString = this.#json[this.#at] === '"';
    const isContainer = this.#json[this.#at] === '{' || this.#json[this.#at] === '[';
    // Postgres keeps the blanks in front of a scalar that is taken whole.
    const start = isContainer || (isString && this.#form === 'text') ? this.#at : 0;
    this.#value(0, true);
    if (this.#path.length === 0) this.#result = this.#shown(start, this.#at);
    return this.#result;
  }

  /** Walks over one value; `matches`: the steps in front of `level` lead to it. */
  #value(level: number, matches: boolean): void {
    if (level > MAX_DEPTH) throw new InputError('nested too deep', true);
    this.#skipBlanks();
    const char = this.#json[this.#at];
    if (char === '{') this.#object(level, matches);
    else if (char === '[') this.#array(level, matches);
    else if (char === '"') this.#at = readJsonString(this.#json, this.#at).end;
    else while (this.#at < this.#json.length && !/[ \t\n\r,\]}]/.test(this.#json[this.#at] as string)) this.#at++;
  }

  #object(level: number, matches: boolean): void {
    this.#at++;
    while (!this.#ends('}')) {
      const { value: name, end } = readJsonString(this.#json, this.#at);
      this.#at = end;
      this.#skipBlanks();
      this.#at++;
      this.#member(level, matches && this.#path[level]?.name === name);
    }
  }

  #array(level: number, matches: boolean): void {
    const index = this.#indexes[level];
    if (index !== undefined && index < 0) {
      const length = this.#countElements();
      if (-index <= length) this.#indexes[level] = index + length;
    }
    this.#at++;
    for (let i = 0; !this.#ends(']'); i++) this.#member(level, matches && this.#indexes[level] === i);
  }

  /** A member or element; `matches`: it is what step `level` asks for. */
  #member(level: number, matches: boolean): void {
    this.#skipBlanks();
    const start = this.#at;
    this.#value(level + 1, matches);
    if (matches && level === this.#path.length - 1) this.#result = this.#shown(start, this.#at);
  }

  #countElements(): number {
    const start = this.#at;
    let depth = 0;
    let commas = 0;
    let empty = true;
    do {
      const char = this.#json[this.#at] as string;
      if (char === '"') {
        this.#at = readJsonString(this.#json, this.#at).end;
        empty = false;
        continue;
      }
      if (char === '[' || char === '{') depth++;
      else if (char === ']' || char === '}') depth--;
      else if (char === ',' && depth === 1) commas++;
      if (depth > 1 || !/[ \t\n\r[\]]/.test(char)) empty = false;
      this.#at++;
    } while (depth > 0);
    this.#at = start;
    return empty ? 0 : commas + 1;
  }

  #shown(start: number, end: number): string | null {
    const text = this.#json.slice(start, end);
    if (this.#form === 'json') return text;
    if (text.trimStart() === 'null') return null;
    return text.startsWith('"') ? readJsonString(text, 0).value : text;
  }

  /** Skips blanks and a comma; whether the container ends here, then also its bracket. */
  #ends(bracket: string): boolean {
    this.#skipBlanks();
    if (this.#json[this.#at] === ',') {
      this.#at++;
      this.#skipBlanks();
    }
    if (this.#json[this.#at] !== bracket) return false;
    this.#at++;
    return true;
  }

  #skipBlanks(): void {
    for (;;) {
      const code = this.#json.charCodeAt(this.#at);
      if (code !== 32 && code !== 9 && code !== 10 && code !== 13) return;
      this.#at++;
    }
  }
}
