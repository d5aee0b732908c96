import { Agent } from 'node:http';
import pg from 'pg';
import { startCluster } from '@shapecast/testkit';
import { send, type RawAnswer } from '../conformance/support/http.ts';
import { Chance } from '../support/chance.ts';
import { DEFINITIONS, FUZZ_CHANGES, FUZZ_TABLES, type Definition } from './definitions.ts';
import { SECRET, generate, type FuzzRequest } from './generator.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly requests: number;
  readonly concurrency?: number;
  readonly onProgress?: (done: number) => void;
}

export interface FuzzReport {
  readonly requests: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Bodies of 503s, and how many of each. */
  readonly unavailable: Readonly<Record<string, number>>;
  /** Answers of which the rows were compared with what the shape may hold. */
  readonly compared: number;
  /** At most the first twenty. */
  readonly violations: readonly string[];
}

const AFTER_MS = 30_000;
const STATUSES = new Set([200, 202, 204, 304, 400, 401, 404, 405, 409, 413, 414, 431, 503]);
const MAX_LEARNT = 50;
const MAX_VIOLATIONS = 20;

/**
 * Sends random requests to a cluster of its own and checks each answer: a status that the protocol has, a body that is what
 * its type says, nothing without the secret, no row that the shape may not hold, no answer that never comes.
 */
export async function runFuzz(options: FuzzOptions): Promise<FuzzReport> {
  const cluster = await startCluster({
    routers: 1,
    apis: 1,
    replicators: 1,
    env: {
      ELECTRIC_SECRET: SECRET,
      ELECTRIC_LONG_POLL_TIMEOUT: '1000',
      SHAPECAST_SSE_TIMEOUT: '1000',
      ELECTRIC_ENABLE_INTEGRATION_TESTING: 'false',
      ELECTRIC_LOG_LEVEL: 'error',
    },
  });
  try {
    await prepare(cluster.databaseUrl, cluster.url);
    // The process itself: what a load balancer refuses is its own affair.
    return await new Run(cluster.process('api-1').url, options).go();
  } finally {
    await cluster.stop();
  }
}

/** Makes every shape, then changes rows, so that their logs have entries. */
async function prepare(databaseUrl: string, url: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(FUZZ_TABLES);
    for (const { params } of DEFINITIONS) {
      const query = new URLSearchParams({ ...params, offset: '-1', secret: SECRET });
      const { status, text } = await send(url, `/v1/shape?${query.toString()}`);
      if (status !== 200) throw new Error(`a shape cannot be made: ${status} ${text}`);
    }
    await client.query(FUZZ_CHANGES);
  } finally {
    await client.end();
  }
}

class Run {
  readonly #url: string;
  readonly #options: FuzzOptions;
  readonly #chance: Chance;
  readonly #agent = new Agent({ keepAlive: true });
  readonly #learnt = { handles: [] as string[], offsets: [] as string[], tags: [] as string[] };
  readonly #statuses: Record<string, number> = {};
  readonly #unavailable: Record<string, number> = {};
  readonly #violations: string[] = [];
  #sent = 0;
  #compared = 0;

  constructor(url: string, options: FuzzOptions) {
    this.#url = url;
    this.#options = options;
    this.#chance = new Chance(options.seed);
  }

  async go(): Promise<FuzzReport> {
    const { concurrency = 32 } = this.#options;
    await Promise.all(Array.from({ length: concurrency }, () => this.#worker()));
    this.#agent.destroy();
    return {
      requests: this.#sent,
      statuses: this.#statuses,
      unavailable: this.#unavailable,
      compared: this.#compared,
      violations: this.#violations,
    };
  }

  async #worker(): Promise<void> {
    while (this.#sent < this.#options.requests && this.#violations.length < MAX_VIOLATIONS) {
      this.#sent += 1;
      if (this.#sent % 10_000 === 0) this.#options.onProgress?.(this.#sent);
      const request = generate(this.#chance, this.#learnt);
      const problem = await this.#ask(request).catch((error: unknown) => String(error));
      if (problem !== undefined) this.#violations.push(`${problem}\n  ${describe(request)}`);
    }
  }

  /** What is wrong with the answer, if anything. */
  async #ask(request: FuzzRequest): Promise<string | undefined> {
    const { method, path, headers, body } = request;
    const signal = AbortSignal.timeout(AFTER_MS);
    // Requests that are refused half-way cost their connection; they must not cost others theirs.
    const agent = request.tooLarge === undefined ? { agent: this.#agent } : {};
    const answer = await send(this.#url, path, {
      method,
      headers,
      signal,
      ...(body !== undefined && { body }),
      ...agent,
    });
    this.#statuses[answer.status] = (this.#statuses[answer.status] ?? 0) + 1;
    if (answer.status === 503) this.#unavailable[answer.text] = (this.#unavailable[answer.text] ?? 0) + 1;
    this.#learn(answer);
    return statusProblem(request, answer) ?? bodyProblem(request, answer) ?? this.#dataProblem(request, answer);
  }

  #learn({ status, headers }: RawAnswer): void {
    if (status !== 200) return;
    const { handles, offsets, tags } = this.#learnt;
    const keep = (list: string[], value: string | undefined): void => {
      if (value === undefined || list.includes(value)) return;
      list.push(value);
      if (list.length > MAX_LEARNT) list.shift();
    };
    keep(handles, headers['electric-handle']);
    keep(offsets, headers['electric-offset']);
    keep(tags, headers['etag']);
  }

  #dataProblem({ definition, method }: FuzzRequest, answer: RawAnswer): string | undefined {
    if (definition === undefined || answer.status !== 200 || method === 'HEAD' || answer.text === '') return undefined;
    const rows = rowsOf(answer);
    if (rows === undefined) return undefined;
    this.#compared += 1;
    for (const row of rows) {
      const problem = foreign(definition, row);
      if (problem !== undefined) return `${problem}: ${JSON.stringify(row)} in ${JSON.stringify(definition.params)}`;
    }
    return undefined;
  }
}

