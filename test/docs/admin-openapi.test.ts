import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createConfig, lint } from '@redocly/openapi-core';
import { createAdmin, type Admin } from '@shapecast/admin';
import {
  BUCKETS,
  introspectSubject,
  newIncarnationSubject,
  openMemoryMessaging,
  processKey,
  releaseLeadershipSubject,
  subsetSubject,
  type ProcessRecord,
  type RouterRecord,
  type SourceRecord,
} from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type CreateRequest } from '@shapecast/shape-store';
import { sealWith } from '@shapecast/sources';
import { waitFor } from '@shapecast/testkit';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

/** The description of the admin API, held against the server (spec D X6). */

interface Operation {
  readonly responses?: Readonly<Record<string, object>>;
}
interface ResponseObject {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

const METHODS = ['get', 'put', 'post', 'delete'] as const;
const TOKEN = 'a-token-of-the-admin-api';
const file = join(import.meta.dirname, '../../packages/admin/openapi.yaml');
const description = parse(await readFile(file, 'utf8')) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
};
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema({ $id: 'openapi', ...description });

test('the description of the admin API passes the linter', async () => {
  const config = await createConfig({ extends: ['recommended-strict'] });
  const problems = await lint({ ref: file, config });
  expect(problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
});

test('the page on the admin API has the requests of the description, both ways', async () => {
  const page = await readFile(join(import.meta.dirname, '../../docs/admin.md'), 'utf8');
  const onPage = new Set<string>();
  for (const [, method, path, more = ''] of page.matchAll(
    /`(GET|PUT|POST|DELETE) (\/admin[^`?]*)[^`]*`((?:, `[a-z]+`)*)/g,
  )) {
    if (path?.includes('…') === true || path?.includes('<') === true) continue;
    const named = String(path).replaceAll(/:(\w+)/g, '{$1}');
    onPage.add(`${method} ${named}`);
    // `…/pause`, `resume`, `drain`: the last word stands for others.
    for (const [, other] of more.matchAll(/`([a-z]+)`/g))
      onPage.add(`${method} ${named.replace(/[^/]+$/, String(other))}`);
  }
  expect([...onPage].toSorted()).toEqual([...operations()].toSorted());
});

function* operations(): Generator<string> {
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS) if (method in methods) yield `${method.toUpperCase()} ${path}`;
  }
}

