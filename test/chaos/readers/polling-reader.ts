import type { ShapeMessage } from '../../support/shape-state.ts';
import { hash } from '../model/cells.ts';
import { pause } from '../writers/connection.ts';
import type { Checker } from '../checker/checker.ts';
import type { Sent } from '../checker/events.ts';
import type { ReaderKind, ReaderTrack } from '../checker/reader-track.ts';
import type { History } from '../history.ts';

export interface ReaderDeps {
  readonly checker: Checker;
  readonly history: History;
}

export interface PollingOptions {
  /** Base of the service; a function is asked before every request. */
  readonly url: string | (() => string);
  /** Server-sent events for what is live. */
  readonly events?: boolean;
}

/** Longer than a long poll: whoever does not answer within it is given up. */
const PATIENCE_MS = 9_000;
const RETRY_MS = 100;
/** Statuses that say to come again. */
const WITH_REASON = new Set([429, 502, 503, 504]);

/**
 * Reads a shape over plain HTTP, by long polling or server-sent events, as clients do: again after 5xx and broken connections,
 * from the start after 409. Everything it is given goes to the checker.
 */
export class PollingReader {
  readonly track: ReaderTrack;
  readonly #deps: ReaderDeps;
  readonly #options: PollingOptions;
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;
  #upToDate = false;

  constructor(deps: ReaderDeps, kind: ReaderKind, options: PollingOptions) {
    this.#deps = deps;
    this.#options = options;
    this.track = deps.checker.reader(kind);
  }

  get upToDate(): boolean {
    return this.#upToDate;
  }

