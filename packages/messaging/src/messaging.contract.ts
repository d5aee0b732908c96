import { randomUUID } from 'node:crypto';
import type { Messaging } from './messaging.ts';
import type { StoredMessage, TxStreamId } from './tx-stream.ts';

/** Two members of one cluster, as the contract suites want them; in one process they may be the same object. */
export interface MessagingPair {
  readonly one: Messaging;
  readonly other: Messaging;
  close(): Promise<void>;
}

export type OpenMessaging = () => Promise<MessagingPair>;

/** Names that no other test uses: suites share one server. */
export function freshName(): string {
  return `t${randomUUID().replaceAll('-', '')}`;
}

export function freshStreamId(): TxStreamId {
  return { source: freshName(), incarnation: 1 };
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** The first `count` messages of a reader, which then stops. */
export async function take(
  messages: AsyncIterable<StoredMessage>,
  count: number,
): Promise<{ seq: number; text: string }[]> {
  const taken: { seq: number; text: string }[] = [];
  if (count === 0) return taken;
  for await (const message of messages) {
    taken.push({ seq: message.seq, text: text(message.payload) });
    if (taken.length === count) break;
  }
  return taken;
}

/** A promise with its resolver outside: for callbacks a test waits for. */
export function gate<T = void>(): { readonly opened: Promise<T>; open(value: T): void } {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { opened: promise, open: resolve };
}
