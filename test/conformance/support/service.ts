import { Client, type QueryResult, type QueryResultRow } from 'pg';
import { startCluster, waitFor, type Cluster, type ClusterOptions } from '@shapecast/testkit';
import { expect } from 'vitest';
import { send, type RawAnswer, type RawRequest } from './http.ts';

/** The tables of the conformance table (spec H 28). */
const TABLES = `
CREATE TABLE items  (id int PRIMARY KEY, title text);
CREATE TABLE wide   (id bigint PRIMARY KEY, v1 text NOT NULL, v2 text NOT NULL, v3 text NOT NULL);
CREATE TABLE nopk   (a text, b text);
CREATE TABLE cpk    (second int, first text, third text, PRIMARY KEY (first, second, third));
CREATE TABLE users  (id int PRIMARY KEY, name text, secret_token text);
CREATE TYPE  mood   AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE moods  (id int PRIMARY KEY, mood mood);
CREATE TABLE flags  (f bool PRIMARY KEY, n int);
CREATE TABLE gen    (id int PRIMARY KEY, n int, doubled int GENERATED ALWAYS AS (n * 2) STORED);
CREATE TABLE part   (id int, region text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE part_eu PARTITION OF part FOR VALUES IN ('eu');
CREATE TABLE part_us PARTITION OF part FOR VALUES IN ('us');
CREATE TABLE parent (id int PRIMARY KEY, active bool NOT NULL);
CREATE TABLE child  (id int PRIMARY KEY, parent_id int NOT NULL, n int NOT NULL);
CREATE TABLE "Odd.Name" ("Id" int PRIMARY KEY, "a,b" text, "say ""hi""" text);
`;

export type Query = Readonly<Record<string, string>>;

export interface Message {
  readonly key?: string;
  readonly value?: Readonly<Record<string, string | null>>;
  readonly old_value?: Readonly<Record<string, string | null>>;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** A cluster with the tables of the conformance table, and short ways to ask it. */
export class ConformanceService {
  readonly cluster: Cluster;
  #db: Client;
  #lastQuery: Promise<unknown> = Promise.resolve();

  private constructor(cluster: Cluster, db: Client) {
    this.cluster = cluster;
    this.#db = db;
  }

  /** One process of each kind unless `options` says otherwise; timeouts short enough to wait for. */
  static async start(options: ClusterOptions = {}): Promise<ConformanceService> {
    const cluster = await startCluster({
      routers: 1,
      apis: 1,
      replicators: 1,
      ...options,
      env: { ELECTRIC_LONG_POLL_TIMEOUT: '2000', ELECTRIC_ENABLE_INTEGRATION_TESTING: 'true', ...options.env },
    });
    const db = await connect(cluster);
    await db.query(TABLES);
    return new ConformanceService(cluster, db);
  }

  /** The shared connection. */
  get db(): Client {
    return this.#db;
  }

  /** Another shared connection, after the database was lost and is back. */
  async reconnect(): Promise<void> {
    await this.#db.end();
    this.#db = await connect(this.cluster);
    // Whoever was refused by the database asks it again after up to ten seconds (spec R 3.6.4).
    await waitFor(async () => (await this.shape({ where: `id < ${Date.now()}`, offset: '-1' })).status === 200);
  }

  /** A statement on the shared connection, after those before it: for tests that run at the same time. */
  sql<R extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<QueryResult<R>> {
    const result = this.#lastQuery.then(() => this.#db.query<R>(text, [...values]));
    this.#lastQuery = result.catch(() => undefined);
    return result;
  }

  async stop(): Promise<void> {
    await this.#db.end();
    await this.cluster.stop();
  }

  /** Any request, path as given. */
  send(path: string, options: RawRequest = {}): Promise<RawAnswer> {
    return send(this.cluster.url, path, options);
  }

  /** `GET /v1/shape` with these parameters; `table=items` unless they name one. An undefined value leaves a parameter out. */
  shape(query: Readonly<Record<string, string | undefined>>, options: RawRequest = {}): Promise<RawAnswer> {
    return this.send(shapePath(query), options);
  }

