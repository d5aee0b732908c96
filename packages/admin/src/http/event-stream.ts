import type { Request, Response } from 'express';
import { AdminError } from '../admin-error.ts';

/** Streams at a time: each is sent something every two seconds. */
const MAX_STREAMS = 50;
/** Unsent bytes from which on events are left out. */
const MAX_WAITING_BYTES = 1024 * 1024;

interface Stream {
  /** Only of this source; all when undefined. */
  readonly source: string | undefined;
  readonly res: Response;
}

/** Server-sent events for everybody who follows. A reader that is slow misses some. */
export class EventStreams {
  readonly #streams = new Set<Stream>();

  open(req: Request, res: Response): void {
    if (this.#streams.size >= MAX_STREAMS) {
      const message = 'Too many event streams are open.';
      throw new AdminError({ status: 503, code: 'too_many_streams', message, retryAfterS: 10 });
    }
    const { source } = req.query;
    const stream = { source: typeof source === 'string' && source !== '' ? source : undefined, res };
    res.status(200).set({ 'content-type': 'text/event-stream; charset=utf-8', 'x-accel-buffering': 'no' });
    res.flushHeaders();
    res.write(': hello\n\n');
    this.#streams.add(stream);
    res.once('close', () => this.#streams.delete(stream));
  }

  get size(): number {
    return this.#streams.size;
  }

  /** `of` makes the event for a stream: undefined when there is none for it. */
  send(event: 'usage' | 'state', of: (source: string | undefined) => unknown): void {
    const texts = new Map<string | undefined, string | undefined>();
    for (const { source, res } of this.#streams) {
      if (res.writableLength > MAX_WAITING_BYTES) continue;
      if (!texts.has(source)) {
        const value = of(source);
        texts.set(source, value === undefined ? undefined : `event: ${event}\ndata: ${JSON.stringify(value)}\n\n`);
      }
      const text = texts.get(source);
      if (text !== undefined) res.write(text);
    }
  }

  close(): void {
    for (const { res } of this.#streams) res.end();
  }
}