  /** Until the signal aborts. May be called again: it goes on where it was. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#note('fails', { error: String(error).slice(0, 200) });
        await pause(RETRY_MS, signal);
      }
    }
  }

  /** Reads from where it was to the first up-to-date, unless the signal aborts before. */
  async catchUp(signal: AbortSignal): Promise<void> {
    this.#upToDate = false;
    const done = new AbortController();
    const watch = (): void => {
      if (this.#upToDate) done.abort();
    };
    this.#onUpToDate = watch;
    await this.follow(AbortSignal.any([signal, done.signal]));
    this.#onUpToDate = undefined;
  }

  #onUpToDate: (() => void) | undefined;

  async #step(signal: AbortSignal): Promise<void> {
    const { kind } = this.track;
    const { url: base } = this.#options;
    const url = new URL('/v1/shape', typeof base === 'string' ? base : base());
    const live = this.#upToDate;
    const events = live && this.#options.events === true;
    // Sorted, as the official clients do: the edge's keys are made of it.
    const params = {
      ...kind.shape.params,
      ...(live && this.#cursor !== undefined && { cursor: this.#cursor }),
      ...(this.#handle !== undefined && { handle: this.#handle }),
      ...(live && { live: 'true' }),
      ...(events && { live_sse: 'true' }),
      offset: this.#offset,
    };
    for (const [name, value] of Object.entries(params).sort()) url.searchParams.set(name, value);
    const sent: Sent = { at: performance.now(), handle: this.#handle, offset: this.#offset, live };
    const end = new AbortController();
    const response = await patiently(end, signal, fetch(url, { signal: AbortSignal.any([signal, end.signal]) }));
    if (response.status === 200 && events) return this.#events(response, sent, signal, end);
    const body = await patiently(end, signal, response.text());
    if (response.status === 409) return this.#refused(sent, response.headers.get('electric-handle') ?? undefined);
    if (response.status !== 200) {
      if (!WITH_REASON.has(response.status)) {
        const text = `status ${response.status} for ${url.search}: ${body.slice(0, 300)}`;
        this.#deps.checker.unexpected(this.track, text);
      }
      throw new Error(`status ${response.status}: ${body.slice(0, 120)}`);
    }
    const handle = response.headers.get('electric-handle');
    const offset = response.headers.get('electric-offset');
    if (handle === null || offset === null) {
      return this.#deps.checker.unexpected(this.track, `an answer without handle or offset to ${url.search}`);
    }
    this.#cursor = response.headers.get('electric-cursor') ?? this.#cursor;
    const upToDate = response.headers.has('electric-up-to-date');
    this.#deliver(
      sent,
      handle,
      offset,
      upToDate,
      JSON.parse(body) as ShapeMessage[],
      upToDate ? undefined : hash(body),
    );
  }

  #deliver(
    sent: Sent,
    handle: string,
    offset: string,
    upToDate: boolean,
    messages: readonly ShapeMessage[],
    bodyHash?: number,
  ): void {
    const at = performance.now();
    this.#handle = handle;
    this.#offset = offset;
    this.#upToDate = upToDate;
    const entries = messages.map(({ key, headers: { operation, control, lsn, op_position: op, last, ...rest } }) =>
      control === undefined
        ? `${operation} ${key} ${lsn === undefined ? 'snapshot' : `${lsn}_${op}`}${last === true ? ' last' : ''}`
        : `${control} ${rest.global_last_seen_lsn ?? ''}`,
    );
    this.#note('gets', {
      asked: `${sent.handle ?? ''} ${sent.offset}${sent.live ? ' live' : ''}`,
      handle,
      offset,
      entries:
        entries.length > 40 ? [...entries.slice(0, 3), `... ${entries.length} ...`, ...entries.slice(-5)] : entries,
    });
    this.#deps.checker.delivered(this.track, {
      sent,
      at,
      handle,
      offset,
      upToDate,
      messages,
      ...(bodyHash === undefined ? {} : { bodyHash }),
    });
    if (upToDate) this.#onUpToDate?.();
  }

  #refused(sent: Sent, next: string | undefined): void {
    this.#note('is refused', { asked: sent.handle, next });
    this.#deps.checker.refused(this.track, { sent, at: performance.now(), handle: sent.handle, next });
    this.#handle = next;
    this.#offset = '-1';
    this.#cursor = undefined;
    this.#upToDate = false;
  }

  /** Takes batches that end with an up-to-date; one that is broken off is read again. */
  async #events(response: Response, sent: Sent, signal: AbortSignal, end: AbortController): Promise<void> {
    const handle = response.headers.get('electric-handle');
    if (handle === null || response.body === null) throw new Error('events without a handle');
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = '';
    let batch: ShapeMessage[] = [];
    try {
      for (;;) {
        const { done, value } = await patiently(end, signal, reader.read(), 3 * PATIENCE_MS);
        if (done) return;
        const lines = (rest + value).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          if (!line.startsWith('data: ')) continue;
          const message = JSON.parse(line.slice(6)) as ShapeMessage;
          batch.push(message);
          if (message.headers.control !== 'up-to-date') continue;
          const last = batch.findLast(({ headers }) => headers.lsn !== undefined)?.headers;
          const offset = last === undefined ? this.#offset : `${last.lsn}_${last.op_position}`;
          this.#deliver({ ...sent, offset: this.#offset }, handle, offset, true, batch);
          batch = [];
        }
      }
    } finally {
      await reader.cancel().catch(() => undefined);
    }
  }

  #note(what: string, details: object): void {
    this.#deps.history.note(this.track.kind.name, what, details);
  }
}

/** Gives up after a while, and lets go of the connection. */
async function patiently<T>(
  end: AbortController,
  signal: AbortSignal,
  promise: Promise<T>,
  ms = PATIENCE_MS,
): Promise<T> {
  const timer = setTimeout(() => end.abort(new Error('no answer')), ms);
  const gone = new Promise<never>((_, reject) => {
    const leave = (): void => reject(new Error('given up'));
    end.signal.addEventListener('abort', leave, { once: true });
    signal.addEventListener('abort', leave, { once: true });
  });
  gone.catch(() => undefined);
  try {
    return await Promise.race([promise, gone]);
  } finally {
    clearTimeout(timer);
    promise.catch(() => undefined);
  }
}
