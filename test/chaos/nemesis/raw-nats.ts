import { connect } from 'node:net';

const TIMEOUT_MS = 2_000;

/**
 * One request to a NATS server and its answer, parsed as JSON; each URL is tried in turn. By hand, so that the suite looks at
 * the stream in another way than the services do.
 */
export async function natsRequest(urls: string, subject: string, payload: object | undefined): Promise<unknown> {
  let failure: unknown = new Error('no server');
  for (const url of urls.split(',')) {
    try {
      const answer = JSON.parse(await request(Number(new URL(url).port), subject, payload)) as {
        readonly error?: { readonly description?: string };
      };
      if (answer.error !== undefined) throw new Error(answer.error.description ?? 'refused');
      return answer;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function request(port: number, subject: string, payload: object | undefined): Promise<string> {
  const body = payload === undefined ? '' : JSON.stringify(payload);
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = Buffer.alloc(0);
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer to ${subject}`)));
    socket.once('connect', () => {
      socket.write('CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\n');
      socket.write(`SUB answer 1\r\nPUB ${subject} answer ${Buffer.byteLength(body)}\r\n${body}\r\n`);
    });
    socket.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes]);
      const text = received.toString('latin1');
      if (text.includes('HMSG ')) return void socket.destroy(new Error(`nobody answers ${subject}`));
      const head = /(?:^|\r\n)MSG answer 1 (\d+)\r\n/.exec(text);
      if (head === null) return;
      const from = head.index + head[0].length;
      const end = from + Number(head[1]);
      if (received.length < end) return;
      resolve(received.subarray(from, end).toString());
      socket.destroy();
    });
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed before it answered')));
  });
}
