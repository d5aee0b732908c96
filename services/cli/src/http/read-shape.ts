import type { Clock } from '@shapecast/service-kit';
import { answerOf } from './ask-health.ts';

/** Which shape, where, and as whom. */
export interface ShapeAddress {
  /** Of the API, without a slash at its end. */
  readonly url: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Goes out with each request, and nowhere else. */
  readonly secret: string | undefined;
}

/** One answer, as far as it tells something to whoever looks after a cluster. */
interface Step {
  readonly kind: 'initial' | 'catch-up' | 'live';
  readonly code: number;
  readonly ms: number;
  readonly bytes: number;
  /** Headers that caches go by, or leave. */
  readonly caching: Readonly<Record<string, string>>;
}

export interface ShapeReading {
  readonly steps: readonly Step[];
  readonly rows: number;
  /** How often the shape started over while it was read. */
  readonly rotations: number;
  /** Why it was given up, in one sentence; undefined when it was read to its end. */
  readonly problem: string | undefined;
}

const CACHING = ['cache-control', 'etag', 'age', 'via', 'x-cache', 'cf-cache-status', 'x-served-by', 'vary'];
const MAX_ROTATIONS = 5;
const DEFAULT_RETRY_S = 1;
const MAX_RETRY_S = 10;

interface Message {
  readonly key?: string;
  readonly headers?: { readonly operation?: string; readonly control?: string };
}

interface Parts {
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

/** Reads a shape from its beginning until it is up to date, then one live answer, as a client does (spec H). Never throws for what the API says. */
export async function readShape(address: ShapeAddress, parts: Parts, signal: AbortSignal): Promise<ShapeReading> {
  const reader = new ShapeReader(address, parts, signal);
  return { problem: await reader.read(), steps: reader.steps, rows: reader.rows.size, rotations: reader.rotations };
}

class ShapeReader {
  readonly #address: ShapeAddress;
  readonly #parts: Parts;
  readonly #signal: AbortSignal;
  readonly steps: Step[] = [];
  /** Keys of the rows that the shape has. */
  readonly rows = new Set<string>();
  rotations = 0;
  #handle: string | undefined;
  #offset = '-1';
  #cursor: string | undefined;

  constructor(address: ShapeAddress, parts: Parts, signal: AbortSignal) {
    this.#address = address;
    this.#parts = parts;
    this.#signal = signal;
  }

  /** The problem, or undefined after a live answer that was as it should be. */
  async read(): Promise<string | undefined> {
    for (let upToDate = false; ;) {
      const live = upToDate;
      const response = await this.#ask(live);
      const { code } = response;
      if (code === 503) {
        await this.#parts.clock.sleep(response.retryMs, this.#signal);
        continue;
      }
      if (code === 409) {
        if (this.rotations >= MAX_ROTATIONS) return 'The shape started over again and again.';
        this.#startOver(response.headers.get('electric-handle') ?? undefined);
        upToDate = false;
        continue;
      }
      if (code === 204) return live ? undefined : 'The API answered 204 to a request that was not live.';
      if (code !== 200) return `The API answered ${code}: ${errorOf(response.text)}`;
      const problem = this.#take(response.text, response.headers);
      if (problem !== undefined || live) return problem;
      upToDate = response.headers.has('electric-up-to-date');
    }
  }

  async #ask(live: boolean) {
    const { url, parameters, secret } = this.#address;
    const query = new URLSearchParams({ ...parameters, offset: this.#offset });
    if (this.#handle !== undefined) query.set('handle', this.#handle);
    if (live) query.set('live', 'true');
    if (live && this.#cursor !== undefined) query.set('cursor', this.#cursor);
    if (secret !== undefined) query.set('secret', secret);
    const { clock, fetch: get } = this.#parts;
    const askedAt = clock.now();
    const response = await answerOf(() => get(`${url}/v1/shape?${query.toString()}`, { signal: this.#signal }));
    const body = Buffer.from(await response.arrayBuffer());
    const { headers, status: code } = response;
    const kind = live ? 'live' : this.#offset === '-1' ? 'initial' : 'catch-up';
    const caching = CACHING.flatMap((name) => (headers.has(name) ? [[name, headers.get(name) ?? '']] : []));
    this.steps.push({
      kind,
      code,
      ms: clock.now() - askedAt,
      bytes: body.length,
      caching: Object.fromEntries(caching) as Record<string, string>,
    });
    const retryS = Math.min(MAX_RETRY_S, Number(headers.get('retry-after') ?? DEFAULT_RETRY_S) || DEFAULT_RETRY_S);
    return { code, headers, text: body.toString(), retryMs: retryS * 1_000 };
  }

  #take(text: string, headers: Headers): string | undefined {
    const handle = headers.get('electric-handle');
    const offset = headers.get('electric-offset');
    if (handle === null || offset === null)
      return 'The answer has no electric-handle and electric-offset: is this the API?';
    const messages = parseMessages(text);
    if (messages === undefined) return 'The answer is no list of messages.';
    for (const { key, headers: { operation } = {} } of messages) {
      if (key === undefined) continue;
      if (operation === 'delete') this.rows.delete(key);
      else this.rows.add(key);
    }
    const stuck = offset === this.#offset && !headers.has('electric-up-to-date');
    if (stuck) return `The API has no end: it answered offset ${offset} twice.`;
    this.#handle = handle;
    this.#offset = offset;
    this.#cursor = headers.get('electric-cursor') ?? this.#cursor;
    return undefined;
  }

  #startOver(handle: string | undefined): void {
    this.rotations += 1;
    this.rows.clear();
    this.#handle = handle;
    this.#offset = '-1';
    this.#cursor = undefined;
  }
}

function parseMessages(text: string): readonly Message[] | undefined {
  try {
    const messages = JSON.parse(text) as unknown;
    return Array.isArray(messages) ? (messages as Message[]) : undefined;
  } catch {
    return undefined;
  }
}

/** What the API says of the error; of anything else only that it is not that. */
function errorOf(text: string): string {
  try {
    const { message, error, errors } = JSON.parse(text) as Record<string, unknown>;
    const said = [message ?? error, errors].filter((part) => part !== undefined);
    return said.map((part) => (typeof part === 'string' ? part : JSON.stringify(part))).join(' ');
  } catch {
    return 'and no JSON.';
  }
}
