import { connect } from 'node:net';

/** An answer of Redis: numbers as numbers, texts as strings, lists as arrays. */
export type Answer = string | number | null | readonly Answer[];

/** Sends one command to a Redis server on loopback, each word as it is; rejects with its words when it refuses. */
export async function redisCommand(port: number, ...words: readonly string[]): Promise<Answer> {
  const bulk = words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('');
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let text = '';
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')));
    socket.on('connect', () => socket.write(`*${words.length}\r\n${bulk}`));
    socket.on('data', (bytes: Buffer) => {
      // Of what is asked here nothing is outside of ASCII, so that characters are bytes.
      text += bytes.toString('latin1');
      try {
        const parsed = parse(text, 0);
        if (parsed === undefined) return;
        resolve(parsed.value);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
      socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('closed before it answered')));
  });
}

/** The value that begins at `from` and where it ends; undefined while some of it is missing. Throws an error of Redis. */
function parse(text: string, from: number): { readonly value: Answer; readonly end: number } | undefined {
  const lineEnd = text.indexOf('\r\n', from);
  if (lineEnd < 0) return undefined;
  const line = text.slice(from + 1, lineEnd);
  const end = lineEnd + 2;
  const size = Number(line);
  switch (text[from]) {
    case '-':
      throw new Error(line);
    case ':':
      return { value: size, end };
    case '$': {
      if (size < 0) return { value: null, end };
      return text.length < end + size + 2 ? undefined : { value: text.slice(end, end + size), end: end + size + 2 };
    }
    case '*': {
      const values: Answer[] = [];
      let next = end;
      for (let i = 0; i < size; i += 1) {
        const parsed = parse(text, next);
        if (parsed === undefined) return undefined;
        values.push(parsed.value);
        next = parsed.end;
      }
      return { value: size < 0 ? null : values, end: next };
    }
    default:
      return { value: line, end };
  }
}
