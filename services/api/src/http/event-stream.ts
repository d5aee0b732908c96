import { compareOffsets, formatOffset } from '@shapecast/log';
import type { ShapeRequest } from '@shapecast/protocol';
import { wallTime } from '@shapecast/service-kit';
import type { LogRead } from '@shapecast/shape-store';
import type { Answer } from '../answers.ts';
import type { LiveHub, LiveOutcome } from '../live/live-hub.ts';
import type { LogAnswer } from '../live/log-answer.ts';
import { lagOf, type News } from '../telemetry/news.ts';
import type { Exchange } from './exchange.ts';
import { shapeHeaders, type WriteOptions } from './write-answer.ts';

export interface EventStreamOptions extends WriteOptions {
  readonly sseKeepAliveMs: number;
}

/** What a stream is made from. */
interface EventSource {
  readonly hub: LiveHub;
  readonly source: { readonly stale: unknown };
}

/**
 * Writes a shape as server-sent events (spec H 12): the backlog, then what comes, until the stream's time is up. The log is
 * read as the socket drains. The stream just ends when the shape does; the next request gets the 409.
 */
export async function writeEvents(
  exchange: Exchange,
  request: ShapeRequest,
  answer: Extract<Answer, { kind: 'events' }>,
  { hub, source }: EventSource,
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

  const { telemetry } = exchange;
  if (telemetry !== undefined) telemetry.streams += 1;
  const silence = new Silence(exchange, options);
  let timeIsUp = false;
  let interrupt: (reason: Interruption) => void = () => {};
  const cancelLifetime = options.clock.after(options.sseTimeoutMs, () => {
    timeIsUp = true;
    interrupt('over');
  });
  try {
    let offset = answer.offset;
    // A batch that was begun is finished with its up-to-date, whatever the clock says (SS-6).
    let complete = true;
    while (!(timeIsUp && complete)) {
      const place = { shard: target.shard, handle: target.handle, digest: target.shape.digest, offset };
      // Not a race: its promise would hang on to every batch until the stream's time is up.
      const outcome = await new Promise<LiveOutcome | Interruption>((resolve) => {
        const next = hub.wait(place, (release) => {
          interrupt = (reason) => {
            if (reason === 'over' && !complete) return;
            release(reason === 'over' ? 'timeout' : 'aborted');
            resolve(reason);
          };
          exchange.onGone = () => interrupt('gone');
          exchange.waits();
        });
        void next.then(resolve);
      });
      interrupt = () => {};
      if (outcome === 'gone') return;
      if (outcome === 'over') break;
      // The next request is told why (spec H LV-2).
      const stale = outcome.kind === 'answer' && outcome.answer.upToDate && source.stale !== undefined;
      if (outcome.kind !== 'answer' || stale) {
        if (!complete || outcome.kind === 'unreadable') return exchange.destroy();
        break;
      }
      if (outcome.answer.entries) {
        for await (const read of hub.parts(target.shard, outcome.answer)) {
          await exchange.write(events(outcome.answer, read));
          silence.broken();
        }
        if (outcome.news !== undefined) told(exchange, outcome.news, options);
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
    if (telemetry !== undefined) telemetry.streams -= 1;
  }
}

/** A batch was written. A client that is slow to take it has it later, and that counts. */
function told(exchange: Exchange, news: News, { clock }: EventStreamOptions): void {
  const now = clock.now();
  exchange.trace?.tells(news);
  exchange.telemetry?.told(news, lagOf(news, now, wallTime(clock), exchange.began), now);
}

/** What ends the wait for the next batch other than news: the stream's time is up, or the client left. */
type Interruption = 'over' | 'gone';

const DATA = Buffer.from('data: ');
const END = Buffer.from('\n\n');

/** For the first part of an answer, which all streams of a shape get: made once. */
const firstEvents = new WeakMap<LogAnswer, Buffer>();

/** One event for each message of a part of an answer. */
function events(answer: LogAnswer, read: LogRead): Buffer {
  const { first, closing } = answer;
  const known = read === first ? firstEvents.get(answer) : undefined;
  if (known !== undefined) return known;
  const parts: Uint8Array[] = [];
  for (const { bytes } of read.entries) parts.push(DATA, bytes, END);
  if (closing !== undefined && compareOffsets(read.end, first.upTo) >= 0) parts.push(DATA, closing, END);
  const made = Buffer.concat(parts);
  if (read === first) firstEvents.set(answer, made);
  return made;
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
