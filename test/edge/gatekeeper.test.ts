import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Shape, ShapeStream, type Row } from '@electric-sql/client';
import { startCluster, startEdge, waitFor, type Cluster, type Edge } from '@shapecast/testkit';
import { SignJWT, type JWTPayload } from 'jose';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { forwardTo, startOrigin, type Origin } from './support/origin.ts';

const KEY = randomBytes(32);
const SECRET = 'known to the edge & the API';

function sign(claims: JWTPayload, key: Uint8Array = KEY): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('5min').sign(key);
}

describe('nginx that checks tokens in front of its cache', () => {
  let cluster: Cluster;
  let origin: Origin;
  let edge: Edge;
  let client: Client;
  let folder: string;
  const abort = new AbortController();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shapecast-gatekeeper-'));
    const policy = {
      jwt: { keys: [{ kty: 'oct', k: KEY.toString('base64url'), alg: 'HS256' }] },
      rules: [
        { table: 'notes', when: { role: 'admin' } },
        { table: 'notes', where: 'tenant = {claims.tenant}', columns: ['id', 'tenant'] },
      ],
    };
    await writeFile(join(folder, 'access.json'), JSON.stringify(policy));
    cluster = await startCluster({
      routers: 1,
      apis: 1,
      replicators: 1,
      env: { SHAPECAST_ACCESS_FILE: join(folder, 'access.json'), ELECTRIC_SECRET: SECRET },
    });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query(`create table notes (id int primary key, tenant text, secret text);
      insert into notes select i, 't' || i % 3, 'hidden' from generate_series(1, 30) i;
      create table others (id int primary key)`);
    origin = await startOrigin(forwardTo(cluster.url));
    edge = await startEdge({ kind: 'nginx', origin: origin.url, secret: SECRET });
  });

  afterAll(async () => {
    abort.abort();
    await edge.stop();
    await origin.stop();
    await client.end();
    await cluster.stop();
    await rm(folder, { recursive: true });
  });

  async function ask(query: Readonly<Record<string, string>>, token?: string, init: RequestInit = {}) {
    const params = new URLSearchParams({ table: 'notes', offset: '-1', ...query });
    const response = await fetch(`${edge.url}/v1/shape?${params.toString()}`, {
      ...init,
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  function tenants({ text }: { readonly text: string }): (string | undefined)[] {
    const messages = JSON.parse(text) as { readonly value?: { readonly tenant?: string } }[];
    return [...new Set(messages.flatMap(({ value }) => (value === undefined ? [] : [value.tenant])))];
  }

  test('sends one request to the origin for all who may see the same, and never mixes tenants', async () => {
    const before = origin.matching('/v1/shape').length;
    for (const tenant of ['t0', 't1', 't2']) {
      const answers = await Promise.all(
        Array.from({ length: 10 }, async (_, user) => ask({}, await sign({ tenant, sub: `user ${user}` }))),
      );
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
      for (const answer of answers) expect(tenants(answer)).toEqual([tenant]);
    }
    expect(origin.matching('/v1/shape').length - before).toBe(3);
  });

  test('lets only the browser of the one who asked keep the answer', async () => {
    const { headers, text } = await ask({}, await sign({ tenant: 't1' }));
    expect(headers.get('cache-control')).toMatch(/^private, /);
    expect(headers.get('vary')).toMatch(/authorization/i);
    expect(text).not.toContain('hidden');
  });

  test('follows a shape with the official client', async () => {
    const token = await sign({ tenant: 't9' });
    const url = `${edge.url}/v1/shape`;
    const headers = { authorization: `Bearer ${token}` };
    const shape = new Shape<Row>(new ShapeStream({ url, params: { table: 'notes' }, headers, signal: abort.signal }));
    expect(await shape.rows).toEqual([]);
    await client.query(`insert into notes values (900, 't9', 'hidden'), (901, 't1', 'hidden')`);
    await waitFor(() => shape.currentRows.length === 1);
    expect(shape.currentRows).toEqual([{ id: 900, tenant: 't9' }]);
  });

  test('answers who may not, without asking the cache', async () => {
    const good = await sign({ tenant: 't1' });
    for (const [token, status, code] of [
      [undefined, 401, 'invalid_token'],
      [await sign({ tenant: 't1' }, randomBytes(32)), 401, 'invalid_token'],
      [await sign({}), 403, 'forbidden'],
    ] as const) {
      expect((await ask({}, good)).status).toBe(200);
      const answer = await ask({}, token);
      expect(answer.status).toBe(status);
      expect(JSON.parse(answer.text)).toMatchObject({ code });
      expect(answer.headers.get('access-control-allow-origin')).toBe('*');
    }
  });

  test('passes on nothing that a client adds to get around it', async () => {
    const token = await sign({ tenant: 't1' });
    const all = JSON.stringify({ where: 'true' });
    for (const query of [
      { restriction: all },
      { restriction: all, secret: SECRET },
      { secret: SECRET },
      { where: 'true', restriction: '{}' },
      { 'restriction[where]': 'true' },
    ] as Record<string, string>[]) {
      const answer = await ask(query, token);
      expect(answer.status).toBe(200);
      expect(tenants(answer)).toEqual(['t1']);
    }
    for (const body of [{ table: 'others' }, { restriction: all }, { secret: SECRET, where: 'true' }]) {
      const answer = await ask({}, token, { method: 'POST', body: JSON.stringify(body) });
      if (answer.status === 200) expect(answer.text).not.toMatch(/"t0"|"t2"|hidden/);
      else expect([400, 401, 403]).toContain(answer.status);
    }
    expect((await ask({ table: 'others' }, token)).status).toBe(403);
    for (const path of ['/v1//shape', '/v1/shape/', '/v1/%73hape', '/v1/authorize', '/_authorize', '/V1/SHAPE']) {
      const response = await fetch(`${edge.url}${path}?table=notes&offset=-1&secret=${encodeURIComponent(SECRET)}`);
      expect(response.status).toBeGreaterThanOrEqual(400);
      await response.body?.cancel();
    }
  });

  test('says what is wrong with a request, as the API does', async () => {
    const answer = await ask({ offset: 'nonsense' }, await sign({ tenant: 't1' }));
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text)).toMatchObject({ errors: { offset: ['has invalid format'] } });
  });

  test('answers subsets, which no cache keeps', async () => {
    const token = await sign({ tenant: 't2' });
    const query = { log: 'changes_only', subset__where: 'id < 20' };
    const answer = await ask(query, token);
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('"t2"');
    expect(answer.text).not.toMatch(/"t0"|"t1"|hidden/);
  });
});

