import { randomBytes, randomUUID } from 'node:crypto';
import {
  BUCKETS,
  eventsSubject,
  introspectSubject,
  processKey,
  tableKey,
  UsageReporter,
  type GuardRecord,
  type LeaderRecord,
  type Messaging,
  type ProcessRecord,
  type RouterRecord,
  type SourceRecord,
} from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { DeclaredSources, parseSource, sealWith, type AllSeals } from '@shapecast/sources';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAdmin, type Admin, type AdminDeps } from './admin.ts';
import { ask, readEvents, type Asked } from './testing/ask.ts';
import { liveShape, NOTES } from './testing/shapes.ts';

interface Parts {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  close(): Promise<void>;
}

const TOKEN = 'a-token-of-the-admin-api';
const NEXT_TOKEN = 'the-token-that-follows-it';
const SECRETS = { password: 'hunter2-password', secret: 'hunter2-secret', key: 'hunter2-key-that-signs-tokens' };
const parts = { clock: systemClock, log: silentLogger };

/** What a source of a file or of the admin API says of itself. */
function given(id: string) {
  return {
    displayName: 'Orders of shop 7',
    databaseUrl: `postgresql://app:${SECRETS.password}@db.example:5432/${id}`,
    secrets: [SECRETS.secret],
    limits: { requestsPerSecond: 100, redisBytes: '1MiB' },
  };
}

