import { FetchError, type ExternalParamsRecord, type ShapeStreamOptions } from '@electric-sql/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { canonicalRows, selectText } from '../support/rows.ts';
import { connect, inTransaction, startClientCluster, type ClientCluster } from './support/client-cluster.ts';
import { collectWarnings } from './support/electric-warnings.ts';
import { readInNewProcess } from './support/new-process.ts';
import { RandomWriter } from './support/random-writer.ts';
import { WatchedShape } from './support/watched-shape.ts';

const SECRET = 's3cr3t';
const TRANSACTIONS = 300;

/** @electric-sql/client as npm delivers it (spec H 24.1). The service asks for a secret, as in production. */
describe('the TypeScript client', () => {
  let service: ClientCluster;
  let warnings: readonly string[];

  beforeAll(async () => {
    warnings = collectWarnings();
    service = await startClientCluster(
      `create table todos (id int primary key, title text, done bool not null default false, big int8);
       insert into todos select i, 'todo ' || i, i % 2 = 0, i from generate_series(1, 20) i;
       ${RandomWriter.ddl('polled')} ${RandomWriter.ddl('streamed')}
       create table wide (id int primary key, body text not null);
       insert into wide select i, repeat(md5(i::text), 20) from generate_series(1, 500) i;
       create table stored (id int primary key, v text);
       insert into stored values (1, 'a'), (2, 'b'), (3, 'c');
       create table rotated (id int primary key, v text);
       insert into rotated values (1, 'a'), (2, 'b');
       create table locked (id int primary key, v text);
       insert into locked values (1, 'a');`,
      {
        env: {
          ELECTRIC_SECRET: SECRET,
          // So that 503 can be had; all others fit, one after the other.
          ELECTRIC_MAX_CONCURRENT_REQUESTS: '{"initial":2}',
          // Several chunks in one snapshot: the client prefetches them (CL-5).
          ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD: '20000',
        },
      },
    );
  });
  afterAll(async () => {
    await service.stop();
    vi.restoreAllMocks();
  });

  function options(params: ExternalParamsRecord, more: Partial<ShapeStreamOptions> = {}): ShapeStreamOptions {
    return { url: service.shapeUrl, params: { secret: SECRET, ...params }, signal: service.signal, ...more };
  }

  /** One api, past the load balancer. */
  function apiUrl(n: number): string {
    return `${service.cluster.process(`api-${n}`).url}/v1/shape`;
  }

  function todos(where = ''): Promise<string[]> {
    return selectText(service.db, 'todos', ['id', 'title', 'done', 'big'], where);
  }

  describe.each([
    { name: 'C261 long polling', table: 'polled', liveSse: false },
    { name: 'C262 server-sent events', table: 'streamed', liveSse: true },
  ])('$name', ({ table, liveSse }) => {
    test('18.2.10 at each up-to-date it holds what the table held after some transaction, none older than before', async () => {
      const writer = new RandomWriter(await connect(service.cluster.databaseUrl), table, 261);
      await writer.start();
      const seen: { readonly n: number; readonly rows: readonly string[] }[] = [];
      const watched = new WatchedShape(options({ table }, { liveSse }), (rows) => {
        const counter = rows.find((row) => row['id'] === 0);
        seen.push({ n: Number(counter?.['n']), rows: canonicalRows(rows) });
      });
      await watched.upToDate();
      for (let i = 0; i < TRANSACTIONS; i += 1) await writer.write();
      await waitFor(() => seen.at(-1)?.n === writer.count, { describe: () => [seen.at(-1), writer.count] });

      for (const state of seen) expect(state.rows).toEqual(writer.states[state.n]);
      expect(seen.map((state) => state.n)).toEqual(seen.map((state) => state.n).toSorted((a, b) => a - b));
      expect(seen.length).toBeGreaterThan(3);
      expect(watched.count('must-refetch')).toBe(0);
      const live = watched.requests.filter(({ url }) => url.searchParams.get('live') === 'true');
      const types = new Set(live.map(({ headers }) => headers.get('content-type')?.split(';')[0]));
      expect([...types]).toEqual([liveSse ? 'text/event-stream' : 'application/json']);
      expect(warnings).toEqual([]);
      watched.stop();
    });
  });

  test('reads a snapshot of many chunks, prefetching, without asking twice', async () => {
    const watched = new WatchedShape(options({ table: 'wide' }));
    await watched.upToDate();
    await watched.holds(() => selectText(service.db, 'wide', ['id', 'body'], ''));
    const catchingUp = watched.requests.filter(({ url }) => !url.searchParams.has('live'));
    expect(catchingUp.length).toBeGreaterThan(5);
    expect(new Set(catchingUp.map(({ url }) => url.search)).size).toBe(catchingUp.length);
    watched.stop();
  });

  test('selects columns, rows by parameters and full replicas in its own spelling', async () => {
    const watched = new WatchedShape(
      options({
        table: 'todos',
        columns: ['id', 'title'],
        where: 'id = $1 OR title = $2',
        params: ['3', 'todo 4'],
        replica: 'full',
        tenant: 'a parameter of the application',
      }),
    );
    await watched.upToDate();
    expect(canonicalRows(watched.rows)).toEqual(await selectText(service.db, 'todos', ['id', 'title'], 'id in (3, 4)'));
    await service.db.query(`update todos set title = 'three' where id = 3`);
    const update = await waitFor(() => watched.messages.find(({ headers }) => headers['operation'] === 'update'));
    expect(update).toMatchObject({ value: { id: 3, title: 'three' }, old_value: { title: 'todo 3' } });
    expect(watched.requests[0]?.url.searchParams.get('columns')).toBe('"id","title"');
    watched.stop();
  });

  test('in changes_only mode it hears of changes and of no row from before', async () => {
    const watched = new WatchedShape(options({ table: 'todos', where: 'id > 1' }, { log: 'changes_only' }));
    await watched.upToDate();
    expect(watched.messages.filter((message) => 'key' in message)).toEqual([]);
    await service.db.query(`insert into todos values (300, 'new', true, 1)`);
    await service.db.query(`update todos set title = 'newer' where id = 300`);
    await service.db.query(`update todos set title = 'not followed' where id = 7`);
    await watched.holds(() => todos('id = 300'));
    expect(warnings).toEqual([]);
    watched.stop();
  });

  test('starts at the tail with offset=now', async () => {
    const watched = new WatchedShape(options({ table: 'todos', where: 'id > 2' }, { offset: 'now' }));
    await watched.upToDate();
    expect(watched.rows).toEqual([]);
    await service.db.query(`insert into todos values (301, 'after now', true, 2)`);
    await watched.holds(() => todos('id = 301'));
    watched.stop();
  });

  test('C270 a transaction id that the application got from Postgres arrives in the stream', async () => {
    const watched = new WatchedShape(options({ table: 'todos', where: 'id > 4' }));
    await watched.upToDate();
    const txid = await inTransaction(service.db, (db) => db.query(`update todos set done = not done where id = 11`));
    const arrived = () => watched.messages.some(({ headers }) => (headers['txids'] as number[])?.includes(txid));
    await waitFor(arrived, { describe: () => [txid, watched.messages.at(-2)] });
    const change = watched.messages.find(({ headers }) => headers['operation'] === 'update');
    expect(change?.headers['txids']).toEqual([txid]);
    watched.stop();
  });

  describe('errors', () => {
    test('CL-14 the 400 of a clause that does not parse, word for word', async () => {
      const watched = new WatchedShape(options({ table: 'todos', where: '1 x 1' }));
      const error = (await waitFor(() => watched.stream.error)) as FetchError;
      expect(error).toBeInstanceOf(FetchError);
      expect({ status: error.status, json: error.json }).toEqual({
        status: 400,
        json: {
          message: 'Invalid request',
          errors: { where: ['At location 17: syntax error at or near "x"'] },
        },
      });
      expect(watched.requests.length).toBe(1);
    });

    test('onError repairs the parameters after a 400', async () => {
      const errors: FetchError[] = [];
      const onError = (error: Error) => {
        errors.push(error as FetchError);
        return { params: { where: 'id < 4' } };
      };
      const watched = new WatchedShape(options({ table: 'todos', where: 'nothing = 1' }, { onError }));
      await watched.holds(() => todos('id < 4'));
      expect(errors.map(({ status }) => status)).toEqual([400]);
      expect(errors[0]?.json).toMatchObject({ message: 'Invalid request' });
      watched.stop();
    });

    test('onError supplies the secret after a 401', async () => {
      const errors: FetchError[] = [];
      const onError = (error: Error) => {
        errors.push(error as FetchError);
        return { params: { secret: SECRET } };
      };
      const watched = new WatchedShape(options({ table: 'todos', where: 'id < 5', secret: 'wrong' }, { onError }));
      await watched.holds(() => todos('id < 5'));
      expect(errors.map(({ status }) => status)).toEqual([401]);
      watched.stop();
    });
  });

  // They wait most of the time. The first api is one's own, because its limit is what that one tests.
  describe.concurrent('at its own pace', () => {
    test('C262 goes from one event stream to the next, and stays with streams', async () => {
      const watched = new WatchedShape(options({ table: 'todos', where: 'id > 0' }, { url: apiUrl(2), liveSse: true }));
      await watched.upToDate();
      const streams = () => watched.requests.filter(({ url }) => url.searchParams.has('live_sse'));
      await waitFor(() => streams().length >= 3, { describe: () => watched.requests.map(({ url }) => url.search) });
      await service.db.query(`update todos set title = 'after several streams' where id = 5`);
      await watched.holds(() => todos('id > 0'));
      expect(warnings).toEqual([]);
      watched.stop();
    });

    test('is brought up to date by a refresh while it polls', async () => {
      const watched = new WatchedShape(options({ table: 'todos', where: 'id > 3' }, { url: apiUrl(2) }));
      await watched.upToDate();
      await waitFor(() => watched.requests.length >= 3);
      await service.db.query(`update todos set title = 'refreshed' where id = 9`);
      await watched.stream.forceDisconnectAndRefresh();
      await watched.holds(() => todos('id > 3'));
      watched.stop();
    });

    test('a 503 is retried, not sooner than retry-after asks for, and not shown to the application', async () => {
      const url = apiUrl(1);
      const errors: Error[] = [];
      const onError = (error: Error) => void errors.push(error);
      const locker = await connect(service.cluster.databaseUrl);
      await locker.query('begin; lock table locked in access exclusive mode');
      // These two wait for their snapshots and so hold all there is for initial requests.
      const waiting = ['id < 100', 'id < 101'].map(
        (where) => new WatchedShape(options({ table: 'locked', where }, { url, onError })),
      );
      await waitFor(() => waiting.every(({ sent }) => sent > 0));
      await waitFor(async () => {
        const answer = await fetch(`${url}?table=todos&offset=-1&secret=${SECRET}`);
        await answer.body?.cancel();
        return answer.status === 503;
      });
      const third = new WatchedShape(options({ table: 'todos', where: 'id < 6' }, { url, onError }));
      const refused = await waitFor(() => third.requests.find(({ status }) => status === 503));
      await locker.query('rollback');
      await locker.end();
      await third.holds(() => todos('id < 6'));
      for (const one of waiting) await one.holds(() => selectText(service.db, 'locked', ['id', 'v'], ''));

      const seconds = Number(refused.headers.get('retry-after'));
      expect(seconds).toBeGreaterThan(0);
      const next = third.requests[third.requests.indexOf(refused) + 1];
      // Node's timers may fire a millisecond early.
      expect((next?.sentAt ?? 0) - refused.answeredAt).toBeGreaterThanOrEqual(seconds * 1000 - 2);
      expect(errors).toEqual([]);
      for (const one of [...waiting, third]) one.stop();
    });
  });

  describe('stored state', () => {
    test('C266 a new process continues at the stored offset and gets no snapshot', async () => {
      const { signal: _, ...plain } = options({ table: 'stored' });
      const first = await readInNewProcess(plain);
      expect(first.messages.filter((message) => 'key' in message).length).toBe(3);
      await service.db.query(`update stored set v = 'changed' where id = 2; insert into stored values (4, 'd')`);
      const shape = new WatchedShape(options({ table: 'stored' }));
      await shape.holds(() => selectText(service.db, 'stored', ['id', 'v'], ''));
      shape.stop();

      const { handle, offset } = first;
      const second = await readInNewProcess({ ...plain, handle, offset } as ShapeStreamOptions);
      expect(second.handle).toBe(handle);
      expect(second.messages.filter((message) => 'key' in message)).toMatchObject([
        { headers: { operation: 'update' }, value: { id: 2, v: 'changed' } },
        { headers: { operation: 'insert' }, value: { id: 4, v: 'd' } },
      ]);
      expect(second.statuses.every((status) => status === 200)).toBe(true);
    });

    test('C266 a new stream continues live at the stored offset', async () => {
      const before = new WatchedShape(options({ table: 'stored', where: 'id < 90' }));
      await before.upToDate();
      const { lastOffset: offset, shapeHandle: handle } = before.stream;
      before.stop();
      const after = new WatchedShape(options({ table: 'stored', where: 'id < 90' }, { offset, handle }));
      await after.upToDate();
      await service.db.query(`insert into stored values (50, 'live')`);
      await after.holds(() => selectText(service.db, 'stored', ['id', 'v'], 'id = 50'));
      expect(after.stream.shapeHandle).toBe(handle);
      after.stop();
    });

    test('C267 a handle that was rotated meanwhile costs one must-refetch', async () => {
      const { signal: _, ...plain } = options({ table: 'rotated' });
      const first = await readInNewProcess(plain);
      const { handle, offset } = first;
      const gone = await fetch(`${service.shapeUrl}?table=rotated&handle=${handle}&secret=${SECRET}`, {
        method: 'DELETE',
      });
      expect(gone.status).toBe(202);
      await service.db.query(`insert into rotated values (3, 'c')`);

      const second = await readInNewProcess({ ...plain, handle, offset } as ShapeStreamOptions);
      expect(second.messages.filter(({ headers }) => headers['control'] === 'must-refetch').length).toBe(1);
      expect(second.messages.filter((message) => 'key' in message).map(({ headers }) => headers['operation'])).toEqual([
        'insert',
        'insert',
        'insert',
      ]);
      expect(second.statuses.filter((status) => status === 409).length).toBe(1);
      expect(second.handle).not.toBe(handle);
    });
  });
});
