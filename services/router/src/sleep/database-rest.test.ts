import type { SourceDatabase } from '@shapecast/change-source';
import { introspectSubject, SourceSleep } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';

const CALL = { timeoutMs: 5_000, signal: new AbortController().signal };
const open: Harness[] = [];

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

/** A router whose use of the database is counted, of a source that one can put to sleep. */
async function started() {
  const harness = new Harness({ shards: 1 });
  open.push(harness);
  await harness.open();
  const { registries, rpc } = harness.messaging;
  const sleep = new SourceSleep({ registries, clock: systemClock, log: silentLogger }, harness.source);
  const used: string[] = [];
  const database = new Proxy(harness.database, {
    get(target, name: keyof SourceDatabase) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') {
        used.push(name);
        return member;
      }
      return (...args: unknown[]): unknown => {
        used.push(name);
        return (member as (...given: unknown[]) => unknown).apply(target, args);
      };
    },
  });
  const router = await harness.startRouter('one', { catalogCheckMs: 20 }, { database });
  const asleep = () => router.report()['asleep'] === true;
  return { harness, sleep, used, asleep, rpc };
}

test('looks at the catalog end when the source falls asleep, and go on when it is woken', async () => {
  const { harness, sleep, used, asleep, rpc } = await started();
  const shape = await harness.createShape();
  await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'live');
  await waitFor(() => used.filter((name) => name === 'readTables').length > 2);
  await sleep.fallAsleep('test');
  await waitFor(asleep);
  // What had begun is over soon, and connections are let go of again and again.
  used.length = 0;
  await waitFor(() => used.filter((name) => name === 'rest').length > 1);
  used.length = 0;
  await waitFor(() => used.filter((name) => name === 'rest').length > 1);
  expect(new Set(used)).toEqual(new Set(['rest']));
  const asked = rpc.call(introspectSubject(harness.source), { schema: 'public', table: 'items' }, CALL);
  await expect(asked).rejects.toThrow('The source sleeps');
  expect(used).not.toContain('introspect');
  await sleep.wake('test');
  await waitFor(() => used.includes('readTables') && used.includes('publication'));
});

test('a shape that nobody woke the source for wakes it itself', async () => {
  const { harness, sleep, asleep } = await started();
  await sleep.fallAsleep('test');
  await waitFor(asleep);
  harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: null }));
  const shape = await harness.createShape();
  await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'live');
  expect([...(await readShape(harness.store, shape)).rows.keys()]).toHaveLength(1);
});