describe('openapi.yaml describes what the running admin API does', () => {
  const messaging = openMemoryMessaging(systemClock);
  const store = openMemoryShapeStore(systemClock);
  const succeeded = new Set<string>();
  let admin: Admin;

  beforeAll(async () => {
    const seal = () => sealWith([randomBytes(32).toString('base64')]);
    const sources = { mode: 'registry', seals: { database: seal(), api: seal() } } as const;
    const parts = { clock: systemClock, log: silentLogger };
    admin = createAdmin(
      { messaging: () => messaging, sources, store, ...parts },
      { host: '127.0.0.1', port: 0, tokens: [TOKEN] },
    );
    await admin.start(new AbortController().signal);
  });
  afterAll(async () => {
    await admin.stop();
    await messaging.close();
    await store.close();
  });

  /** Asks for a path of the description and holds the answer against it. */
  async function ask(
    method: (typeof METHODS)[number],
    template: string,
    params: Params = {},
    body?: unknown,
    query = '',
  ) {
    const path = template.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params[name] ?? '')));
    const response = await fetch(`http://127.0.0.1:${admin.port}${path}${query}`, {
      method: method.toUpperCase(),
      headers: {
        authorization: `Bearer ${TOKEN}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    isDescribed(template, method, response.status, text);
    if (response.status < 300) succeeded.add(`${method.toUpperCase()} ${template}`);
    return { status: response.status, body: JSON.parse(text) as Record<string, unknown> };
  }

  type Params = Readonly<Record<string, string | number>>;

  function isDescribed(template: string, method: string, status: number, text: string): void {
    const found = description.paths[template]?.[method]?.responses?.[String(status)];
    if (found === undefined) throw new Error(`${method} ${template} does not describe ${status}: ${text}`);
    const { content } = resolve<ResponseObject>(found);
    const schema = content?.['application/json']?.schema;
    if (schema === undefined) throw new Error(`${method} ${template} does not describe the body of ${status}`);
    const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object;
    const valid = ajv.validate(absolute, JSON.parse(text));
    expect(valid ? [] : ajv.errors, `${method} ${template}: ${text}`).toEqual([]);
  }

  function resolve<T>(object: unknown): T {
    const ref = (object as { $ref?: string }).$ref;
    if (ref === undefined) return object as T;
    const names = ref.slice(2).split('/');
    return resolve(names.reduce((at: unknown, name) => (at as Record<string, unknown>)[name], description));
  }

  const ONE = '/admin/sources/{id}';
  const id = 'acme';
  const given = { databaseUrl: 'postgresql://u:p@h.example/acme', secrets: ['a secret of theirs'] };

  async function setUp(): Promise<void> {
    const { registries } = messaging;
    const records = await registries.open<SourceRecord>(BUCKETS.sources.name);
    await records.put(id, { incarnation: 1, shards: 1, systemId: '1', timeline: 1, slotName: 's' });
    const routers = await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs });
    await routers.put(`${id}.router-1`, { id: 'router-1', owned: [0] });
    const processes = await registries.open<ProcessRecord>(BUCKETS.processes.name, { ttlMs: BUCKETS.processes.ttlMs });
    await processes.put(processKey('router-1'), { v: 1, id: 'router-1' });
    for (const subject of [releaseLeadershipSubject(id), newIncarnationSubject(id)]) {
      messaging.rpc.serve(subject, async () => ({ holder: 'replicator-1', incarnation: 1, epoch: 1 }));
    }
    messaging.rpc.serve(introspectSubject(id), async () => ({
      ...{ oid: 16_400, schema: 'public', name: 'notes', kind: 'r' },
      columns: [
        {
          ...{ name: 'id', attnum: 1, typeOid: 23, typeName: 'int4', typeSchema: 'pg_catalog', typeKind: 'b' },
          ...{ dims: 0, typeMod: -1, notNull: true, generated: 'none', pkIndex: 0 },
        },
      ],
    }));
    messaging.rpc.serveStream(subsetSubject(id), async function* () {
      yield Buffer.from(JSON.stringify({ xmin: '9', xmax: '9', xip_list: [], database_lsn: '1', snapshot_mark: 1 }));
      yield Buffer.from(JSON.stringify({ key: 'k', value: { id: '1' }, headers: { operation: 'insert' } }));
    });
  }

  async function shape(): Promise<string> {
    const shard = { source: id, incarnation: 1, shard: 0 };
    const request: CreateRequest = {
      digest: randomBytes(8).toString('hex'),
      definition: {
        ...{ v: 1, oid: 16_400, schema: 'public', table: 'notes', keyColumns: ['id'], hasPrimaryKey: true },
        ...{ columns: ['id'], allColumns: true, where: '', replica: 'default', log: 'full' },
      },
      fingerprint: { oid: 16_400, schema: 'public', table: 'notes', keyColumns: ['id'], columnCount: 1, columns: [] },
      chunkBytes: 10_000,
    };
    const { handle } = await store.getOrCreate(shard, request);
    await store.snapshotBegin(shard, handle, 't');
    await store.snapshotKnown(shard, handle, 't', { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as never });
    const bytes = Buffer.from('{"headers":{"control":"snapshot-end"}}');
    await store.snapshotPart(shard, handle, 't', { chunk: 0, bytes, close: true });
    await store.snapshotDone(shard, handle, 't');
    await store.promote(shard, handle, 100);
    return handle;
  }

  test('sources and what is done to them', async () => {
    await ask('get', '/admin');
    expect((await ask('put', ONE, { id }, { colour: 1 })).status).toBe(400);
    expect((await ask('put', ONE, { id }, given)).status).toBe(201);
    await setUp();
    expect((await ask('put', ONE, { id }, given)).status).toBe(200);
    await waitFor(async () => ((await ask('get', '/admin/sources')).body['sources'] as unknown[]).length === 1);
    for (const what of ['', '/usage', '/clauses', '/rotations', '/shards', '/shapes', '/rotate']) {
      expect((await ask('get', `${ONE}${what}`, { id })).status).toBe(200);
      expect((await ask('get', `${ONE}${what}`, { id: 'nobody' })).status).toBe(404);
    }
    for (const action of ['pause', 'drain', 'resume']) {
      expect((await ask('post', `${ONE}/${action}`, { id })).status).toBe(200);
      expect((await ask('post', `${ONE}/${action}`, { id: 'nobody' })).status).toBe(404);
    }
    expect((await ask('post', `${ONE}/release`, { id })).status).toBe(202);
    expect((await ask('post', `${ONE}/release`, { id: 'nobody' })).status).toBe(404);
    const order = { reason: 'a restore' };
    expect((await ask('post', `${ONE}/new-incarnation`, { id }, order)).status).toBe(400);
    expect((await ask('post', `${ONE}/new-incarnation`, { id }, order, `?confirm=${id}`)).status).toBe(202);
    await waitFor(async () => ((await ask('get', `${ONE}/shards`, { id })).body['routers'] as unknown[]).length === 1);
    const move = (shard: number, to: string | null) =>
      ask('post', `${ONE}/shards/{shard}/move`, { id, shard }, { to }).then(({ status }) => status);
    expect([await move(0, null), await move(0, 'nobody'), await move(7, null)]).toEqual([202, 400, 404]);
  });

  test('shapes and what is done to them', async () => {
    const [checked, rotated, deleted] = [await shape(), await shape(), await shape()];
    const one = `${ONE}/shapes/{handle}`;
    // A list is kept for a few seconds.
    await waitFor(async () => {
      const { body } = await ask('get', `${ONE}/shapes`, { id }, undefined, '?state=live');
      return body['total'] === 3;
    });
    expect((await ask('get', `${ONE}/shapes`, { id }, undefined, '?sort=colour')).status).toBe(400);
    expect((await ask('get', one, { id, handle: checked })).status).toBe(200);
    expect((await ask('get', one, { id, handle: '1-2' })).status).toBe(404);
    const check = await ask('post', `${one}/check`, { id, handle: checked });
    expect(check).toMatchObject({ status: 200, body: { consistent: false, keys: [{ key: 'k', kind: 'missing' }] } });
    expect((await ask('post', `${one}/check`, { id, handle: '1-2' })).status).toBe(404);
    expect((await ask('post', `${one}/rotate`, { id, handle: rotated }, {})).status).toBe(400);
    expect((await ask('post', `${one}/rotate`, { id, handle: rotated }, { reason: 'r' })).status).toBe(200);
    expect((await ask('delete', one, { id, handle: deleted })).status).toBe(200);
    expect((await ask('delete', one, { id, handle: deleted })).status).toBe(404);
    expect((await ask('post', `${ONE}/explain`, { id }, { table: 'notes', where: 'id = 1' })).status).toBe(200);
    expect((await ask('post', `${ONE}/explain`, { id }, {})).status).toBe(400);
    expect((await ask('post', `${ONE}/rotate`, { id }, { reason: 'r' })).status).toBe(400);
    expect((await ask('post', `${ONE}/rotate`, { id }, { reason: 'r', table: 'public.notes' })).status).toBe(202);
    await waitFor(async () => {
      const { rotations } = (await ask('get', `${ONE}/rotate`, { id })).body as { rotations: { state: string }[] };
      return rotations[0]?.state === 'done';
    });
    expect((await ask('delete', ONE, { id })).status).toBe(400);
    expect((await ask('delete', ONE, { id }, undefined, `?confirm=${id}`)).status).toBe(202);
  });

  test('events, and who has no token', async () => {
    const stop = new AbortController();
    const get = (headers: Record<string, string>) =>
      fetch(`http://127.0.0.1:${admin.port}/admin/events`, { headers, signal: stop.signal });
    const answer = await get({ authorization: `Bearer ${TOKEN}` });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    succeeded.add('GET /admin/events');
    const refused = await get({});
    isDescribed('/admin/events', 'get', refused.status, await refused.text());
    stop.abort();
  });

  test('every operation was asked for, and the server allows those and no other', async () => {
    expect([...succeeded].toSorted()).toEqual([...operations()].toSorted());
    for (const [template, methods] of Object.entries(description.paths)) {
      const path = template.replaceAll(/\{\w+\}/g, '1');
      const headers = { authorization: `Bearer ${TOKEN}` };
      const { status, headers: answer } = await fetch(`http://127.0.0.1:${admin.port}${path}`, {
        method: 'PATCH',
        headers,
      });
      if (template === '/admin/events') expect(status).toBe(405);
      const allowed = (answer.get('allow') ?? '').split(', ').toSorted();
      expect([template, status, allowed]).toEqual([
        template,
        405,
        METHODS.filter((method) => method in methods)
          .map((method) => method.toUpperCase())
          .toSorted(),
      ]);
    }
  });
});
