import { formatOffset } from '@shapecast/log';
import type { ShapeRequest } from '@shapecast/protocol';
import type { Answer } from '../answers.ts';
import type { LiveHub, LiveOutcome } from '../live/live-hub.ts';
import type { Exchange } from './exchange.ts';
import { shapeHeaders, type WriteOptions } from './write-answer.ts';

export interface EventStreamOptions extends WriteOptions {
  readonly sseKeepAliveMs: number;
}

/**
 * Writes a shape as server-sent events (spec H 12): the backlog, then what comes, until the stream's time is up. The log is
 * read as the socket drains. The stream just ends when the shape does; the next request gets the 409.
 */
export async function writeEvents(
  exchange: Exchange,
  request: ShapeRequest,
  answer: Extract<Answer, { kind: 'events' }>,
  hub: LiveHub,
  options: EventStreamOptions,
): Promise<void> {
  const { target } = answer;
  const requested = request.offset === 'now' ? answer.offset : request.offset;
  exchange.open(200, [
    'content-type',
    'text/event-stream',
    ...shapeHeaders(exchange, request, target, formatOffset(requested), options),
    'electric-has-data',
    'true',
    ...(answer.upToDate ? ['electric-up-to-date', ''] : []),
    'x-accel-buffering',
    'no',
  ]);
  if (exchange.method === 'HEAD') return exchange.end();

  const silence = new Silence(exchange, options);
  const lifetime = Promise.withResolvers<'over'>();
  const cancelLifetime = options.clock.after(options.sseTimeoutMs, () => lifetime.resolve('over'));
  try {
    let offset = answer.offset;
    let complete = true;
    for (;;) {
      let release = () => {};
      const place = { shard: target.shard, handle: target.handle, digest: target.shape.digest, offset };
      const next = hub.wait(place, (stop) => {
        release = stop;
        exchange.onGone = stop;
      });
      // A batch that was begun is finished with its up-to-date, whatever the clock says (SS-6).
      const outcome: LiveOutcome | 'over' = await (complete ? Promise.race([next, lifetime.promise]) : next);
      if (outcome === 'over') {
        release();
        break;
      }
      if (outcome.kind !== 'answer') {
        if (!complete || outcome.kind === 'unreadable') return exchange.destroy();
        break;
      }
      if (outcome.answer.entries) {
        for (const message of outcome.answer.messages) await exchange.write(event(message));
        silence.broken();
        offset = outcome.answer.end;
        complete = outcome.answer.upToDate;
      } else if (hub.draining) {
        break;
      }
    }
    exchange.end();
  } finally {
    cancelLifetime();
    silence.stop();
  }
}

const DATA = Buffer.from('data: ');
const END = Buffer.from('\n\n');

function event(message: Uint8Array): Buffer {
  return Buffer.concat([DATA, message, END]);
}

/** Sends a comment whenever the stream was silent for a while (SS-4). */
class Silence {
  readonly #exchange: Exchange;
  readonly #options: EventStreamOptions;
  #since: number;
  #cancel: () => void;

  constructor(exchange: Exchange, options: EventStreamOptions) {
    this.#exchange = exchange;
    this.#options = options;
    this.#since = options.clock.now();
    this.#cancel = options.clock.after(options.sseKeepAliveMs, () => this.#check());
  }

  broken(): void {
    this.#since = this.#options.clock.now();
  }

  stop(): void {
    this.#cancel();
  }

  #check(): void {
    const { clock, sseKeepAliveMs } = this.#options;
    if (clock.now() - this.#since >= sseKeepAliveMs) {
      this.#since = clock.now();
      this.#exchange.comment('keep-alive');
    }
    this.#cancel = clock.after(Math.max(1, this.#since + sseKeepAliveMs - clock.now()), () => this.#check());
  }
}