  /** The first answer of a shape and where it leads: for cases that begin with a handle. */
  async open(
    query: Query = {},
  ): Promise<{ readonly handle: string; readonly offset: string; readonly answer: RawAnswer }> {
    const answer = await this.shape({ ...query, offset: '-1' });
    expect(answer.status, answer.text).toBe(200);
    return { handle: header(answer, 'electric-handle'), offset: header(answer, 'electric-offset'), answer };
  }

  /** Reads from the beginning (or from `from`) until an answer is up to date. */
  async read(query: Query = {}, from?: { readonly handle: string; readonly offset: string }): Promise<ShapeRead> {
    let at = from ?? (await this.open(query));
    const answers: RawAnswer[] = 'answer' in at ? [(at as unknown as { answer: RawAnswer }).answer] : [];
    while (answers.at(-1)?.headers['electric-up-to-date'] === undefined) {
      const answer = await this.shape({ ...query, handle: at.handle, offset: at.offset });
      expect(answer.status, answer.text).toBe(200);
      answers.push(answer);
      at = { handle: header(answer, 'electric-handle'), offset: header(answer, 'electric-offset') };
    }
    return { handle: at.handle, offset: at.offset, answers, messages: answers.flatMap(messages) };
  }
}

export interface ShapeRead {
  readonly handle: string;
  /** The tail. */
  readonly offset: string;
  readonly answers: readonly RawAnswer[];
  readonly messages: readonly Message[];
}

/** Path and query of `GET /v1/shape`. */
export function shapePath(query: Readonly<Record<string, string | undefined>>): string {
  const all = 'table' in query ? query : { table: 'items', ...query };
  const pairs = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return `/v1/shape?${pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')}`;
}

export function header(answer: RawAnswer, name: string): string {
  const value = answer.headers[name];
  if (value === undefined) throw new Error(`no ${name} in a ${answer.status}: ${answer.text.slice(0, 200)}`);
  return value;
}

/** The messages of a data answer. */
export function messages(answer: RawAnswer): readonly Message[] {
  return JSON.parse(answer.text) as Message[];
}

/** Changes and snapshot rows among the messages. */
export function rows(list: readonly Message[]): readonly Message[] {
  return list.filter((message) => message.key !== undefined);
}

/** **V**: the 400 of a parameter that is refused. */
export function expectInvalid(answer: RawAnswer, errors: Readonly<Record<string, unknown>>): void {
  expect({ status: answer.status, body: JSON.parse(answer.text) as unknown }).toEqual({
    status: 400,
    body: { message: 'Invalid request', errors },
  });
  expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'surrogate-control': 'no-store' });
}

/** **MR**(handle): the 409 that names a handle; without one **MR**(). */
export function expectRefetch(answer: RawAnswer, handle?: string): void {
  expect({ status: answer.status, body: answer.text }).toEqual({
    status: 409,
    body: '[{"headers":{"control":"must-refetch"}}]',
  });
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
  expect(answer.headers['electric-handle']).toBe(handle);
  expect(answer.headers['cache-control']).toBe(
    handle === undefined ? 'public, max-age=1, must-revalidate' : 'public, max-age=60, must-revalidate',
  );
}

/** **U** or ¬**U**: header and last message agree. */
export function expectUpToDate(answer: RawAnswer, upToDate: boolean): void {
  expect(answer.headers['electric-up-to-date']).toBe(upToDate ? '' : undefined);
  const last = messages(answer).at(-1)?.headers['control'];
  if (upToDate) expect(last).toBe('up-to-date');
  else expect(last).not.toBe('up-to-date');
}

async function connect(cluster: Cluster): Promise<Client> {
  const db = new Client({ connectionString: cluster.databaseUrl });
  // What is lost with the connection fails the statement that needs it.
  db.on('error', () => undefined);
  await db.connect();
  return db;
}
