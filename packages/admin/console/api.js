const KEY = 'shapecast-admin-token';
/** A process that hangs takes connections and does not answer. */
const TIMEOUT_MS = 10_000;

/** An answer that is not what was asked for. `status` is 0 when there was none. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** The token is kept for as long as the tab is open, and goes nowhere but into the header. */
export const session = {
  get token() {
    return sessionStorage.getItem(KEY) ?? undefined;
  },
  /** @param {string | undefined} token */
  set(token) {
    if (token === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  },
};

/**
 * Asks the admin API.
 * @param {string} method
 * @param {string} path below `/admin`
 * @param {any} [body]
 * @param {AbortSignal} [signal]
 * @param {string} [token]
 * @returns {Promise<any>}
 */
export async function ask(method, path, body, signal, token = session.token) {
  const late = AbortSignal.timeout(TIMEOUT_MS);
  const both = signal === undefined ? late : AbortSignal.any([signal, late]);
  const response = await request(method, path, body, both, token);
  const text = await response.text();
  let answer;
  try {
    answer = JSON.parse(text);
  } catch {
    throw new ApiError(response.status, 'unreadable', `The admin API answered ${response.status}.`);
  }
  if (!response.ok) throw new ApiError(response.status, answer.code, answer.message);
  return answer;
}

async function request(method, path, body, signal, token) {
  const headers = { authorization: `Bearer ${token ?? ''}`, accept: 'application/json' };
  const json = body === undefined ? {} : { body: JSON.stringify(body) };
  if (body !== undefined) headers['content-type'] = 'application/json';
  try {
    return await fetch(`/admin${path}`, { method, headers, ...json, signal, cache: 'no-store' });
  } catch (error) {
    if (signal?.aborted && signal.reason?.name !== 'TimeoutError') throw error;
    throw new ApiError(0, 'unreachable', 'The admin API does not answer. Trying again.');
  }
}

/** Path of a source, or of something of it. */
export function sourcePath(id, rest = '') {
  return `/sources/${encodeURIComponent(id)}${rest}`;
}

/**
 * Follows the events of the admin API until `signal` aborts, however often the connection is lost. An EventSource cannot send the
 * token.
 * @param {string | undefined} source
 * @param {(event: string, data: any) => void} onEvent
 * @param {AbortSignal} signal
 */
export async function follow(source, onEvent, signal) {
  const query = source === undefined ? '' : `?source=${encodeURIComponent(source)}`;
  let waitMs = 500;
  while (!signal.aborted) {
    try {
      const response = await request('GET', `/events${query}`, undefined, signal, session.token);
      if (!response.ok || response.body === null) throw new ApiError(response.status, 'events', '');
      waitMs = 500;
      await readEvents(response.body, onEvent);
    } catch {
      if (signal.aborted) return;
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      signal.addEventListener('abort', () => (clearTimeout(timer), resolve(undefined)), { once: true });
    });
    waitMs = Math.min(10_000, waitMs * 2);
  }
}

async function readEvents(body, onEvent) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = new Map(
        block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
      );
      const data = fields.get('data');
      if (data !== undefined) onEvent(fields.get('event') ?? 'message', JSON.parse(data));
    }
  }
}
