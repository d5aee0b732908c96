import { Agent, request } from 'node:http';

interface Message {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly headers: { readonly operation?: 'insert' | 'update' | 'delete' };
}

/** A thousand followers share one: each has a connection of its own, as browsers have. */
export function followerAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity });
}

/**
 * A light client: keeps the rows of one shape by long polling, as the official one does, cursor included. Waits and tries
 * again on 5xx and broken connections, starts over on 409.
 */
export class Follower {
  readonly rows = new Map<string, Readonly<Record<string, string | null>>>();
  requests = 0;
  /** Answers of each status. */
  readonly statuses = new Map<number, number>();
  readonly #path: string;
  readonly #base: URL;
  readonly #agent: Agent;
  readonly #onApplied: (follower: Follower) => void;
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;
  #live = false;

  /** `params` name the shape; `onApplied` is called after each answer with news. */
  constructor(
    base: string,
    params: Readonly<Record<string, string>>,
    agent: Agent,
    onApplied = (_: Follower): void => {},
  ) {
    this.#base = new URL(base);
    this.#path = `/v1/shape?${new URLSearchParams(params).toString()}`;
    this.#agent = agent;
    this.#onApplied = onApplied;
  }

  /** It has everything up to the last answer and waits for news. */
  get live(): boolean {
    return this.#live;
  }

  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#step(signal);
      } catch {
        if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }

  async #step(signal: AbortSignal): Promise<void> {
    // In the order of the official clients, which sort: the edge may not be able to.
    const pairs = [
      ...(this.#cursor === undefined ? [] : [`cursor=${this.#cursor}`]),
      ...(this.#handle === undefined ? [] : [`handle=${this.#handle}`]),
      ...(this.#live ? ['live=true'] : []),
      `offset=${this.#offset}`,
    ];
    const { status, headers, text } = await this.#get(`${this.#path}&${pairs.join('&')}`, signal);
    this.requests += 1;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (status === 409) {
      this.rows.clear();
      this.#handle = headers['electric-handle'];
      this.#offset = '-1';
      this.#cursor = undefined;
      this.#live = false;
      return;
    }
    const offset = headers['electric-offset'];
    if (status !== 200 || offset === undefined) throw new Error(`status ${status}: ${text.slice(0, 200)}`);
    const messages = JSON.parse(text) as Message[];
    for (const message of messages) this.#apply(message);
    this.#handle = headers['electric-handle'];
    this.#offset = offset;
    this.#cursor = headers['electric-cursor'] ?? this.#cursor;
    this.#live = headers['electric-up-to-date'] !== undefined;
    if (messages.some(({ key }) => key !== undefined)) this.#onApplied(this);
  }

  #apply({ key, value = {}, headers }: Message): void {
    if (key === undefined) return;
    if (headers.operation === 'delete') this.rows.delete(key);
    else this.rows.set(key, { ...this.rows.get(key), ...value });
  }

  #get(
    path: string,
    signal: AbortSignal,
  ): Promise<{ status: number; headers: Readonly<Record<string, string | undefined>>; text: string }> {
    const { hostname, port } = this.#base;
    return new Promise((resolve, reject) => {
      const outgoing = request({ hostname, port, path, agent: this.#agent, signal }, (incoming) => {
        const parts: Buffer[] = [];
        incoming.on('data', (part: Buffer) => parts.push(part));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const headers = incoming.headers as Record<string, string | undefined>;
          resolve({ status: incoming.statusCode ?? 0, headers, text: Buffer.concat(parts).toString() });
        });
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  }
}
