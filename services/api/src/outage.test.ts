import { BUCKETS, tableKey, type Messaging } from '@shapecast/messaging';
import type { RelationInfo } from '@shapecast/shape';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, until, type Reply } from './testing/api-fixture.ts';

/** A cluster that has been running for a while, and the API processes that join it during an outage. */
let cluster: ApiFixture;
let pods: ApiFixture[];
beforeEach(async () => {
  cluster = await new ApiFixture().start();
  pods = [];
});
afterEach(async () => {
  for (const pod of pods) await pod.api.stop();
  await cluster.stop();
});

/** An API process that has never asked for a table. */
async function join(messaging: Messaging = cluster.messaging): Promise<ApiFixture> {
  const { source, store } = cluster;
  const pod = new ApiFixture({ source }, { messaging, store });
  pods.push(pod);
  await pod.api.start(new AbortController().signal);
  return pod;
}

/** The cluster's messaging, with the names of the registries that were opened and of the reads of tables. */
function observed(fail = false): { readonly messaging: Messaging; readonly opened: string[]; readonly read: string[] } {
  const opened: string[] = [];
  const read: string[] = [];
  const { registries } = cluster.messaging;
  const open: Messaging['registries']['open'] = async <T>(bucket: string, options?: { readonly ttlMs?: number }) => {
    opened.push(bucket);
    const registry = await registries.open<T>(bucket, options);
    if (bucket !== BUCKETS.tables.name) return registry;
    const get = (key: string) => {
      read.push(key);
      return fail ? Promise.reject(new Error('no quorum')) : registry.get(key);
    };
    return Object.assign(Object.create(registry) as typeof registry, { get });
  };
  const messaging = Object.create(cluster.messaging) as Messaging;
  const { txStreams, hints, rpc } = cluster.messaging;
  Object.assign(messaging, {
    registries: { open },
    txStreams,
    hints,
    rpc,
    connected: () => true,
    close: async () => undefined,
  });
  return { messaging, opened, read };
}

function items(): RelationInfo {
  const table = cluster.router.tables.get('public.items');
  if (table === undefined) throw new Error('no table');
  return table;
}

function expectUnverified(reply: Reply): void {
  expect([reply.status, reply.headers['retry-after'], reply.text]).toEqual([
    503,
    '1',
    '{"message":"Cannot connect to the database to verify the shape. Please try again later."}',
  ]);
}

describe('an API process that joins while the catalog cannot be asked (O 1.3.1)', () => {
  test('serves the shapes that exist, from their beginning, from an offset and live', async () => {
    const handle = await cluster.handle();
    const before = await cluster.shape('offset=-1');
    cluster.router.catalogDown = true;
    const pod = await join();
    const first = await pod.shape('offset=-1');
    expect([first.status, first.text, first.headers['electric-schema']]).toEqual([
      200,
      before.text,
      before.headers['electric-schema'],
    ]);
    for (const query of ['offset=now', `offset=0_0&handle=${handle}`, `offset=-1&handle=${handle}`]) {
      const reply = await pod.shape(query);
      expect([reply.status, reply.headers['electric-handle']]).toEqual([200, handle]);
    }
    const another = await join();
    const held = another.shape(`offset=0_inf&handle=${handle}&live=true`);
    await until(() => another.api.report()['held'] === 1);
    await cluster.router.commit([{ lsn: 500n, entries: { [handle]: [change(3, 500n)] } }]);
    const reply = await held;
    expect([reply.status, reply.headers['electric-offset']]).toEqual([200, '500_0']);
  });

  test('makes no shapes, and refuses nothing that a table which is out of date would refuse', async () => {
    const handle = await cluster.handle();
    cluster.router.catalogDown = true;
    const pod = await join();
    expectUnverified(await pod.shape('offset=-1&where=id%20=%201'));
    expectUnverified(await pod.shape('offset=-1&columns=id,added'));
    expectUnverified(await pod.shape(`offset=0_0&handle=${handle}&where=added%20=%20'1'`));
    expectUnverified(await pod.shape(`offset=0_inf&handle=${handle}&columns=id,added&live=true`));
    const subset = await pod.shape('offset=-1&subset__where=added%20=%201');
    expect(subset.status).toBe(503);
    const all = await Promise.all([0, 1].map((shard) => cluster.store.loadShapes(cluster.router.shard(shard))));
    expect(all.flatMap(({ shapes }) => shapes).map((shape) => shape.handle)).toEqual([handle]);
    // What needs no table to be refused is refused.
    expect((await pod.shape('offset=nonsense')).status).toBe(400);
  });

  test('knows nothing of a table that nobody asked for, or that is gone', async () => {
    await cluster.handle();
    cluster.router.tables.delete('public.items');
    expect((await (await join()).shape('offset=-1')).status).toBe(400);
    cluster.router.catalogDown = true;
    const pod = await join();
    expectUnverified(await pod.shape('offset=-1'));
    expectUnverified(await pod.shape('table=wide&offset=-1'));
  });

  test('says 503 when the registry cannot be read either, and serves as soon as it can', async () => {
    const handle = await cluster.handle();
    cluster.router.catalogDown = true;
    expectUnverified(await (await join(observed(true).messaging)).shape(`offset=0_0&handle=${handle}`));
    const key = tableKey(cluster.source, 'public', 'items');
    const tables = await cluster.messaging.registries.open<RelationInfo>(BUCKETS.tables.name);
    await tables.delete(key);
    const pod = await join();
    expectUnverified(await pod.shape(`offset=0_0&handle=${handle}`));
    await tables.put(key, items());
    expect((await pod.shape(`offset=0_0&handle=${handle}`)).status).toBe(200);
  });

  test('finds out that the table was replaced with the first request after the outage', async () => {
    const handle = await cluster.handle();
    cluster.router.catalogDown = true;
    const pod = await join();
    expect((await pod.shape(`offset=0_0&handle=${handle}`)).status).toBe(200);
    cluster.router.tables.set('public.items', { ...items(), oid: 99 });
    cluster.router.catalogDown = false;
    const reply = await pod.shape(`offset=0_0&handle=${handle}`);
    expect(reply.status).toBe(409);
    expect(reply.headers['electric-handle']).not.toBe(handle);
  });

  test('asks the registry once for a table, however many requests need it', async () => {
    const handle = await cluster.handle();
    cluster.router.catalogDown = true;
    const { messaging, read } = observed();
    const pod = await join(messaging);
    const replies = await Promise.all(Array.from({ length: 30 }, () => pod.shape(`offset=0_0&handle=${handle}`)));
    expect(replies.every(({ status }) => status === 200)).toBe(true);
    await pod.shape('offset=-1');
    expect(read).toEqual([tableKey(cluster.source, 'public', 'items')]);
  });
});

test('while the catalog answers, what the registry has of a table is not looked at', async () => {
  const { messaging, opened } = observed();
  const pod = await join(messaging);
  const handle = await pod.handle();
  await pod.shape(`offset=0_0&handle=${handle}`);
  await pod.shape('table=none&offset=-1');
  expect(opened).toContain(BUCKETS.sources.name);
  expect(opened).not.toContain(BUCKETS.tables.name);
});
