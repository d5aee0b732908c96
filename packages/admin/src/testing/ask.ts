import type { Admin } from '../admin.ts';

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: Readonly<Record<string, unknown>> & { readonly code?: string; readonly problems?: readonly string[] };
}

/** Asks the admin API; `path` is below `/admin`. */
export async function ask(
  { port }: Pick<Admin, 'port'>,
  method: string,
  path: string,
  body?: unknown,
  token?: string,
  more: RequestInit = {},
): Promise<Asked> {
  const response = await fetch(`http://127.0.0.1:${port}/admin${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...more,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(more.headers as Record<string, string> | undefined),
    },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: JSON.parse(text) as Asked['body'] };
}

export interface Told {
  readonly event: string;
  readonly data: unknown;
}

/** Follows the events for as long as `work` takes. */
export async function readEvents(
  { port }: Pick<Admin, 'port'>,
  query: string,
  token: string,
  work: (seen: readonly Told[]) => Promise<void>,
): Promise<readonly Told[]> {
  const stop = new AbortController();
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}/admin/events${query}`, { headers, signal: stop.signal });
  if (response.body === null) throw new Error('no event stream');
  const seen: Told[] = [];
  const reading = read(response.body, seen).catch(() => undefined);
  await work(seen);
  stop.abort();
  await reading;
  return seen;
}

async function read(body: ReadableStream<Uint8Array>, seen: Told[]): Promise<void> {
  let rest = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const [, event, data] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      if (event !== undefined && data !== undefined) seen.push({ event, data: JSON.parse(data) });
    }
  }
}