function statusProblem(request: FuzzRequest, { status, headers }: RawAnswer): string | undefined {
  if (!STATUSES.has(status)) return `status ${status}`;
  if (request.tooLarge !== undefined) {
    const expected = { url: 414, headers: 431, body: request.authorised === true ? 413 : 401 }[request.tooLarge];
    const also = request.tooLarge === 'body' ? [401, 400] : [];
    return status === expected || also.includes(status)
      ? undefined
      : `status ${status} for too large ${request.tooLarge}`;
  }
  if (request.onShape && request.authorised === false) {
    const open =
      request.method === 'OPTIONS' ? 204 : request.method === 'PUT' || request.method === 'PATCH' ? 404 : 401;
    if (status !== open) return `status ${status} without the secret`;
  }
  if (!request.onShape && status !== 200 && status !== 401 && status !== 404)
    return `status ${status} beside the shape`;
  if (request.onShape && request.authorised === true && status === 401) return '401 with the secret';
  if (status === 503 && headers['retry-after'] === undefined) return '503 without retry-after';
  if (status >= 400 && status !== 409 && !/no-store|no-cache/.test(headers['cache-control'] ?? '')) {
    return `status ${status} may be cached: ${headers['cache-control']}`;
  }
  return undefined;
}

function bodyProblem({ method }: FuzzRequest, { status, headers, text }: RawAnswer): string | undefined {
  if (text.includes(SECRET)) return 'the secret is in the answer';
  if (/node_modules|\.ts:\d+|postgres(ql)?:\/\//.test(text)) return `something internal is in the answer: ${text}`;
  if (method === 'HEAD') return text === '' ? undefined : 'HEAD has a body';
  if (status === 304) return text === '' ? undefined : '304 has a body';
  if (!headers['content-type']?.startsWith('application/json')) return undefined;
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return `not JSON: ${text.slice(0, 200)}`;
  }
  if (status !== 400) return undefined;
  const { message, errors, error } = body as { message?: string; errors?: unknown; error?: string };
  const refused = message === 'Invalid request' && typeof errors === 'object';
  return refused || typeof error === 'string' ? undefined : `a 400 of another form: ${text}`;
}

interface RowMessage {
  readonly key?: string;
  readonly value: Readonly<Record<string, string | null>>;
  readonly headers: { readonly operation: string; readonly relation: readonly [string, string] };
}

/** The row messages of a log, a subset or a stream; undefined for an answer without. */
function rowsOf({ headers, text }: RawAnswer): readonly RowMessage[] | undefined {
  if (headers['electric-offset'] === undefined) return undefined;
  if (headers['content-type'] === 'text/event-stream') {
    const events = text.split('\n\n').filter((event) => event.startsWith('data: '));
    return events.map((event) => JSON.parse(event.slice(6)) as RowMessage).filter(({ key }) => key !== undefined);
  }
  const body = JSON.parse(text) as RowMessage[] | { readonly data: RowMessage[] };
  return (Array.isArray(body) ? body : body.data).filter(({ key }) => key !== undefined);
}

function foreign(definition: Definition, { value, headers }: RowMessage): string | undefined {
  if (headers.relation.join('.') !== `public.${definition.table}`) return 'a row of another table';
  if (Object.keys(value).some((name) => !definition.columns.includes(name))) return 'a column that was not selected';
  const whole = definition.columns.every((name) => name in value);
  return whole && headers.operation === 'insert' && !definition.holds(value) ? 'a row of another shape' : undefined;
}

function describe({ method, path, headers, body }: FuzzRequest): string {
  const sent = body === undefined ? '' : ` body ${JSON.stringify(body.toString().slice(0, 300))}`;
  return `${method} ${path.slice(0, 400)} ${JSON.stringify(headers).slice(0, 200)}${sent}`;
}
