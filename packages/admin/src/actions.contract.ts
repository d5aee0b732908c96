import {
  BUCKETS,
  newIncarnationSubject,
  processKey,
  releaseLeadershipSubject,
  ShardPins,
  subsetSubject,
  type Messaging,
  type ProcessRecord,
  type RouterRecord,
  type SubsetMetadata,
  type SubsetQuery,
} from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { liveShape, shapeOf, write } from './testing/shapes.ts';
import { openSourceWorld, type SourceWorld } from './testing/source-world.ts';

interface Parts {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  close(): Promise<void>;
}

const CLOCK_AND_LOG = { clock: systemClock, log: silentLogger };

/** What an operator does to a running source, over whatever messaging and store there are. */
export function describeActions(name: string, open: () => Promise<Parts>): void {
  describe(`actions of the admin API over ${name}`, () => {
    let parts: Parts;
    const stops: (() => void | Promise<void>)[] = [];

    beforeAll(async () => {
      parts = await open();
    });
    afterEach(async () => {
      for (const stop of stops.splice(0).reverse()) await stop();
    });
    afterAll(() => parts.close());

    async function world(shards = 2): Promise<SourceWorld> {
      const one = await openSourceWorld(parts, shards);
      stops.push(() => one.stop());
      return one;
    }

    const stateOf = async (source: string, handle: string, shard = 0) =>
      (await parts.store.readHead({ source, incarnation: 1, shard }, handle))?.state;

    describe('rotation', () => {
      test('of a shape ends it, with the reason in the journal and a line in the log', async () => {
        const { id, at, lines } = await world();
        const handle = await liveShape(parts.store, id, '', 10);
        const path = `/sources/${id}/shapes/${handle}/rotate`;
        expect((await at('POST', path, {})).body.problems).toEqual(['reason: is required']);
        expect((await at('POST', path, { reason: 'a\nb', colour: 1 })).body.problems).toEqual([
          'reason: expected one line',
          'colour: is no field of a rotation',
        ]);
        expect((await at('POST', path, { reason: 'x'.repeat(201) })).status).toBe(400);
        expect(await stateOf(id, handle)).toBe('live');
        const answer = await at('POST', path, { reason: 'rows were repaired by hand' });
        expect([answer.status, answer.body]).toEqual([200, { rotated: handle }]);
        expect(await stateOf(id, handle)).toBe('dead');
        expect((await at('POST', path, { reason: 'again' })).body.code).toBe('shape_not_found');
        const { journal } = (await at('GET', `/sources/${id}/rotations`)).body as { journal: { reason: string }[] };
        expect(journal.map(({ reason }) => reason)).toEqual([
          'An operator rotated the shape: rows were repaired by hand',
        ]);
        const told = lines.find(({ message }) => message === 'source acted on through the admin API');
        expect(told?.fields).toMatchObject({
          source: id,
          action: 'rotate',
          handle,
          reason: 'rows were repaired by hand',
        });
        expect((await at('GET', path)).status).toBe(405);
      });

      test('of a table ends its shapes in every shard, and no other', async () => {
        const { id, at } = await world();
        const notes = await Promise.all(
          Array.from({ length: 120 }, (_, n) =>
            shapeOf(parts.store, { source: id, shard: n % 2 }, { where: `"id" = ${n}` }, '""'),
          ),
        );
        const other = await shapeOf(parts.store, { source: id, shard: 1 }, { table: 'others' }, '""');
        expect((await at('POST', `/sources/${id}/rotate`, { reason: 'r', table: 'notes' })).body.problems).toEqual([
          'table: expected schema.table',
        ]);
        const begun = await at('POST', `/sources/${id}/rotate`, { reason: 'wrong rows', table: 'public.notes' });
        expect(begun).toMatchObject({ status: 202, body: { rotation: { state: 'running', table: 'public.notes' } } });
        await waitFor(async () => (await newest(at, id))['state'] === 'done');
        expect(await newest(at, id)).toMatchObject({
          ...{ reason: 'wrong rows', table: 'public.notes', shapes: 120, rotated: 120, shards: { done: 2, of: 2 } },
        });
        for (const [n, handle] of notes.entries()) expect(await stateOf(id, handle, n % 2)).toBe('dead');
        expect(await stateOf(id, other, 1)).toBe('live');
        expect((await at('GET', `/sources/${id}/shapes`)).body).toMatchObject({ total: 1 });
      });

      test('of a source asks for its id once more, and one runs at a time', async () => {
        const { id, at } = await world();
        const handles = await Promise.all(
          Array.from({ length: 130 }, (_, n) =>
            shapeOf(parts.store, { source: id, shard: 0 }, { where: `"id" = ${n}` }, '""'),
          ),
        );
        const path = `/sources/${id}/rotate`;
        expect((await at('POST', path, { reason: 'all of it' })).body.code).toBe('confirmation_required');
        expect((await at('POST', `${path}?confirm=${id}x`, { reason: 'all of it' })).status).toBe(400);
        const [first, second] = await Promise.all([
          at('POST', `${path}?confirm=${id}`, { reason: 'all of it' }),
          at('POST', `${path}?confirm=${id}`, { reason: 'all of it' }),
        ]);
        expect([first.status, second.status].toSorted()).toEqual([202, 409]);
        await waitFor(async () => (await newest(at, id))['state'] === 'done');
        for (const handle of handles) expect(await stateOf(id, handle)).toBe('dead');
        await at('POST', `${path}?confirm=${id}`, { reason: 'nothing is left' });
        await waitFor(async () => (await newest(at, id))['rotated'] === 0);
        const { rotations } = (await at('GET', path)).body as { rotations: unknown[] };
        expect(rotations).toHaveLength(2);
      });

      test('of what is not there is refused', async () => {
        const { id, at } = await world();
        expect((await at('POST', '/sources/nobody/rotate?confirm=nobody', { reason: 'r' })).status).toBe(404);
        expect((await at('POST', `/sources/${id}/shapes/1-2/rotate`, { reason: 'r' })).body.code).toBe(
          'shape_not_found',
        );
      });

      async function newest(at: SourceWorld['at'], id: string): Promise<Record<string, unknown>> {
        const { rotations } = (await at('GET', `/sources/${id}/rotate`)).body as {
          rotations: Record<string, unknown>[];
        };
        return rotations[0] ?? {};
      }
    });

    describe('a consistency check', () => {
      const row = (id: number, body: string | null, operation = 'insert') => ({
        key: `"public"."notes"/"${id}"`,
        value: { id: String(id), body, owner: 'hunter2' },
        headers: { operation },
      });
      const change = (lsn: bigint, xid: bigint, message: Pick<ReturnType<typeof row>, 'key' | 'headers'>) => ({
        ...{ lsn, xid },
        message: {
          ...message,
          headers: { ...message.headers, txids: [Number(xid)], lsn: String(lsn), op_position: 0 },
        },
      });
      const METADATA: SubsetMetadata = {
        ...{ xmin: '90', xmax: '100', xip_list: ['95'], database_lsn: '5000', snapshot_mark: 1 },
      };

      /** Answers as a router would, with these rows. */
      function database(source: string, rows: readonly object[], asked: SubsetQuery[] = []): void {
        const stop = parts.messaging.rpc.serveStream(subsetSubject(source), async function* (query) {
          asked.push(query as SubsetQuery);
          yield Buffer.from(JSON.stringify(METADATA));
          for (const one of rows) yield Buffer.from(JSON.stringify(one));
        });
        stops.push(stop);
      }

      /** Rows 1, 2 and 3, of which 1 is changed, 2 deleted, and 4 comes; 5 is of a transaction that the snapshot does not show. */
      async function shapeWithLog(source: string): Promise<string> {
        const place = { source, shard: 1 };
        const snapshot = [row(1, 'a'), row(2, 'b'), row(3, 'c'), { headers: { control: 'snapshot-end' } }];
        const about = { where: `"owner" = 'hunter2'` };
        const handle = await shapeOf(parts.store, place, about, snapshot.map((one) => JSON.stringify(one)).join(','));
        const changed = { ...row(1, 'changed', 'update'), value: { id: '1', body: 'changed' } };
        await write(
          parts.store,
          place,
          handle,
          [
            change(1_000n, 91n, changed),
            change(1_100n, 92n, row(2, 'b', 'delete')),
            change(1_200n, 93n, row(4, null)),
            change(1_300n, 95n, row(5, 'of a transaction that was open')),
            change(6_000n, 99n, row(3, 'after the snapshot', 'update')),
          ],
          6_000n,
        );
        return handle;
      }

      test('finds a shape that is as the database says, at what one snapshot shows', async () => {
        const { id, at } = await world();
        const handle = await shapeWithLog(id);
        const asked: SubsetQuery[] = [];
        database(id, [row(1, 'changed'), row(3, 'c'), row(4, null)], asked);
        const { status, body } = await at('POST', `/sources/${id}/shapes/${handle}/check`);
        expect([status, body]).toEqual([
          200,
          {
            ...{ handle, consistent: true, snapshot: { lsn: '0/1388', xmin: '90', xmax: '100', running: 1 } },
            ...{ rows: { database: 3, log: 3 }, differences: { missing: 0, extra: 0, changed: 0 }, keys: [] },
          },
        ]);
        expect(asked).toMatchObject([
          { table: 'notes', shapeWhere: `"owner" = 'hunter2'`, subsetWhere: '', orderBy: [] },
        ]);
      });

      test('tells what differs by key, and values nowhere', async () => {
        const { id, at, lines } = await world();
        const handle = await shapeWithLog(id);
        database(id, [row(1, 'another'), row(2, 'b'), row(3, 'c')]);
        const { body, text } = await at('POST', `/sources/${id}/shapes/${handle}/check`);
        expect(body).toMatchObject({
          ...{ consistent: false, rows: { database: 3, log: 3 }, differences: { missing: 1, extra: 1, changed: 1 } },
          keys: [
            { key: '"public"."notes"/"1"', kind: 'changed', columns: ['body'] },
            { key: '"public"."notes"/"2"', kind: 'missing' },
            { key: '"public"."notes"/"4"', kind: 'extra' },
          ],
        });
        expect(text).not.toMatch(/hunter2|another/);
        expect(JSON.stringify(lines)).not.toMatch(/hunter2|another|\/\\+"1/);
        const warned = lines.find(({ fields }) => fields['type'] === 'shape_inconsistent');
        expect(warned?.fields['message']).toContain('1 rows are missing, 1 too many, 1 different');
      });

      test('waits until the shard has come to what the snapshot shows', async () => {
        const { id, at } = await world();
        const place = { source: id, shard: 0 };
        const handle = await shapeOf(parts.store, place, {}, JSON.stringify(row(1, 'a')));
        database(id, [row(1, 'a'), row(2, 'b')]);
        const checking = at('POST', `/sources/${id}/shapes/${handle}/check`);
        await write(parts.store, place, handle, [change(4_000n, 91n, row(2, 'b'))], 4_999n);
        expect((await checking).body).toMatchObject({ consistent: true, rows: { database: 2, log: 2 } });
      });

      test('is refused for a shape that is not there, has only changes, or that no router can look at', async () => {
        const { id, at } = await world();
        const check = (handle: string) => at('POST', `/sources/${id}/shapes/${handle}/check`);
        expect((await check('1-2')).body.code).toBe('shape_not_found');
        const changes = await shapeOf(parts.store, { source: id, shard: 0 }, { log: 'changes_only' }, '""');
        expect((await check(changes)).body).toMatchObject({ code: 'not_checkable' });
        const handle = await liveShape(parts.store, id, '', 10);
        expect((await check(handle)).status).toBe(503);
      });
    });

    describe('the leader of a source', () => {
      const LEADER = { holder: 'replicator-1', incarnation: 1, epoch: 7 };

      test('gives the leadership up when it is asked to', async () => {
        const { id, at, lines } = await world();
        expect((await at('POST', `/sources/${id}/release`)).body.code).toBe('no_leader');
        stops.push(parts.messaging.rpc.serve(releaseLeadershipSubject(id), async () => LEADER));
        const { status, body } = await at('POST', `/sources/${id}/release`);
        expect([status, body]).toEqual([202, { released: LEADER }]);
        expect(lines.find(({ fields }) => fields['action'] === 'release')?.fields).toMatchObject({
          source: id,
          ...LEADER,
        });
        expect((await at('POST', '/sources/nobody/release')).body.code).toBe('source_not_found');
      });

      test('begins a new incarnation for a reason, when the id of the source is given once more', async () => {
        const { id, at } = await world();
        const asked: unknown[] = [];
        const stop = parts.messaging.rpc.serve(newIncarnationSubject(id), async (request) => {
          asked.push(request);
          return LEADER;
        });
        stops.push(stop);
        const path = `/sources/${id}/new-incarnation`;
        expect((await at('POST', `${path}?confirm=${id}`, {})).body.problems).toEqual(['reason: is required']);
        expect((await at('POST', path, { reason: 'a restore' })).body.code).toBe('confirmation_required');
        expect(asked).toEqual([]);
        const { status, body } = await at('POST', `${path}?confirm=${id}`, { reason: 'a restore' });
        expect([status, body]).toEqual([202, { ended: LEADER }]);
        expect(asked).toEqual([{ incarnation: 1 }]);
      });
    });

    describe('shards', () => {
      /** Two routers that live, one of which is leaving. */
      async function routers(id: string): Promise<void> {
        const { registries } = parts.messaging;
        const records = await registries.open<RouterRecord>(BUCKETS.routers.name, { ttlMs: BUCKETS.routers.ttlMs });
        const processes = await registries.open<ProcessRecord>(BUCKETS.processes.name, {
          ttlMs: BUCKETS.processes.ttlMs,
        });
        await records.put(`${id}.router-1`, { id: 'router-1', owned: [0, 1] });
        await records.put(`${id}.router-2`, { id: 'router-2', owned: [], reluctant: 'store' });
        await records.put(`${id}.router-3`, { id: 'router-3', owned: [] });
        for (const name of ['router-1', 'router-2', 'router-3']) {
          const put = () => processes.put(processKey(name), { v: 1, id: name });
          await put();
          const beat = setInterval(() => void put(), 1_000);
          stops.push(() => clearInterval(beat));
        }
      }

      test('are listed with owner, lag and shapes, and moved to another router and back', async () => {
        const { id, at, lines } = await world();
        await routers(id);
        await shapeOf(parts.store, { source: id, shard: 1 }, {}, '""');
        const listed = async () => (await at('GET', `/sources/${id}/shards`)).body;
        await waitFor(async () => ((await listed())['routers'] as unknown[]).length === 3);
        expect(await listed()).toMatchObject({
          shards: [
            { shard: 0, router: 'router-1', shapes: 0 },
            { shard: 1, router: 'router-1', shapes: 1, seq: 0, watermark: '0/0' },
          ],
          routers: [
            { id: 'router-1', owned: 2 },
            { id: 'router-2', owned: 0, reluctant: 'store' },
            { id: 'router-3', owned: 0 },
          ],
        });
        const pins = new ShardPins({ registries: parts.messaging.registries, ...CLOCK_AND_LOG }, id);
        const moved = await at('POST', `/sources/${id}/shards/1/move`, { to: 'router-3' });
        expect([moved.status, moved.body]).toEqual([202, { shard: 1, to: 'router-3' }]);
        expect(await pins.read()).toEqual(new Map([[1, 'router-3']]));
        expect(await listed()).toMatchObject({ shards: [{ shard: 0 }, { shard: 1, pinned: 'router-3' }] });
        expect((await at('POST', `/sources/${id}/shards/1/move`, { to: null })).status).toBe(202);
        expect(await pins.read()).toEqual(new Map());
        expect(lines.filter(({ fields }) => fields['action'] === 'move')).toHaveLength(2);
      });

      test('are not moved where there is no such shard or no such router, or where it is to have none', async () => {
        const { id, at } = await world();
        await routers(id);
        await waitFor(
          async () => ((await at('GET', `/sources/${id}/shards`)).body['routers'] as unknown[]).length === 3,
        );
        const move = (shard: string, body: unknown) => at('POST', `/sources/${id}/shards/${shard}/move`, body);
        for (const shard of ['2', '-1', 'x']) {
          expect((await move(shard, { to: 'router-3' })).body.code).toBe('shard_not_found');
        }
        expect((await move('0', { to: 'router-9' })).body.problems).toEqual([
          'to: is no router of the source that lives',
        ]);
        expect((await move('0', { to: 'router-2' })).body.problems?.[0]).toContain('(store)');
        expect((await move('0', {})).body.problems).toEqual(['to: expected the id of a router, or null']);
      });
    });
  });
}