/** What the admin API shows and does, over whatever messaging and store there are. */
export function describeAdmin(name: string, open: () => Promise<Parts>): void {
  describe(`admin API over ${name}`, () => {
    let given_: Parts;
    let admin: Admin;
    const seals: AllSeals = {
      database: sealWith([randomBytes(32).toString('base64')]),
      api: sealWith([randomBytes(32).toString('base64')]),
    };
    const stops: (() => Promise<void>)[] = [];

    async function start(more: Partial<AdminDeps> = {}): Promise<Admin> {
      const deps: AdminDeps = {
        messaging: () => given_.messaging,
        sources: { mode: 'registry', seals },
        store: given_.store,
        ...parts,
        ...more,
      };
      const one = createAdmin(deps, { host: '127.0.0.1', port: 0, tokens: [TOKEN, NEXT_TOKEN] });
      await one.start(new AbortController().signal);
      stops.push(() => one.stop());
      return one;
    }

    beforeAll(async () => {
      given_ = await open();
      admin = await start();
    });
    afterAll(async () => {
      for (const stop of stops.reverse()) await stop();
      await given_.close();
    });

    const at = (method: string, path: string, body?: unknown): Promise<Asked> => ask(admin, method, path, body, TOKEN);
    const freshId = () => `s-${randomUUID().slice(0, 18)}`;

    async function declared(more: object = {}): Promise<string> {
      const id = freshId();
      expect((await at('PUT', `/sources/${id}`, { ...given(id), ...more })).status).toBe(201);
      return id;
    }

    async function put<T>(bucket: { readonly name: string; readonly ttlMs?: number }, key: string, value: T) {
      const { ttlMs } = bucket;
      const registry = await given_.messaging.registries.open<T>(bucket.name, ttlMs === undefined ? {} : { ttlMs });
      await registry.put(key, value);
    }

    /** As the processes of a source that is up would have it. */
    async function setUp(id: string, shards = 2): Promise<SourceRecord> {
      const record: SourceRecord = { incarnation: 1, shards, systemId: '1', timeline: 1, slotName: 's' };
      await put<SourceRecord>(BUCKETS.sources, id, record);
      await put<LeaderRecord>(BUCKETS.leaders, id, {
        ...{ holder: 'replicator-1', epoch: 1, incarnation: 1, walSenderPid: 1, streaming: true },
      });
      const owned = Array.from({ length: shards }, (_, shard) => shard);
      await put<RouterRecord>(BUCKETS.routers, `${id}.router-1`, { id: 'router-1', owned });
      await put<ProcessRecord>(BUCKETS.processes, processKey('router-1'), { v: 1, id: 'router-1' });
      return record;
    }

    async function reports(role: 'api' | 'router', add: (reporter: UsageReporter) => void): Promise<void> {
      const deps = { hints: given_.messaging.hints, ...parts };
      const reporter = new UsageReporter(deps, { process: `${role}-${randomUUID()}`, role });
      add(reporter);
      await reporter.start();
      stops.push(() => reporter.stop());
    }

    describe('who is let in', () => {
      test('nobody without a token, and whoever has one of the two', async () => {
        for (const path of ['', '/sources', '/sources/x', '/events', '/nothing/of/the/kind']) {
          const refused = await ask(admin, 'GET', path);
          expect([refused.status, refused.body.code]).toEqual([401, 'unauthorized']);
          expect(refused.headers.get('www-authenticate')).toContain('Bearer');
        }
        expect((await ask(admin, 'GET', '', undefined, TOKEN)).status).toBe(200);
        expect((await ask(admin, 'GET', '', undefined, NEXT_TOKEN)).status).toBe(200);
      });

      test('the console is for everybody, and runs nothing that does not come from here', async () => {
        const page = await fetch(`http://127.0.0.1:${admin.port}/`);
        expect(page.status).toBe(200);
        const policy = page.headers.get('content-security-policy') ?? '';
        expect(policy).toContain("default-src 'none'");
        expect(policy).toContain("script-src 'self';");
        expect(policy).not.toContain('unsafe');
        const html = await page.text();
        expect(html).not.toMatch(/<script(?![^>]*src=)|\son[a-z]+=|style=|https?:\/\//);
        const names = [...html.matchAll(/(?:src|href)="(\/console\/[^"]+)"/g)].map(([, path]) => path);
        expect(names.length).toBeGreaterThan(2);
        for (const path of names) expect((await fetch(`http://127.0.0.1:${admin.port}${path}`)).status).toBe(200);
        for (const path of ['/console/tsconfig.json', '/console/../package.json', '/console/%2e%2e/package.json']) {
          expect((await fetch(`http://127.0.0.1:${admin.port}${path}`)).status).toBe(404);
        }
      });

      test('whoever guesses is slowed down, and not even told when a guess is right', async () => {
        const other = await start();
        const statuses: number[] = [];
        for (let i = 0; i < 12; i += 1) statuses.push((await ask(other, 'GET', '', undefined, `guess-${i}`)).status);
        expect(statuses).toEqual([...Array<number>(10).fill(401), 429, 429]);
        const limited = await ask(other, 'GET', '', undefined, TOKEN);
        expect([limited.status, limited.body.code]).toEqual([429, 'too_many_attempts']);
        expect(Number(limited.headers.get('retry-after'))).toBeGreaterThan(0);
      });
    });

    describe('sources', () => {
      test('are added, changed, paused, resumed, drained and removed', async () => {
        const id = freshId();
        const added = await at('PUT', `/sources/${id}`, given(id));
        expect(added).toMatchObject({ status: 201, body: { outcome: 'added', source: { id, state: 'active' } } });
        expect((await at('PUT', `/sources/${id}`, given(id))).body).toMatchObject({ outcome: 'same' });
        const changed = await at('PUT', `/sources/${id}`, { ...given(id), labels: { team: 'red' } });
        expect(changed).toMatchObject({
          status: 200,
          body: { outcome: 'changed', source: { labels: { team: 'red' } } },
        });
        for (const [action, state] of [
          ['pause', 'paused'],
          ['drain', 'draining'],
          ['resume', 'active'],
        ]) {
          expect((await at('POST', `/sources/${id}/${action}`)).body).toMatchObject({ source: { id, state } });
        }
        const unconfirmed = await at('DELETE', `/sources/${id}`);
        expect([unconfirmed.status, unconfirmed.body.code]).toEqual([400, 'confirmation_required']);
        expect((await at('DELETE', `/sources/${id}?confirm=${id}x`)).status).toBe(400);
        expect((await at('GET', `/sources/${id}`)).body).toMatchObject({ state: 'active' });
        const removed = await at('DELETE', `/sources/${id}?confirm=${id}`);
        expect(removed).toMatchObject({ status: 202, body: { source: { id, state: 'removing', status: 'removing' } } });
        expect((await at('POST', `/sources/${id}/resume`)).status).toBe(503);
        await waitFor(async () =>
          (await listed()).some((source) => source['id'] === id && source['state'] === 'removing'),
        );
      });

      async function listed(): Promise<readonly Record<string, unknown>[]> {
        return (await at('GET', '/sources')).body['sources'] as Record<string, unknown>[];
      }

      test('are shown without anything confidential', async () => {
        const access = {
          algorithms: ['HS256'],
          keys: [{ kty: 'oct', alg: 'HS256', k: Buffer.from(SECRETS.key.padEnd(40, '!')).toString('base64url') }],
          audience: 'shop',
          rules: [],
        };
        const id = await declared();
        const withTokens = await at('PUT', `/sources/${freshId()}`, { ...given(id + 't'), access });
        const shown = await at('GET', `/sources/${id}`);
        expect(shown.body).toMatchObject({
          id,
          origin: 'admin',
          displayName: 'Orders of shop 7',
          database: { host: 'db.example', port: 5432, database: id, pooled: false },
          access: { secrets: 1, tokens: false, insecure: false },
          limits: { requestsPerSecond: 100, redisBytes: 1_048_576 },
          status: 'starting',
          problem: 'No replicator tells anything of the source.',
        });
        const texts = [shown, withTokens, await at('GET', '/sources'), await at('GET', '')].map(({ text }) => text);
        for (const text of texts) {
          for (const secret of [...Object.values(SECRETS), 'app:', TOKEN]) expect(text).not.toContain(secret);
          expect(text).not.toMatch(/[0-9a-f]{64}/);
        }
      });

      test('that are not there are not found, whatever is asked', async () => {
        for (const [method, path] of [
          ['GET', '/sources/nobody'],
          ['GET', '/sources/no%2Fbody'],
          ['GET', '/sources/%E4%B8%AD'],
          ['DELETE', '/sources/nobody?confirm=nobody'],
          ['POST', '/sources/nobody/pause'],
          ['GET', '/sources/nobody/usage'],
          ['GET', '/sources/nobody/shapes'],
          ['GET', '/sources/nobody/shapes/1-2'],
          ['DELETE', '/sources/nobody/shapes/1-2'],
          ['GET', '/sources/nobody/clauses'],
          ['GET', '/sources/nobody/rotations'],
        ] as const) {
          const { status, body } = await at(method, path);
          expect([path, status, body.code]).toEqual([path, 404, 'source_not_found']);
        }
        expect((await at('POST', '/sources/nobody/explain', { table: 't' })).status).toBe(404);
        expect((await at('GET', '/sources/%ff')).status).toBe(400);
      });

      test('with wrong fields are refused by the name of the field, without its value', async () => {
        const id = freshId();
        const { status, body, text } = await at('PUT', `/sources/${id}`, {
          ...{
            databaseUrl: 'mysql://hunter2@x',
            secrets: [SECRETS.secret],
            limits: { maxShapes: 'hunter2' },
            colour: 1,
          },
        });
        expect([status, body.code]).toEqual([400, 'invalid']);
        const problems = (body.problems ?? []).map((problem) => problem.split(':')[0]);
        expect(problems.sort()).toEqual(['colour', 'databaseUrl', 'limits.maxShapes']);
        expect(text).not.toContain('hunter2');
        const file = { ...given(id), databaseUrl: undefined, databaseUrlFrom: { file: '/etc/passwd' } };
        expect((await at('PUT', `/sources/${id}`, file)).body.problems?.[0]).toMatch(/^databaseUrlFrom: /);
        expect((await at('PUT', '/sources/Wrong_Id', given('x'))).body.problems?.[0]).toMatch(/^id: /);
        expect((await at('PUT', `/sources/${id}`, { ...given(id), state: 'removed' })).body.problems?.[0]).toMatch(
          /^state: /,
        );
        expect((await at('GET', `/sources/${id}`)).status).toBe(404);
      });

      test('cannot share a database', async () => {
        const id = await declared();
        const { body } = await at('PUT', `/sources/${freshId()}`, given(id));
        expect(body.problems).toEqual([`databaseUrl: is the database of source ${id}; a database can have one source`]);
      });

      test('of the file are changed there', async () => {
        const id = freshId();
        const parsed = parseSource(id, given(id), () => '');
        if (!parsed.ok) throw new Error(parsed.problems.join());
        const entries = new DeclaredSources({ registries: given_.messaging.registries, seals, ...parts });
        await entries.declareFile(new Map([[id, parsed.source]]));
        expect((await at('GET', `/sources/${id}`)).body).toMatchObject({ origin: 'file' });
        for (const [method, path] of [
          ['PUT', ''],
          ['POST', '/pause'],
          ['DELETE', `?confirm=${id}`],
        ] as const) {
          const { status, body } = await at(method, `/sources/${id}${path}`, method === 'PUT' ? given(id) : undefined);
          expect([status, body.code]).toEqual([409, 'declared_in_file']);
        }
        await entries.declareFile(new Map());
        expect((await at('GET', `/sources/${id}`)).body).toMatchObject({ state: 'gone', status: 'gone' });
        expect((await at('POST', `/sources/${id}/resume`)).status).toBe(409);
        expect((await at('DELETE', `/sources/${id}?confirm=${id}`)).status).toBe(202);
      });

      test('of the environment can be seen and not be changed', async () => {
        const id = freshId();
        const other = await start({ sources: { mode: 'environment', id } });
        await setUp(id);
        const list = await ask(other, 'GET', '/sources', undefined, TOKEN);
        expect(list.body).toMatchObject({ mode: 'environment', sources: [{ id, origin: 'environment' }] });
        expect((await ask(other, 'GET', `/sources/${id}`, undefined, TOKEN)).body).toMatchObject({ status: 'active' });
        expect((await ask(other, 'GET', '/sources/other', undefined, TOKEN)).status).toBe(404);
        for (const [method, path, body] of [
          ['PUT', '', given(id)],
          ['POST', '/pause', undefined],
          ['DELETE', `?confirm=${id}`, undefined],
        ] as const) {
          const answer = await ask(other, method, `/sources/${id}${path}`, body, TOKEN);
          expect([answer.status, answer.body.code]).toEqual([409, 'read_only']);
        }
      });

      test('that were sealed with another key are shown as that', async () => {
        const id = await declared();
        const keys = [randomBytes(32).toString('base64')];
        const other = await start({
          sources: { mode: 'registry', seals: { database: sealWith(keys), api: seals.api } },
        });
        const { body } = await ask(other, 'GET', `/sources/${id}`, undefined, TOKEN);
        expect(body).toMatchObject({ id, status: 'unreadable', displayName: 'Orders of shop 7' });
        expect(body['problem']).toContain('another key');
      });
    });

    describe('how a source is', () => {
      test('active once a replicator leads and every shard has an owner; before that, what is missing', async () => {
        const id = await declared();
        const shown = async () => (await at('GET', `/sources/${id}`)).body;
        await put(BUCKETS.conditions, `${id}.replicator-r1`, {
          role: 'replicator',
          conditions: {
            pg_lock_acquired: {
              ok: false,
              since: '2026-01-01T00:00:00Z',
              error: 'no pg_hba.conf entry',
              errorSince: 'x',
            },
          },
        });
        await waitFor(async () => String((await shown())['problem']).includes('no pg_hba.conf entry'));
        await setUp(id);
        await waitFor(async () => (await shown())['status'] === 'active');
        expect(await shown()).toMatchObject({
          leader: 'replicator-1',
          incarnation: 1,
          routers: 1,
          unownedShards: 0,
          conditions: { pg_lock_acquired: { ok: true } },
          shards: [
            { shard: 0, router: 'router-1' },
            { shard: 1, router: 'router-1' },
          ],
        });
        await put<RouterRecord>(BUCKETS.routers, `${id}.router-1`, { id: 'router-1', owned: [1] });
        await waitFor(async () => (await shown())['problem'] === '1 of 2 shards have no owner.');
        await put<RouterRecord>(BUCKETS.routers, `${id}.router-1`, { id: 'router-1', owned: [0, 1] });
        await put<ProcessRecord>(BUCKETS.processes, processKey('router-1'), { v: 1, id: 'router-1', leaving: true });
        await waitFor(async () => (await shown())['problem'] === 'No router is there for the source.');
        await put<ProcessRecord>(BUCKETS.processes, processKey('router-1'), { v: 1, id: 'router-1' });
        const guard: GuardRecord = {
          ...{ stage: 'exceeded', shedding: true, reason: 'The slot was dropped.' },
          stale: { incarnation: 1, since: 5 },
        };
        await put<GuardRecord>(BUCKETS.guards, id, guard);
        await waitFor(async () => (await shown())['status'] === 'stale');
        expect(await shown()).toMatchObject({ problem: 'The slot was dropped.', walGuard: { stage: 'exceeded' } });
        await put(BUCKETS.guards, id, { stage: 'ok', shedding: false, reason: '' });
        await put(BUCKETS.sleeps, id, { state: 'asleep', since: 1, holder: 'x' });
        await waitFor(async () => (await shown())['status'] === 'asleep');
      });

      test('shows the sums of what its processes use, rates, a history, and quotas with what was refused', async () => {
        const id = await declared();
        let requests = 0;
        await reports('api', (reporter) =>
          reporter.add(id, () => ({
            counters: { requests: (requests += 20) },
            gauges: { parked: 3 },
            quotas: {
              requestsPerSecond: { used: 10, limit: 50, refused: 2 },
              parkedReaders: { used: 3, limit: 9, refused: 0 },
            },
          })),
        );
        await reports('api', (reporter) =>
          reporter.add(id, () => ({
            gauges: { parked: 4 },
            quotas: { requestsPerSecond: { used: 5, limit: 50, refused: 1 } },
          })),
        );
        await waitFor(async () => {
          const { rates = {} } = (await at('GET', `/sources/${id}/usage`)).body as { rates?: { requests?: number } };
          return (rates.requests ?? 0) > 0;
        });
        const { body } = await at('GET', `/sources/${id}`);
        expect(body).toMatchObject({ usage: { usage: { gauges: { parked: 7 } }, processes: 2 } });
        expect(body['quotas']).toEqual([
          { axis: 'requestsPerSecond', limit: 100, used: 15, refused: 3 },
          { axis: 'redisBytes', limit: 1_048_576, refused: 0 },
          { axis: 'parkedReaders', limit: 9, used: 3, refused: 0 },
        ]);
        expect(body['processes']).toHaveLength(2);
        const { history } = (await at('GET', `/sources/${id}/usage`)).body as {
          history: { series: Record<string, number[]> };
        };
        expect(history.series['parked']?.at(-1)).toBe(7);
      });

      test('events of sources come as they happen, and are kept for a while', async () => {
        const [id, other] = [await declared(), await declared()];
        const rotated = {
          event: 'shape_rotated',
          source: id,
          at: new Date().toISOString(),
          handle: '1-2',
          reason: 'why',
        };
        const ready = { event: 'ready', source: id, at: new Date().toISOString(), text: 'replicator leads the source' };
        const events = await readEvents(admin, `?source=${id}`, TOKEN, async (seen) => {
          const { hints } = given_.messaging;
          for (const event of [{ ...ready, source: other }, rotated, ready]) {
            hints.publish(eventsSubject(event.source), Buffer.from(JSON.stringify(event)));
          }
          hints.publish(eventsSubject(id), Buffer.from('not JSON'));
          await waitFor(() => seen.filter(({ event }) => event === 'state').length === 2);
          await waitFor(() => seen.some(({ event }) => event === 'usage'));
        });
        expect(events.filter(({ event }) => event === 'state').map(({ data }) => data)).toEqual([rotated, ready]);
        const { body } = await at('GET', `/sources/${id}/rotations`);
        expect(body).toMatchObject({ rotations: [rotated], events: [ready] });
      });
    });

    describe('shapes', () => {
      test('are listed with bytes, readers and how they are found, without the constants of their clauses', async () => {
        const id = await declared();
        await setUp(id);
        await put(BUCKETS.tables, tableKey(id, 'public', 'notes'), NOTES);
        const whole = await liveShape(given_.store, id, '', 10);
        const mine = await liveShape(given_.store, id, `"owner" = 'hunter2''s'::text`, 5_000);
        const scanned = await liveShape(given_.store, id, `"id"::text < "body" COLLATE "C"`, 100).catch(() => '');
        await given_.store.recordReads(
          { source: id, incarnation: 1, shard: 0 },
          [{ handle: whole, agoMs: 5, waiting: true }],
          1,
        );
        await reports('api', (reporter) =>
          reporter.add(id, () => ({ gauges: { parked: 5 } }), { readers: () => [[whole, 5]] }),
        );
        await reports('api', (reporter) =>
          reporter.add(id, () => ({ gauges: { parked: 2 } }), { readers: () => [[whole, 2]] }),
        );
        await waitFor(async () => {
          const { body } = await at('GET', `/sources/${id}/usage`);
          return body['processes'] === 2;
        });
        const list = await at('GET', `/sources/${id}/shapes`);
        const shapes = list.body['shapes'] as Record<string, unknown>[];
        expect(shapes[0]).toMatchObject({
          handle: mine,
          table: 'public.notes',
          where: '"owner" = ?::text',
          indexKind: 'equality',
        });
        expect(list.text).not.toContain('hunter2');
        const byReaders = (await at('GET', `/sources/${id}/shapes?sort=readers`)).body['shapes'] as typeof shapes;
        expect(byReaders[0]).toMatchObject({ handle: whole, readers: 7, indexKind: 'all', state: 'live' });
        expect(byReaders[0]).not.toHaveProperty('where');
        const byRead = (await at('GET', `/sources/${id}/shapes?sort=lastRead&limit=1`)).body;
        expect(byRead).toMatchObject({ shapes: [{ handle: whole }], next: 1 });
        expect(byRead['total']).toBe(scanned === '' ? 2 : 3);
        const rest = (await at('GET', `/sources/${id}/shapes?sort=lastRead&offset=1`)).body;
        expect(rest).not.toHaveProperty('next');
        expect((rest['shapes'] as typeof shapes).map(({ handle }) => handle)).not.toContain(whole);
        const wrong = await at('GET', `/sources/${id}/shapes?sort=colour&limit=many&page=2`);
        expect((wrong.body.problems ?? []).map((problem) => problem.split(':')[0])).toEqual(['sort', 'limit', 'page']);
      });

      test('are inspected and deleted, which ends them for all of their readers', async () => {
        const id = await declared();
        await setUp(id);
        await put(BUCKETS.tables, tableKey(id, 'public', 'notes'), NOTES);
        const handle = await liveShape(given_.store, id, `"owner" = 'hunter2'::text`, 500);
        const { body, text } = await at('GET', `/sources/${id}/shapes/${handle}`);
        expect(body).toMatchObject({
          ...{ handle, state: 'live', indexKind: 'equality', waiting: false, logChunks: 0, snapshotChunks: 1 },
          ...{ snapshotComplete: true, tail: '0_inf', watermark: '0/0', snapshotBytes: 502 },
          definition: { table: 'notes', columns: ['body', 'id', 'owner'], where: '"owner" = ?::text' },
        });
        expect(text).not.toContain('hunter2');
        expect((await at('GET', `/sources/${id}/shapes/1-2`)).body.code).toBe('shape_not_found');
        expect((await at('DELETE', `/sources/${id}/shapes/${handle}`)).body).toEqual({ deleted: handle });
        expect((await at('DELETE', `/sources/${id}/shapes/${handle}`)).status).toBe(404);
        expect((await given_.store.readHead({ source: id, incarnation: 1, shard: 0 }, handle))?.state).toBe('dead');
        const { journal } = (await at('GET', `/sources/${id}/rotations`)).body as { journal: unknown[] };
        expect(journal).toEqual([
          { code: 'SCHEMA_CHANGED', reason: 'The shape was deleted by an operator.', shapes: 1, handles: [handle] },
        ]);
        expect((await at('GET', `/sources/${id}/shapes`)).body).toMatchObject({ total: 0 });
        expect((await at('GET', `/sources/${id}/shapes?state=dead`)).body).toMatchObject({ total: 1 });
      });

      test('of a process without Redis cannot be seen, and that is said', async () => {
        const id = await declared();
        const other = await start({ store: undefined });
        const { status, body } = await ask(other, 'GET', `/sources/${id}/shapes`, undefined, TOKEN);
        expect([status, body.code]).toEqual([503, 'store_unavailable']);
        expect((await ask(other, 'GET', '', undefined, TOKEN)).text).toContain('SHAPECAST_REDIS_URL');
      });

      test('a clause is explained: how it is found, by which columns, and what it costs', async () => {
        const id = await declared();
        const stop = given_.messaging.rpc.serve(introspectSubject(id), async (question) =>
          (question as { table?: unknown }).table === 'notes' ? NOTES : null,
        );
        const explained = (body: unknown) => at('POST', `/sources/${id}/explain`, body);
        const equality = await explained({ table: 'notes', where: 'owner = $1 AND id > 3', params: { 1: 'hunter2' } });
        expect(equality.body).toMatchObject({
          ...{ table: 'public.notes', kind: 'equality', lookups: ['equality of owner'], scanned: false },
          ...{ columns: ['id', 'owner'], pinned: ['owner'] },
        });
        expect(equality.text).not.toContain('hunter2');
        expect((await explained({ table: 'notes', where: 'owner <> body' })).body).toMatchObject({
          ...{ kind: 'scan', scanned: true, cost: 1, pinned: [] },
        });
        expect((await explained({ table: 'notes' })).body).toMatchObject({ kind: 'all' });
        expect((await explained({ table: 'notes', where: 'colour = 1' })).body.problems?.[0]).toMatch(/^where: /);
        expect((await explained({ table: 'nothing' })).body.problems?.[0]).toMatch(/^table: .*does not exist/);
        expect((await explained({ where: 'x' })).body.problems).toEqual(['table: is required']);
        stop();
        await put(BUCKETS.tables, tableKey(id, 'public', 'notes'), NOTES);
        expect((await explained({ table: 'notes', where: 'id = 3' })).body).toMatchObject({ kind: 'equality' });
        expect((await explained({ table: 'nothing' })).status).toBe(503);
      });

      test('slow clauses are those of all routers together, the costliest first', async () => {
        const id = await declared();
        const report = (evaluations: number) => ({
          tables: [
            {
              ...{ table: 'public.notes', shapes: 3, byKind: { scan: 2, equality: 1 } },
              scanned: { shapes: 2, clauses: 2 },
              topTemplates: [
                { text: '(owner = $1)', shapes: 1, kind: 'equality', evaluations: 1 },
                { text: '(owner <> body)', shapes: 2, kind: 'scan', evaluations },
              ],
            },
          ],
        });
        for (const count of [10, 30]) {
          await reports('router', (reporter) =>
            reporter.add(id, () => ({ gauges: { shapes: 3 } }), { matching: () => report(count) }),
          );
        }
        await waitFor(async () => (await at('GET', `/sources/${id}/usage`)).body['processes'] === 2);
        expect((await at('GET', `/sources/${id}/clauses`)).body['tables']).toEqual([
          {
            ...{ table: 'public.notes', shapes: 6, byKind: { scan: 4, equality: 2 } },
            scanned: { shapes: 4, clauses: 4 },
            clauses: [
              { text: '(owner <> body)', shapes: 4, kind: 'scan', evaluations: 40 },
              { text: '(owner = $1)', shapes: 2, kind: 'equality', evaluations: 2 },
            ],
          },
        ]);
      });
    });

    test('what is wrong with the sources file is told to whoever looks', async () => {
      const other = await start({ fileProblems: () => ['sources.acme.secrets: is required'] });
      expect((await ask(other, 'GET', '', undefined, TOKEN)).body.problems).toEqual([
        'The sources file is not taken: sources.acme.secrets: is required.',
      ]);
    });

    describe('bad input', () => {
      test('is answered clearly, and without what it was', async () => {
        const id = freshId();
        const raw = (body: string, type = 'application/json') =>
          ask(admin, 'PUT', `/sources/${id}`, undefined, TOKEN, { body, headers: { 'content-type': type } });
        expect((await raw('x'.repeat(300_000))).body).toMatchObject({ code: 'too_large' });
        expect((await raw('{"a": hunter2')).body).toMatchObject({ code: 'invalid', problems: ['body: is not JSON'] });
        expect((await raw('[1]')).body).toMatchObject({ code: 'invalid', problems: ['body: expected an object'] });
        expect((await raw('a=1', 'application/x-www-form-urlencoded')).status).toBe(415);
        expect((await raw('{}', 'text/plain')).status).toBe(415);
        expect((await raw('"a"')).status).toBe(400);
        expect((await raw('{"__proto__":{"displayName":"x"}}')).status).toBe(400);
        const wrongMethod = await at('PATCH', '/sources');
        expect([wrongMethod.status, wrongMethod.headers.get('allow')]).toEqual([405, 'GET']);
        expect((await at('GET', '/other')).body).toMatchObject({ code: 'not_found' });
        expect((await at('GET', '/SOURCES')).status).toBe(404);
      });
    });

    describe('while NATS was not reached', () => {
      test('says that, and goes on once it is there', async () => {
        let reached = false;
        const other = await start({ messaging: () => (reached ? given_.messaging : undefined) });
        const overview = (await ask(other, 'GET', '', undefined, TOKEN)).body;
        expect(overview).toMatchObject({ nats: false });
        expect(overview.problems?.[0]).toContain('NATS is not connected');
        const { status, body } = await ask(other, 'GET', '/sources', undefined, TOKEN);
        expect([status, body.code]).toEqual([503, 'nats_unavailable']);
        reached = true;
        await waitFor(async () => (await ask(other, 'GET', '/sources', undefined, TOKEN)).status === 200);
        expect((await ask(other, 'GET', '', undefined, TOKEN)).body).toMatchObject({ nats: true });
      });
    });
  });
}