describe('nginx that checks tokens of several sources in front of one cache', () => {
  const keys = { acme: randomBytes(32), bravo: randomBytes(32) } as const;
  type Id = keyof typeof keys;
  const ids = ['acme', 'bravo'] as const;
  let cluster: Cluster;
  let origin: Origin;
  let edge: Edge;

  beforeAll(async () => {
    const access = (id: Id) => ({
      jwt: { keys: [{ kty: 'oct', k: keys[id].toString('base64url'), alg: 'HS256' }] },
      rules: [{ table: 'notes', where: 'tenant = {claims.tenant}' }],
    });
    cluster = await startCluster({
      routers: 1,
      apis: 1,
      replicators: 1,
      sources: { acme: { access: access('acme') }, bravo: { access: access('bravo') } },
      env: { SHAPECAST_EDGE_SECRETS: SECRET },
    });
    for (const { id, databaseUrl } of cluster.sources) {
      const client = new Client({ connectionString: databaseUrl });
      await client.connect();
      await client.query(`create table notes (id int primary key, tenant text, note text);
        insert into notes select i, 't' || i % 3, 'of ${id}' from generate_series(1, 30) i`);
      await client.end();
    }
    origin = await startOrigin(forwardTo(cluster.url));
    edge = await startEdge({ kind: 'nginx', origin: origin.url, secret: SECRET });
  });

  afterAll(async () => {
    await edge.stop();
    await origin.stop();
    await cluster.stop();
  });

  async function ask(query: string, token: string) {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${edge.url}/v1/shape?table=notes&offset=-1&${query}`, { headers });
    return { status: response.status, text: await response.text() };
  }

  test('O 4.4 keeps an answer of each, and gives nobody that of another', async () => {
    const before = origin.matching('/v1/shape').length;
    for (let round = 0; round < 3; round += 1) {
      for (const id of ids) {
        const token = await sign({ tenant: 't1', sub: `user ${round}` }, keys[id]);
        const answers = await Promise.all(Array.from({ length: 5 }, () => ask(`source_id=${id}`, token)));
        for (const { status, text } of answers) {
          expect(status).toBe(200);
          expect(text).toContain(`of ${id}`);
          expect(text).not.toContain(`of ${id === 'acme' ? 'bravo' : 'acme'}`);
        }
      }
    }
    expect(origin.matching('/v1/shape').length - before).toBe(2);
  });

  test('lets nobody in with a token of another source, however the source is named', async () => {
    const token = await sign({ tenant: 't1' }, keys.acme);
    for (const query of [
      'source_id=bravo',
      'source_id=acme&source_id=bravo',
      'source_id=acme&source_id[]=bravo',
      '%73ource_id=bravo',
      'source_id=nobody',
      'source_id=bravo%00',
      '',
      `source_id=bravo&secret=${encodeURIComponent(SECRET)}x`,
    ]) {
      const { status, text } = await ask(query, token);
      expect([query, status]).toEqual([query, 401]);
      expect(text).toContain('Unauthorized - Invalid API secret');
    }
    expect((await ask('source_id=bravo&source_id=acme', token)).text).toContain('of acme');
  });
});
