/**
 * What the two ends of a stream say to each other. On the wire: one byte for the kind, four for the number (big endian), then
 * the payload. The server's messages carry how many pieces it has sent, a piece itself included, so that every one of them
 * shows whether a piece before it was lost.
 */
export type ServerMessage =
  /** The request was taken on. */
  | { readonly kind: 'open'; readonly count: number }
  /** Part of a frame; `last` completes it. */
  | { readonly kind: 'piece'; readonly count: number; readonly last: boolean; readonly bytes: Uint8Array }
  /** Still at work. */
  | { readonly kind: 'beat'; readonly count: number }
  | { readonly kind: 'end'; readonly count: number }
  /** `answer` is made by `encodeError`. */
  | { readonly kind: 'error'; readonly count: number; readonly answer: Uint8Array };

export type ConsumerMessage =
  /** Still there; the pieces up to `count` have been consumed. */
  { readonly kind: 'credit'; readonly count: number } | { readonly kind: 'leave' };

export interface StreamLimits {
  /** Pieces that may be under way or wait at the consumer. */
  readonly window: number;
  /** Largest piece. */
  readonly pieceBytes: number;
  /** Largest frame, whole in memory at both ends. */
  readonly frameBytes: number;
  /** How often each end says that it is there. */
  readonly beatMs: number;
  /** An end that is not heard for this long is gone. */
  readonly silenceMs: number;
  /** A consumer that is there and takes nothing for this long is given up. */
  readonly stallMs: number;
}

export const STREAM_LIMITS: StreamLimits = {
  window: 8,
  pieceBytes: 512 * 1024,
  frameBytes: 128 * 1024 ** 2,
  beatMs: 2_000,
  silenceMs: 15_000,
  stallMs: 30_000,
};

/** Bytes before the payload of a message. */
export const HEADER_BYTES = 5;

const KINDS = ['open', 'more', 'last', 'beat', 'end', 'error', 'credit', 'leave'] as const;
type Kind = (typeof KINDS)[number];

const NOTHING = new Uint8Array();

export function encodeMessage(message: ServerMessage | ConsumerMessage): Uint8Array {
  switch (message.kind) {
    case 'piece':
      return pack(message.last ? 'last' : 'more', message.count, message.bytes);
    case 'error':
      return pack('error', message.count, message.answer);
    case 'leave':
      return pack('leave', 0);
    case 'open':
    case 'beat':
    case 'end':
    case 'credit':
      return pack(message.kind, message.count);
  }
}

/** Undefined for bytes that are no message. */
export function decodeMessage(data: Uint8Array): ServerMessage | ConsumerMessage | undefined {
  const kind = KINDS[data[0] ?? KINDS.length];
  if (kind === undefined || data.length < HEADER_BYTES) return undefined;
  const count = new DataView(data.buffer, data.byteOffset).getUint32(1);
  const payload = data.subarray(HEADER_BYTES);
  switch (kind) {
    case 'more':
    case 'last':
      return { kind: 'piece', count, last: kind === 'last', bytes: payload };
    case 'error':
      return { kind, count, answer: payload };
    case 'leave':
      return { kind };
    case 'open':
    case 'beat':
    case 'end':
    case 'credit':
      return { kind, count };
  }
}

function pack(kind: Kind, count: number, payload: Uint8Array = NOTHING): Uint8Array {
  const data = new Uint8Array(HEADER_BYTES + payload.length);
  data[0] = KINDS.indexOf(kind);
  new DataView(data.buffer).setUint32(1, count);
  data.set(payload, HEADER_BYTES);
  return data;
}
