import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly json: Message[];
}

interface Message {
  readonly key?: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface SendInit {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/** One request to loopback and its answer. The path goes out as it is. */
export function sendTo(port: number, path: string, init: SendInit = {}): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers = {}, signal } = init;
    const req = httpRequest(
      { host: '127.0.0.1', port, path, method, headers, ...(signal === undefined ? {} : { signal }) },
      (res) => {
        const parts: Buffer[] = [];
        res.on('data', (part: Buffer) => parts.push(part));
        res.on('error', reject);
        res.on('aborted', () => reject(new Error('the body broke off')));
        res.on('end', () => {
          const text = Buffer.concat(parts).toString();
          const isJson = res.headers['content-type']?.startsWith('application/json') === true && text !== '';
          const json = isJson ? (JSON.parse(text) as Message[]) : [];
          resolve({ status: res.statusCode ?? 0, headers: res.headers, text, json });
        });
      },
    );
    req.on('error', reject);
    req.end(init.body);
  });
}
