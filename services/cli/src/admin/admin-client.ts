import { ShapecastError } from '@shapecast/errors';
import { readFileSync } from 'node:fs';
import { textOf, urlOf, WrongUsage, type Flags, type Values, type World } from '../command.ts';
import { failureOf } from '../doctor/failure.ts';
import { answerOf } from '../http/ask-health.ts';

const TIMEOUT_MS = 30_000;

/** Of every command that asks the admin API. */
export const ADMIN_FLAGS = {
  'admin-url': { type: 'string', value: 'URL', about: 'Address of the admin API; SHAPECAST_ADMIN_URL unless given.' },
  'admin-token-file': {
    type: 'string',
    value: 'FILE',
    about: 'File with the admin token; the first of SHAPECAST_ADMIN_TOKEN unless given.',
  },
  json: { type: 'boolean', about: 'The answer of the admin API as JSON.' },
} as const satisfies Flags;

export type Answer = Readonly<Record<string, unknown>>;

/** Asks the admin API. Throws a ShapecastError with what it said when that was not what was asked for. */
export class AdminClient {
  readonly #url: string;
  readonly #token: string;
  readonly #world: World;

  constructor(values: Values, world: World) {
    const given = textOf(values, 'admin-url') ?? world.env['SHAPECAST_ADMIN_URL'];
    const url = urlOf({ 'admin-url': given }, 'admin-url');
    if (url === undefined) throw new WrongUsage('--admin-url is required, or SHAPECAST_ADMIN_URL.');
    const token = tokenOf(values, world);
    if (token === undefined) throw new WrongUsage('SHAPECAST_ADMIN_TOKEN is required, or --admin-token-file.');
    this.#url = url;
    this.#token = token;
    this.#world = world;
  }

  /** `path` is below `/admin`. */
  async ask(method: string, path: string, body?: unknown, timeoutMs = TIMEOUT_MS): Promise<Answer> {
    const { status, answer } = await this.#send(method, path, body, timeoutMs);
    if (status < 400) return answer;
    throw new ShapecastError(status === 503 ? 'NOT_READY' : 'INVALID_REQUEST', refusalText(status, answer), { status });
  }

  async exists(path: string): Promise<boolean> {
    const { status, answer } = await this.#send('GET', path);
    if (status < 400) return true;
    if (status === 404) return false;
    throw new ShapecastError('NOT_READY', refusalText(status, answer));
  }

  /** The source that is meant: the only one unless the flag says. */
  async sourceId(values: Values): Promise<string> {
    const given = textOf(values, 'source-id');
    if (given !== undefined) return given;
    const { sources } = (await this.ask('GET', '/sources')) as { readonly sources: readonly { readonly id: string }[] };
    const [only] = sources;
    if (only === undefined) throw new ShapecastError('INVALID_REQUEST', 'There is no source.');
    if (sources.length > 1) throw new WrongUsage('--source-id is required: there are several sources.');
    return only.id;
  }

  async #send(
    method: string,
    path: string,
    body?: unknown,
    timeoutMs = TIMEOUT_MS,
  ): Promise<{ status: number; answer: Answer }> {
    const { fetch: get, signal, clock } = this.#world;
    const late = new AbortController();
    const cancel = clock.after(timeoutMs, () => late.abort(new Error('it did not answer in time')));
    const headers = {
      authorization: `Bearer ${this.#token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    };
    const json = body === undefined ? {} : { body: JSON.stringify(body) };
    try {
      const all = AbortSignal.any([signal, late.signal]);
      const response = await answerOf(() =>
        get(`${this.#url}/admin${path}`, { method, headers, ...json, signal: all }),
      );
      const text = await response.text();
      return { status: response.status, answer: answerIn(text, response.status) };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ShapecastError) throw error;
      throw new ShapecastError('NOT_READY', `The admin API did not answer: ${failureOf(error).message}`, {}, error);
    } finally {
      cancel();
    }
  }
}

function tokenOf(values: Values, { env }: World): string | undefined {
  const file = textOf(values, 'admin-token-file');
  if (file === undefined) return env['SHAPECAST_ADMIN_TOKEN']?.split(',')[0]?.trim() || undefined;
  try {
    return readFileSync(file, 'utf8').split('\n')[0]?.trim() || undefined;
  } catch {
    throw new WrongUsage('The file of --admin-token-file cannot be read.');
  }
}

function answerIn(text: string, status: number): Answer {
  try {
    return JSON.parse(text) as Answer;
  } catch {
    throw new ShapecastError('INVALID_REQUEST', `The answer (${status}) is no JSON: is --admin-url the admin API?`);
  }
}

function refusalText(status: number, { message, code, problems }: Answer): string {
  if (status === 401) return 'The admin token is not taken.';
  if (Array.isArray(problems) && problems.length > 1) return `${problems.length} problems:\n  ${problems.join('\n  ')}`;
  return typeof message === 'string' ? message : `The admin API answered ${status} ${String(code)}.`;
}

export function sourcePath(id: string, rest = ''): string {
  return `/sources/${encodeURIComponent(id)}${rest}`;
}
