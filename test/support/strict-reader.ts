import { ShapeState, type ReaderRow, type ShapeMessage, type ShapeStateOptions } from './shape-state.ts';

/**
 * Follows one shape over raw HTTP and refuses what a lenient client would forgive (`ShapeState`). Starts over on 409, as
 * clients do, and counts it.
 */
export class StrictReader {
  readonly #state: ShapeState;
  readonly #url: string;
  readonly #params: Readonly<Record<string, string>>;
  #cursor: string | undefined;
  #behind = true;

  /** `url` is the server's base; `params` name the shape; `judge` is asked about what is a violation otherwise. */
  constructor(
    url: string,
    params: Readonly<Record<string, string>>,
    judge: Pick<ShapeStateOptions, 'onWatermarkFall'> = {},
  ) {
    this.#url = url;
    this.#params = params;
    this.#state = new ShapeState({ full: params['replica'] === 'full', ...judge });
  }

  get rows(): ReadonlyMap<string, ReaderRow> {
    return this.#state.rows;
  }

  get violations(): readonly string[] {
    return this.#state.violations;
  }

  get rotations(): number {
    return this.#state.rotations;
  }

  get entries(): number {
    return this.#state.entries;
  }

  /** `global_last_seen_lsn` of the last up-to-date. */
  get watermark(): bigint {
    return this.#state.watermark;
  }

  get offset(): string {
    return this.#state.offset;
  }

  get handle(): string | undefined {
    return this.#state.handle;
  }

  /** Follows until the signal aborts. Errors of the connection and 503s are retried: faults are part of the tests. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.step(signal, !this.#behind);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof UnexpectedAnswer) throw error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  /** Reads without waiting for changes until the server says up to date. */
  async catchUp(signal: AbortSignal): Promise<void> {
    this.#behind = true;
    while (this.#behind) await this.step(signal, false);
  }

  async step(signal: AbortSignal, live: boolean): Promise<void> {
    const url = new URL('/v1/shape', this.#url);
    for (const [name, value] of Object.entries(this.#params)) url.searchParams.set(name, value);
    url.searchParams.set('offset', this.offset);
    if (this.handle) url.searchParams.set('handle', this.handle);
    if (live) {
      url.searchParams.set('live', 'true');
      if (this.#cursor) url.searchParams.set('cursor', this.#cursor);
    }
    const response = await fetch(url, { signal });
    const body = await response.text();
    if (response.status === 409) return this.#startOver(response.headers.get('electric-handle') ?? undefined);
    if (response.status === 503 || response.status === 502) throw new Error(`status ${response.status}: ${body}`);
    if (response.status !== 200) throw new UnexpectedAnswer(`status ${response.status} for ${url.search}: ${body}`);
    this.#apply(JSON.parse(body) as ShapeMessage[], response.headers);
  }

  #startOver(handle: string | undefined): void {
    this.#state.startOver(handle);
    this.#cursor = undefined;
    this.#behind = true;
  }

  #apply(messages: readonly ShapeMessage[], headers: Headers): void {
    const offset = headers.get('electric-offset');
    const handle = headers.get('electric-handle');
    if (offset === null || handle === null)
      throw new UnexpectedAnswer('an answer without electric-offset or electric-handle');
    this.#cursor = headers.get('electric-cursor') ?? this.#cursor;
    this.#state.apply({ messages, handle, offset, upToDate: headers.has('electric-up-to-date') });
    this.#behind = !this.#state.upToDate;
  }
}

/** An answer that no fault explains: the test fails at once. */
class UnexpectedAnswer extends Error {}
