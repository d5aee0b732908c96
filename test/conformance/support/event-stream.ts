import { request, type IncomingMessage } from 'node:http';
import type { Message } from './service.ts';

/** An open stream of server-sent events, read by a client that knows nothing of the protocol. */
export class EventStream {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Everything so far. */
  text = '';
  ended = false;
  /** The connection broke instead of ending. */
  broken = false;
  readonly #incoming: IncomingMessage;
  #changed = Promise.withResolvers<void>();

  private constructor(incoming: IncomingMessage) {
    this.#incoming = incoming;
    this.status = incoming.statusCode ?? 0;
    this.headers = incoming.headers as Record<string, string>;
    incoming.setEncoding('utf8');
    incoming.on('data', (part: string) => {
      this.text += part;
      this.#notify();
    });
    incoming.on('error', () => undefined);
    incoming.on('close', () => {
      this.broken = !incoming.complete;
      this.ended = true;
      this.#notify();
    });
  }

  /** Resolves when the headers are there, which is before the first event. */
  static open(
    base: string,
    path: string,
    options: { readonly method?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ): Promise<EventStream> {
    const { hostname, port } = new URL(base);
    return new Promise((resolve, reject) => {
      const outgoing = request({ hostname, port, path, agent: false, ...options }, (incoming) =>
        resolve(new EventStream(incoming)),
      );
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  /** The messages so far; throws when the text is anything but `data:` events of one line and comments. */
  get messages(): readonly Message[] {
    const complete = this.text.slice(0, this.text.lastIndexOf('\n\n') + 2);
    return complete
      .split('\n\n')
      .slice(0, -1)
      .filter((event) => event !== ': keep-alive')
      .map((event) => {
        if (!event.startsWith('data: ') || event.includes('\n')) throw new Error(`not an event: ${event}`);
        return JSON.parse(event.slice(6)) as Message;
      });
  }

  /** Resolves once the last event is an `up-to-date` and `condition` holds; throws when the stream ends before. */
  async upToDate(condition: (messages: readonly Message[]) => boolean = () => true): Promise<readonly Message[]> {
    for (;;) {
      const { messages } = this;
      if (messages.at(-1)?.headers['control'] === 'up-to-date' && condition(messages)) return messages;
      if (this.ended) throw new Error(`the stream ended: ${this.text.slice(-500)}`);
      await this.#changed.promise;
    }
  }

  /** Resolves with the text once `pattern` was seen. */
  async seen(pattern: RegExp): Promise<string> {
    while (!pattern.test(this.text)) {
      if (this.ended) throw new Error(`the stream ended: ${this.text.slice(-500)}`);
      await this.#changed.promise;
    }
    return this.text;
  }

  /** Resolves when the server ends the stream. */
  async end(): Promise<void> {
    while (!this.ended) await this.#changed.promise;
  }

  close(): void {
    this.#incoming.destroy();
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
