/** Where a delivered message stands in its stream and in its consumer, and since when. */
export interface Delivery {
  readonly streamSeq: number;
  readonly consumerSeq: number;
  /** When it was stored, in milliseconds since 1970. */
  readonly storedMs: number;
}

const NANOS = 1_000_000;

/**
 * Reads the reply subject of a delivered message:
 * `$JS.ACK.<stream>.<consumer>.<deliveries>.<stream seq>.<consumer seq>.<time>.<pending>`, or with domain and account hash
 * before the stream and maybe more at the end (NATS ADR-15). Undefined for anything else.
 */
export function parseDelivery(reply: string): Delivery | undefined {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const at = tokens.length === 9 ? 5 : 7;
  const streamSeq = Number(tokens[at]);
  const consumerSeq = Number(tokens[at + 1]);
  if (!Number.isSafeInteger(streamSeq) || !Number.isSafeInteger(consumerSeq)) return undefined;
  // Nanoseconds, more digits than a number has; those of milliseconds are exact.
  return { streamSeq, consumerSeq, storedMs: Math.floor(Number(tokens[at + 2]) / NANOS) };
}
