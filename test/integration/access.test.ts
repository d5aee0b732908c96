import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Shape, ShapeStream, type Row } from '@electric-sql/client';
import { startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { SignJWT, type JWTPayload } from 'jose';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const KEY = randomBytes(32);
const SECRET = 'the secret of a trusted proxy';
const POLICY = {
  jwt: { keys: [{ kty: 'oct', k: KEY.toString('base64url'), alg: 'HS256' }] },
  rules: [
    { table: 'notes', when: { role: 'admin' } },
    { table: 'notes', where: 'tenant = {claims.tenant}', columns: ['id', 'tenant', 'title'] },
    { table: 'numbers', where: 'tenant_id = {claims.tenant_id}' },
  ],
};

function sign(claims: JWTPayload, key: Uint8Array = KEY): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).setExpirationTime('5min').sign(key);
}

describe('tokens', () => {
  let cluster: Cluster;
  let client: Client;
  let folder: string;
  let policyFile: string;
  const abort = new AbortController();

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'shapecast-access-'));
    policyFile = join(folder, 'access.json');
    await writeFile(policyFile, JSON.stringify(POLICY));
    const env = { SHAPECAST_ACCESS_FILE: policyFile, ELECTRIC_SECRET: SECRET };
    cluster = await startCluster({ routers: 1, apis: 1, replicators: 1, env });
    client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query(`create table notes (id int primary key, tenant text, title text, secret text);
      insert into notes select i, 't' || i % 3, 'title ' || i, 'secret ' || i % 2 from generate_series(1, 30) i;
      create table numbers (id int primary key, tenant_id int);
      insert into numbers select i, i % 3 from generate_series(1, 9) i`);
  });

  afterAll(async () => {
    abort.abort();
    await client.end();
    await cluster.stop();
    await rm(folder, { recursive: true });
  });

  async function ask(query: Readonly<Record<string, string>>, token?: string) {
    const params = new URLSearchParams({ offset: '-1', ...query });
    const response = await fetch(`${cluster.url}/v1/shape?${params.toString()}`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text };
  }

  /** Values of the rows of an answer. */
  function rows({ text }: { readonly text: string }): Readonly<Record<string, string>>[] {
    const messages = JSON.parse(text) as { readonly value?: Readonly<Record<string, string>> }[];
    return messages.flatMap(({ value }) => (value === undefined ? [] : [value]));
  }

  test('show the rows and columns that the rule allows, and what happens to them, to the official client', async () => {
    const token = await sign({ tenant: 't1' });
    const stream = new ShapeStream({
      url: `${cluster.url}/v1/shape`,
      params: { table: 'notes' },
      headers: { authorization: () => `Bearer ${token}` },
      signal: abort.signal,
    });
    const shape = new Shape<Row>(stream);
    expect((await shape.rows).length).toBe(10);
    expect(Object.keys(shape.currentRows[0] ?? {}).sort()).toEqual(['id', 'tenant', 'title']);
    await client.query(`update notes set tenant = 't1' where id = 3; update notes set tenant = 't0' where id = 1;
      insert into notes values (100, 't2', 'not for t1', '')`);
    await waitFor(() => shape.currentRows.some(({ id }) => id === 3) && !shape.currentRows.some(({ id }) => id === 1));
    expect(new Set(shape.currentRows.map(({ tenant }) => tenant))).toEqual(new Set(['t1']));
  });

  test('limit a clause of the client, whatever it says', async () => {
    const token = await sign({ tenant: 't2' });
    for (const where of ['true', 'id > 0 or true', `tenant = 't1' or id < 100`, 'id = 1 or id = 2 or id = 5']) {
      const seen = rows(await ask({ table: 'notes', where }, token));
      expect(seen.length).toBeGreaterThan(0);
      expect(new Set(seen.map(({ tenant }) => tenant))).toEqual(new Set(['t2']));
    }
    for (const where of ['true) or (true', 'true -- ', `tenant = 't1'`]) {
      const answer = await ask({ table: 'notes', where }, token);
      if (answer.status === 200) expect(rows(answer).filter(({ tenant }) => tenant !== 't2')).toEqual([]);
      else expect(answer.status).toBe(400);
    }
  });

  test('keep hidden columns from being selected, filtered by or sorted by', async () => {
    const token = await sign({ tenant: 't1' });
    for (const query of [
      { columns: 'id,secret' },
      { where: `secret = 'secret 1'` },
      { 'subset[where]': `secret = 'secret 1'`, log: 'changes_only' },
      { 'subset[order_by]': 'secret', 'subset[limit]': '1', log: 'changes_only' },
      { queryable_columns: 'id,secret' },
    ] as Record<string, string>[]) {
      const answer = await ask({ table: 'notes', ...query }, token);
      expect(answer.status).toBe(400);
      expect(answer.text).not.toContain('secret 1');
    }
  });

  test('limit subsets as they limit shapes', async () => {
    const token = await sign({ tenant: 't1' });
    const answer = await ask({ table: 'notes', log: 'changes_only', 'subset[where]': 'id < 10' }, token);
    expect(answer.status).toBe(200);
    const { data } = JSON.parse(answer.text) as { readonly data: { readonly value: Record<string, string> }[] };
    expect(data.length).toBeGreaterThan(0);
    expect(new Set(data.map(({ value }) => value['tenant']))).toEqual(new Set(['t1']));
  });

  test('give a handle of somebody else no meaning', async () => {
    const [mine, theirs] = await Promise.all([sign({ tenant: 't1' }), sign({ tenant: 't2' })]);
    const other = await ask({ table: 'notes' }, theirs);
    const handle = other.headers.get('electric-handle') ?? '';
    const answer = await ask({ table: 'notes', handle, offset: '0_0' }, mine);
    expect(answer.status).toBe(409);
    expect(answer.headers.get('electric-handle')).not.toBe(handle);
    expect(answer.text).not.toContain('t2');
  });

  test('are answered for nobody else: no shared cache keeps it', async () => {
    const answer = await ask({ table: 'notes' }, await sign({ tenant: 't1' }));
    expect(answer.headers.get('cache-control')).toMatch(/^private, (?!.*s-maxage)/);
    expect(answer.headers.get('vary')).toBe('authorization');
    const proxied = await ask({ table: 'notes', secret: SECRET });
    expect(proxied.headers.get('cache-control')).toMatch(/^public, /);
    expect(proxied.headers.get('vary')).toBeNull();
    expect(rows(proxied).length).toBeGreaterThan(30);
  });

  test.each<[string, JWTPayload, string, number]>([
    ['has no rule for the table', { tenant: 't1' }, 'pg_class', 403],
    ['lacks the claim', {}, 'notes', 403],
    ['has a claim that is no number', { tenant_id: '1 or true' }, 'numbers', 403],
    ['is an admin', { role: 'admin' }, 'notes', 200],
    ['has a number as text', { tenant_id: '1' }, 'numbers', 200],
  ])('when it %s: %j on %s is %i', async (_name, claims, table, status) => {
    const answer = await ask({ table }, await sign(claims));
    expect(answer.status).toBe(status);
    if (status !== 403) return;
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'forbidden' });
    expect(answer.headers.get('cache-control')).toBe('no-store');
  });

  test('are needed, unless a proxy knows the secret', async () => {
    const [none, forged, wrong] = [
      await ask({ table: 'notes' }),
      await ask({ table: 'notes' }, await sign({ tenant: 't1' }, randomBytes(32))),
      await ask({ table: 'notes', secret: 'wrong' }),
    ];
    for (const answer of [none, forged, wrong]) {
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
      expect(JSON.parse(answer.text)).toMatchObject({ code: 'invalid_token' });
    }
  });

  test('that name a shape are for that shape only', async () => {
    const token = await sign({
      shape: { table: 'notes', where: 'id < $1', params: { 1: 5 }, columns: ['id', 'title'] },
    });
    expect(
      rows(await ask({ table: 'notes' }, token))
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['1', '2', '3', '4']);
    expect((await ask({ table: 'notes', where: 'id < 6' }, token)).status).toBe(403);
    expect((await ask({ table: 'numbers' }, token)).status).toBe(403);
  });

  test('follow the policy as its file changes; a file that cannot be used changes nothing', async () => {
    const token = await sign({ tenant_id: 1 });
    expect((await ask({ table: 'numbers' }, token)).status).toBe(200);
    await writeFile(policyFile, '{"jwt": {}}');
    await writeFile(policyFile, JSON.stringify({ ...POLICY, rules: POLICY.rules.slice(0, 2) }));
    await waitFor(async () => (await ask({ table: 'numbers' }, token)).status === 403);
    await writeFile(policyFile, 'not even JSON');
    await writeFile(policyFile, JSON.stringify(POLICY));
    await waitFor(async () => (await ask({ table: 'numbers' }, token)).status === 200);
  });
});
