import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdmin, type Admin } from '@shapecast/admin';
import { BUCKETS, introspectSubject, openMemoryMessaging, type SourceRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type CreateRequest } from '@shapecast/shape-store';
import { sealWith } from '@shapecast/sources';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call } from './testing/call.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'shapecast-cli-admin-'));
const TOKEN = 'hunter2-is-the-admin-token';
const DATABASE = 'postgresql://u:hunter2@h.example/acme';

const column = { typeSchema: 'pg_catalog', typeKind: 'b', dims: 0, typeMod: -1, notNull: true, generated: 'none' };
const TABLE = {
  ...{ oid: 16_400, schema: 'public', name: 'notes', kind: 'r' },
  columns: [
    { ...column, name: 'id', attnum: 1, typeOid: 23, typeName: 'int4', pkIndex: 0 },
    { ...column, name: 'rank', attnum: 2, typeOid: 23, typeName: 'int4' },
  ],
};
const SHAPE: CreateRequest = {
  digest: 'a-digest',
  definition: {
    ...{ v: 1, oid: 16_400, schema: 'public', table: 'notes', keyColumns: ['id'], hasPrimaryKey: true },
    ...{ columns: ['id', 'rank'], allColumns: true, where: `"rank" = '7'::int4`, replica: 'default', log: 'full' },
  },
  fingerprint: { oid: 16_400, schema: 'public', table: 'notes', keyColumns: ['id'], columnCount: 2, columns: [] },
  chunkBytes: 10_000,
};

