import { ShapecastError } from '@shapecast/errors';
import { abortReason } from '@shapecast/service-kit';
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node';
import type { StreamHandler } from '../hints.ts';
import { decodeRequest } from '../rpc-envelope.ts';
import { IncomingStream } from '../stream/incoming-stream.ts';
import { OutgoingStream } from '../stream/outgoing-stream.ts';
import { HEADER_BYTES, STREAM_LIMITS } from '../stream/wire.ts';
import type { NatsLink } from './link.ts';

/**
 * Streams over core NATS. Each end has an inbox for the time of the stream, and names it as the reply subject of everything it
 * sends: to a message that finds nobody the NATS server answers with status 503, so that either end hears soon when the other
 * is gone. Core NATS drops messages around a reconnect, which therefore ends a stream.
 */
export async function* consumeStream(
  link: NatsLink,
  subject: string,
  payload: Uint8Array,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): AsyncGenerator<Uint8Array, void, void> {
  const { timeoutMs, signal } = options;
  if (signal.aborted) throw abortReason(signal);
  const inbox = createInbox();
  const send = (message: Uint8Array): void => publish(link, serverInbox(inbox), message, inbox);
  const incoming = new IncomingStream({ clock: link.clock, send }, { subject, timeoutMs });
  const onAbort = (): void => incoming.fail(abortReason(signal));
  signal.addEventListener('abort', onAbort, { once: true });
  let subscription: Subscription | undefined;
  const stopListening = link.listen({
    down: () => {
      if (subscription || link.closed) incoming.disconnected();
    },
  });
  const left = new AbortController();
  const ask = (): void => {
    if (left.signal.aborted) return;
    subscription = link.nc.subscribe(inbox, {
      callback: (err, msg) => {
        if (err) return incoming.disconnected();
        if (foundNobody(msg)) return incoming.nobody();
        incoming.onMessage(msg.data);
      },
    });
    publish(link, subject, payload, inbox);
  };
  try {
    void link
      .whenConnected(left.signal)
      .then(ask)
      .catch(() => incoming.disconnected());
    for (let frame = await incoming.next(); frame; frame = await incoming.next()) yield frame;
  } finally {
    left.abort();
    signal.removeEventListener('abort', onAbort);
    stopListening();
    incoming.close();
    unsubscribe(link, subscription);
  }
}

/** Serves until the returned function is called. */
export function serveStreams(
  link: NatsLink,
  place: { readonly subject: string; readonly queue: string; readonly maxConcurrent: number },
  handler: StreamHandler,
): () => void {
  const { subject, queue, maxConcurrent } = place;
  const running = new Set<OutgoingStream>();
  const serve = async (consumer: string, request: Uint8Array): Promise<void> => {
    const inbox = serverInbox(consumer);
    const limits = { ...STREAM_LIMITS, pieceBytes: Math.min(STREAM_LIMITS.pieceBytes, link.maxPayload - HEADER_BYTES) };
    const send = (message: Uint8Array): void => publish(link, consumer, message, inbox);
    const outgoing = new OutgoingStream({ clock: link.clock, send }, limits);
    if (running.size >= maxConcurrent) {
      return outgoing.stop(new ShapecastError('OVERLOADED', 'too many requests at once, try again', { subject }));
    }
    const gone = (why: string): void => outgoing.leave(new Error(why));
    const subscription = link.nc.subscribe(inbox, {
      callback: (err, msg) => {
        if (err) gone('the subscription to the consumer failed');
        else if (foundNobody(msg)) gone('the consumer of the stream is gone');
        else outgoing.onMessage(msg.data);
      },
    });
    const stopListening = link.listen({ down: () => gone('the connection to NATS was lost') });
    running.add(outgoing);
    try {
      await outgoing.run(() => handler(decodeRequest(request), outgoing.signal));
    } catch (err) {
      if (!(err instanceof ShapecastError)) link.log.error({ err, subject }, 'serving a stream failed');
    } finally {
      running.delete(outgoing);
      stopListening();
      unsubscribe(link, subscription);
    }
  };
  const subscription = link.nc.subscribe(subject, {
    queue,
    callback: (err, msg) => {
      if (err) link.log.warn({ err, subject }, 'the subscription to requests failed');
      else if (msg.reply !== undefined && msg.reply !== '') {
        serve(msg.reply, msg.data).catch((error: unknown) =>
          link.log.warn({ err: error, subject }, 'a stream was not served'),
        );
      }
    },
  });
  return () => {
    unsubscribe(link, subscription);
    const stopped = new ShapecastError('NOT_READY', `the stream ${subject} failed: its server stopped`, { subject });
    for (const outgoing of running) outgoing.stop(stopped);
  };
}

/** Follows from the consumer's, which can therefore leave before it has heard of the server. */
function serverInbox(consumer: string): string {
  return `${consumer}.server`;
}

/** While the connection is down nothing is sent: the stream ends anyway. */
function publish(link: NatsLink, subject: string, message: Uint8Array, reply: string): void {
  if (!link.connected) return;
  try {
    link.nc.publish(subject, message, { reply });
  } catch (err) {
    link.log.warn({ err, subject }, 'a message of a stream could not be sent');
  }
}

function unsubscribe(link: NatsLink, subscription: Subscription | undefined): void {
  if (subscription && !link.nc.isClosed()) subscription.unsubscribe();
}

/** The NATS server's answer to a message that nobody subscribed to. */
function foundNobody(msg: Msg): boolean {
  return msg.data.length === 0 && msg.headers?.code === 503;
}
