import { BTreeIndex, createCollection, createLiveQueryCollection, eq, gt } from '@tanstack/db';
import { electricCollectionOptions } from '@tanstack/electric-db-collection';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { inTransaction, ONE_OF_EACH, startClientCluster, type ClientCluster } from './support/client-cluster.ts';
import { RecordingFetch } from './support/recording-fetch.ts';

const TASKS = 200;

// A type alias, because an interface has no index signature and the library asks for one.
type Task = { id: number; title: string; project: number; done: boolean };

/** The collection that follows a shape, in all its modes, with writes that wait for their transaction (spec H 24.3). */
describe('TanStack DB', () => {
  let service: ClientCluster;
  const cleanups: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    service = await startClientCluster(
      `create table tasks (id int primary key, title text not null, project int not null, done bool not null);
       insert into tasks select i, 'task ' || i, i % 10, false from generate_series(1, ${TASKS}) i;`,
      ONE_OF_EACH,
    );
  });
  afterAll(async () => {
    for (const cleanup of cleanups.toReversed()) await cleanup();
    await service.stop();
  });

  /** A collection of tasks whose writes go to Postgres, as the application's own API would do it. */
  function open(syncMode: 'eager' | 'on-demand' | 'progressive', fetchClient?: typeof fetch) {
    const { db } = service;
    const collection = createCollection(
      electricCollectionOptions<Task>({
        syncMode,
        // So that pages are loaded by cursor.
        autoIndex: 'eager',
        defaultIndexType: BTreeIndex,
        getKey: (task) => task.id,
        shapeOptions: {
          url: service.shapeUrl,
          params: { table: 'tasks' },
          signal: service.signal,
          ...(fetchClient && { fetchClient }),
        },
        onInsert: async ({ transaction }) => {
          const tasks = transaction.mutations.map(({ modified }) => modified);
          const txid = await inTransaction(db, async () => {
            for (const { id, title, project, done } of tasks) {
              await db.query('insert into tasks values ($1, $2, $3, $4)', [id, title, project, done]);
            }
          });
          return { txid, timeout: 30_000 };
        },
        onUpdate: async ({ transaction }) => {
          const [{ original, modified }] = transaction.mutations;
          const txid = await inTransaction(db, () =>
            db.query('update tasks set title = $2, done = $3 where id = $1', [
              original.id,
              modified.title,
              modified.done,
            ]),
          );
          return { txid, timeout: 30_000 };
        },
        onDelete: async ({ transaction }) => {
          const [{ original }] = transaction.mutations;
          const txid = await inTransaction(db, () => db.query('delete from tasks where id = $1', [original.id]));
          return { txid, timeout: 30_000 };
        },
      }),
    );
    cleanups.push(() => collection.cleanup());
    return collection;
  }

  test('eager: all rows, live, and a query over them', async () => {
    const tasks = open('eager');
    await tasks.preload();
    expect(tasks.size).toBe(TASKS);
    const ofProject = createLiveQueryCollection((q) =>
      q
        .from({ task: tasks })
        .where(({ task }) => eq(task.project, 3))
        .orderBy(({ task }) => task.id, 'desc')
        .limit(2)
        .select(({ task }) => ({ id: task.id, title: task.title })),
    );
    cleanups.push(() => ofProject.cleanup());
    await ofProject.preload();
    expect(ofProject.toArray).toMatchObject([{ id: 193 }, { id: 183 }]);
    await service.db.query(`insert into tasks values (203, 'the last', 3, false); delete from tasks where id = 193`);
    await waitFor(() => ofProject.toArray.map(({ id }) => id).join() === '203,183', {
      describe: () => ofProject.toArray,
    });
  });

  test('C270 optimistic writes are there at once and stay when their transaction arrives', async () => {
    const tasks = open('eager');
    await tasks.preload();
    const inserted = tasks.insert({ id: 1001, title: 'mine', project: 1, done: false });
    expect(tasks.get(1001)).toMatchObject({ title: 'mine' });
    await inserted.isPersisted.promise;
    expect(tasks.get(1001)).toMatchObject({ title: 'mine' });

    const updated = tasks.update(1001, (draft) => {
      draft.done = true;
    });
    await updated.isPersisted.promise;
    expect(tasks.get(1001)).toMatchObject({ title: 'mine', done: true });

    await tasks.delete(1001).isPersisted.promise;
    expect(tasks.has(1001)).toBe(false);
    // What is left is what Postgres says, not an optimistic layer over it.
    expect(tasks._state.optimisticUpserts.size + tasks._state.optimisticDeletes.size).toBe(0);
  });

  test('C270 a transaction of somebody else can be waited for by its id', async () => {
    const tasks = open('eager');
    await tasks.preload();
    const txid = await inTransaction(service.db, (db) => db.query(`update tasks set title = 'theirs' where id = 4`));
    await tasks.utils.awaitTxId(txid, 30_000);
    expect(tasks.get(4)).toMatchObject({ title: 'theirs' });
  });

  test('on-demand: what a query asks for and no more, then what happens to it', async () => {
    const recorder = new RecordingFetch();
    const tasks = open('on-demand', recorder.fetch);
    const page = createLiveQueryCollection((q) =>
      q
        .from({ task: tasks })
        .where(({ task }) => eq(task.project, 5))
        .orderBy(({ task }) => task.id, 'asc')
        .limit(3),
    );
    cleanups.push(() => page.cleanup());
    await page.preload();
    expect(page.toArray.map(({ id }) => id)).toEqual([5, 15, 25]);
    expect(tasks.size).toBeLessThan(20);
    const subsets = recorder.requests.filter(({ headers }) => headers.get('electric-snapshot') === 'true');
    expect(subsets.length).toBeGreaterThan(0);
    expect(recorder.requests.map(({ status }) => status).filter((status) => status !== 200)).toEqual([]);

    const changed = await inTransaction(service.db, (db) =>
      db.query(`update tasks set title = 'changed' where id = 15`),
    );
    await tasks.utils.awaitTxId(changed, 30_000);
    expect(page.toArray.map(({ title }) => title)).toEqual(['task 5', 'changed', 'task 25']);
    // A row of the page goes, and the next one, which was not loaded, takes its place.
    await service.db.query('delete from tasks where id = 5');
    await waitFor(() => page.toArray.map(({ id }) => id).join() === '15,25,35', { describe: () => page.toArray });
  });

  test('progressive: the rows of a query first, all others when the shape is there', async () => {
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    // The network is slow for the shape and fast for subsets, so that the order is always this one.
    const slow: typeof fetch = async (input, init) => {
      if (!(input as string).includes('subset__') && init?.method !== 'POST') await held;
      return fetch(input, init);
    };
    const tasks = open('progressive', slow);
    const page = createLiveQueryCollection((q) => q.from({ task: tasks }).where(({ task }) => gt(task.id, TASKS - 4)));
    cleanups.push(() => page.cleanup());
    const ready = page.preload();
    await waitFor(() => tasks.has(TASKS), { describe: () => [...tasks.keys()] });
    expect(tasks.size).toBeLessThan(10);
    expect(tasks.status).toBe('loading');
    release();
    await ready;
    await tasks.stateWhenReady();
    const { rows } = await service.db.query<{ n: number }>('select count(*)::int as n from tasks');
    await waitFor(() => tasks.size === rows[0]?.n, { describe: () => [tasks.size, rows[0]?.n] });
  });
});
