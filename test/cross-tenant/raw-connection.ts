import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  /** Names in lower case, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** A connection that sends bytes as they are, and understands as much of the answers as it takes to tell them apart. */
export class RawConnection {
  readonly #port: number;
  #socket: Socket | undefined;
  #received = '';
  #wake: (() => void) | undefined;
  #ended = true;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends requests in one go, and resolves to their answers in order; `heads` says which of them have no body. Throws when one is missing. */
  async ask(text: string, heads: readonly boolean[]): Promise<readonly RawAnswer[]> {
    this.#open();
    this.#received = '';
    (this.#socket as Socket).write(text, 'latin1');
    const answers: RawAnswer[] = [];
    for (const head of heads) {
      const answer = await this.#answer(head);
      if (answer === undefined) break;
      answers.push(answer);
      // Whoever is told that it is the last answer gets no other.
      if (answer.headers.some(([name, value]) => name === 'connection' && value === 'close')) this.close();
    }
    return answers;
  }

  close(): void {
    this.#socket?.destroy();
    this.#ended = true;
  }

  #open(): void {
    if (!this.#ended) return;
    this.#ended = false;
    const socket = connect(this.#port, '127.0.0.1');
    socket.setNoDelay(true);
    socket.setTimeout(30_000, () => socket.destroy());
    socket.on('data', (bytes) => {
      if (this.#socket !== socket) return;
      this.#received += bytes.toString('latin1');
      this.#wake?.();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      if (this.#socket !== socket) return;
      this.#ended = true;
      this.#wake?.();
    });
    this.#socket = socket;
  }

  /** Undefined when the connection ended before there was one. */
  async #answer(head: boolean): Promise<RawAnswer | undefined> {
    for (;;) {
      const parsed = parse(this.#received, head, this.#ended);
      if (parsed !== undefined) {
        this.#received = parsed.rest;
        return parsed.answer;
      }
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

function parse(
  text: string,
  head: boolean,
  ended: boolean,
): { readonly answer: RawAnswer; readonly rest: string } | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [first = '', ...lines] = text.slice(0, end).split('\r\n');
  const status = Number(first.split(' ')[1]);
  const headers = lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  const from = end + 4;
  const done = (body: string, rest: string) => ({ answer: { status, headers, body }, rest });
  if (head || status === 204 || status === 304) return done('', text.slice(from));
  const valueOf = (name: string) => headers.find(([known]) => known === name)?.[1];
  const length = valueOf('content-length');
  if (length !== undefined) {
    const to = from + Number(length);
    return text.length < to ? undefined : done(text.slice(from, to), text.slice(to));
  }
  if (valueOf('transfer-encoding') !== 'chunked') return ended ? done(text.slice(from), '') : undefined;
  let body = '';
  for (let at = from; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return ended ? done(body, '') : undefined;
    const size = Number.parseInt(text.slice(at, lineEnd), 16);
    const next = lineEnd + 2 + size + 2;
    if (text.length < next) return ended ? done(body + text.slice(lineEnd + 2), '') : undefined;
    body += text.slice(lineEnd + 2, lineEnd + 2 + size);
    if (size === 0) return done(body, text.slice(next));
    at = next;
  }
}
