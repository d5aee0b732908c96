import { compareOffsets, parseOffset } from '@shapecast/log';

interface Message {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: { readonly operation?: string; readonly lsn?: string; readonly last?: boolean };
}

/**
 * Reads a shape whose rows are too many to keep: counts them, adds up their ids and compares the order of the offsets. It
 * takes inserts only, of a table with a whole number named `id`.
 */
export class CountingReader {
  rows = 0;
  /** Of the ids: what is lost, doubled or altered shows in it. */
  sum = 0n;
  bytes = 0;
  rotations = 0;
  /** Entries that said to be the last of their transaction. */
  lasts = 0;
  readonly violations: string[] = [];
  readonly #url: string;
  readonly #params: Readonly<Record<string, string>>;
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;

  constructor(url: string, params: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#params = params;
  }

  /** Reads until the server says up to date. */
  async catchUp(): Promise<void> {
    while (!(await this.#request(false)));
  }

  /** Waits for changes, for as long as the server does. */
  async wait(): Promise<void> {
    await this.#request(true);
  }

  async #request(live: boolean): Promise<boolean> {
    const url = new URL('/v1/shape', this.#url);
    for (const [name, value] of Object.entries(this.#params)) url.searchParams.set(name, value);
    url.searchParams.set('offset', this.#offset);
    if (this.#handle !== undefined) url.searchParams.set('handle', this.#handle);
    if (live) {
      url.searchParams.set('live', 'true');
      if (this.#cursor !== undefined) url.searchParams.set('cursor', this.#cursor);
    }
    const response = await fetch(url);
    const body = await response.text();
    const { status, headers } = response;
    if (status === 409) return this.#startOver(headers.get('electric-handle') ?? undefined);
    if (status === 503 || status === 502) {
      await new Promise((resolve) => setTimeout(resolve, 500));
      return false;
    }
    if (status !== 200) throw new Error(`status ${status} for ${url.search}: ${body.slice(0, 500)}`);
    this.bytes += body.length;
    for (const message of JSON.parse(body) as Message[]) this.#take(message);
    const offset = headers.get('electric-offset') ?? this.#offset;
    const [before, after] = [parseOffset(this.#offset), parseOffset(offset)];
    if (before && after && compareOffsets(after, before) < 0) {
      this.violations.push(`offset went from ${this.#offset} to ${offset}`);
    }
    this.#offset = offset;
    this.#handle = headers.get('electric-handle') ?? this.#handle;
    this.#cursor = headers.get('electric-cursor') ?? this.#cursor;
    return headers.has('electric-up-to-date');
  }

  #take({ key, value, headers }: Message): void {
    if (headers.operation === undefined) return;
    if (headers.operation !== 'insert') this.violations.push(`${headers.operation} of ${key}`);
    this.rows += 1;
    this.sum += BigInt(value?.['id'] ?? 0);
    if (headers.last === true) this.lasts += 1;
  }

  #startOver(handle: string | undefined): boolean {
    this.rotations += 1;
    this.#handle = handle;
    this.#offset = '-1';
    this.#cursor = undefined;
    this.rows = 0;
    this.sum = 0n;
    this.lasts = 0;
    return false;
  }
}