describe('commands that ask the admin API', () => {
  const messaging = openMemoryMessaging(systemClock);
  const store = openMemoryShapeStore(systemClock);
  let admin: Admin;
  let env: Record<string, string>;
  let handle = '';

  beforeAll(async () => {
    const seal = () => sealWith([randomBytes(32).toString('base64')]);
    const sources = { mode: 'registry', seals: { database: seal(), api: seal() } } as const;
    const deps = { messaging: () => messaging, sources, store, clock: systemClock, log: silentLogger };
    admin = createAdmin(deps, { host: '127.0.0.1', port: 0, tokens: [TOKEN] });
    await admin.start(new AbortController().signal);
    env = { SHAPECAST_ADMIN_URL: `http://127.0.0.1:${admin.port}`, SHAPECAST_ADMIN_TOKEN: TOKEN, THE_URL: DATABASE };
    const registry = await messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
    await registry.put('acme', { incarnation: 1, shards: 1, systemId: '1', timeline: 1, slotName: 's' });
    ({ handle } = await store.getOrCreate({ source: 'acme', incarnation: 1, shard: 0 }, SHAPE));
    messaging.rpc.serve(introspectSubject('acme'), async () => TABLE);
  });
  afterAll(async () => {
    await admin.stop();
    await messaging.close();
    await store.close();
    rmSync(FOLDER, { recursive: true });
  });

  const file = (name: string, text: string) => {
    const path = join(FOLDER, name);
    writeFileSync(path, text);
    return path;
  };

  test('sources are added, listed, shown, changed, paused, resumed, drained and removed', async () => {
    expect(await call(['sources', 'list'], env)).toMatchObject({ code: 0, out: 'There are no sources.' });
    expect(await call(['shapes', 'list'], env)).toMatchObject({ code: 1, err: 'There is no source.' });
    const declared = file(
      'acme.yaml',
      'databaseUrlFrom: { env: THE_URL }\nsecretFrom: { file: secret }\nlimits: { maxShapes: 5 }',
    );
    file('secret', 'hunter2\n');
    const added = await call(['sources', 'add', 'acme', '--file', declared], env);
    expect(added).toEqual({ code: 0, out: 'The source was added.', err: '' });
    expect(await call(['sources', 'add', 'acme', '--file', declared], env)).toMatchObject({
      code: 1,
      err: 'There is a source of this id: use sources change.',
    });
    expect((await call(['sources', 'change', 'other', '--file', declared], env)).err).toContain('use sources add');
    expect((await call(['sources', 'change', 'acme', '--file', declared], env)).out).toContain('already');
    await waitFor(async () => (await call(['sources', 'list'], env)).out.includes('acme'));
    const shown = await call(['sources', 'show', 'acme'], env);
    expect(shown.code).toBe(0);
    for (const text of ['h.example:5432/acme', '1 secrets', 'maxShapes', 'No replicator tells']) {
      expect(shown.out).toContain(text);
    }
    const json = JSON.parse((await call(['sources', 'show', 'acme', '--json'], env)).out) as Record<string, unknown>;
    expect(json).toMatchObject({ id: 'acme', limits: { maxShapes: 5 }, access: { secrets: 1 } });
    expect(shown.out + JSON.stringify(json)).not.toContain('hunter2');
    for (const [verb, state] of [
      ['pause', 'paused'],
      ['drain', 'draining'],
      ['resume', 'active'],
    ]) {
      expect((await call(['sources', verb as string, 'acme'], env)).out).toBe(`Source acme is ${state}.`);
    }
    expect(await call(['sources', 'pause', 'nobody'], env)).toMatchObject({
      code: 1,
      err: 'There is no source of this id.',
    });
  });

  test('wrong declarations name their fields, and no value', async () => {
    const wrong = file(
      'wrong.yaml',
      'databaseUrl: mysql://hunter2\nsecrets: [hunter2]\nlimits: { maxShapes: hunter2 }',
    );
    const { code, err } = await call(['sources', 'change', 'acme', '--file', wrong], env);
    expect(code).toBe(1);
    expect(err).toMatch(/^2 problems:\n {2}databaseUrl: .*\n {2}limits\.maxShapes: /);
    expect(err).not.toContain('hunter2');
    const both = file('both.yaml', `databaseUrl: ${DATABASE}\ndatabaseUrlFrom: { env: THE_URL }`);
    expect(await call(['sources', 'change', 'acme', '--file', both], env)).toMatchObject({ code: 2 });
    expect(await call(['sources', 'change', 'acme', '--file', file('list.yaml', '- a')], env)).toMatchObject({
      code: 2,
    });
  });

  test('shapes are listed, inspected, explained and deleted', async () => {
    const list = await call(['shapes', 'list'], env);
    expect(list.code).toBe(0);
    expect(list.out).toContain(handle);
    expect(list.out).toContain('"rank" = ?::int4');
    expect(list.out).toContain('1 of 1 shapes');
    const inspected = await call(['shapes', 'inspect', handle, '--source-id', 'acme'], env);
    expect(inspected.out).toMatch(/definition\.columns +id, rank/);
    expect(await call(['shapes', 'inspect', '1-2'], env)).toMatchObject({
      code: 1,
      err: expect.stringContaining('no shape') as string,
    });
    const explained = await call(
      ['shapes', 'explain', '--table', 'notes', '--where', 'rank = $1', '--params', '{"1":"7"}'],
      env,
    );
    expect(explained.out).toMatch(/found by +equality/);
    expect(explained.out).toMatch(/pinned +rank/);
    const scan = await call(['shapes', 'explain', '--table', 'notes', '--where', 'rank <> id', '--json'], env);
    expect(JSON.parse(scan.out)).toMatchObject({ kind: 'scan', scanned: true });
    expect((await call(['shapes', 'explain', '--table', 'notes', '--where', 'no = 1'], env)).code).toBe(1);
    expect((await call(['shapes', 'delete', handle, '--yes'], env)).out).toBe('The shape was deleted.');
    expect((await call(['shapes', 'delete', handle, '--yes'], env)).code).toBe(1);
    expect((await call(['shapes', 'list', '--sort', 'colour'], env)).err).toContain('sort: expected readers');
  });

  test('a token that is not taken, and an API that is not there, are told apart', async () => {
    const wrong = { ...env, SHAPECAST_ADMIN_TOKEN: 'not-this-one-either' };
    expect(await call(['sources', 'list'], wrong)).toMatchObject({ code: 1, err: 'The admin token is not taken.' });
    const token = file('token', `${TOKEN}\n`);
    expect((await call(['sources', 'list', '--admin-token-file', token], wrong)).code).toBe(0);
    const away = { ...env, SHAPECAST_ADMIN_URL: 'http://127.0.0.1:1' };
    const { code, err } = await call(['sources', 'list'], away);
    expect([code, err.startsWith('The admin API did not answer: ')]).toEqual([1, true]);
  });

  test('removing a source takes its id twice', async () => {
    expect((await call(['sources', 'remove', 'acme'], env)).code).toBe(2);
    expect((await call(['sources', 'remove', 'acme', '--confirm', 'acme'], env)).out).toBe('Source acme is removing.');
    expect((await call(['sources', 'resume', 'acme'], env)).code).toBe(1);
  });
});
