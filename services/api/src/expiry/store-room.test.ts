import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore, type StoreMemory } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, until } from '../testing/api-fixture.ts';

const fixtures: ApiFixture[] = [];
afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop();
});

/** An API over a store whose memory is as the test says. */
async function start() {
  const memory: { current: readonly StoreMemory[]; asked: number } = { current: [], asked: 0 };
  const store = new Proxy<ShapeStore>(openMemoryShapeStore(systemClock), {
    get(target, name) {
      if (name === 'memory') {
        return async () => {
          memory.asked += 1;
          return memory.current;
        };
      }
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
  let ahead = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + ahead };
  const fixture = new ApiFixture({}, { store, clock });
  fixtures.push(fixture);
  await fixture.start();
  await until(() => fixture.api.report().ready === true);
  const set = (used: number | undefined, evicts = false) => {
    memory.current =
      used === undefined ? [] : [{ node: 'one', holds: () => true, usedBytes: used, maxBytes: 1_000, evicts }];
    // What the pod knows is a second old.
    ahead += 1_001;
  };
  return { fixture, memory, set };
}

describe('above the high-water mark of the store', () => {
  test('new shapes are refused with 503 and a time, and those that exist go on', async () => {
    const { fixture, set } = await start();
    const handle = await fixture.handle();
    set(801);
    const refused = await fixture.shape('table=wide&offset=-1');
    expect(refused.status).toBe(503);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect(refused.headers['cache-control']).toBe('no-store');
    expect(refused.json).toEqual({ message: expect.stringContaining('nearly full') as string });
    expect(fixture.api.report()['storeMemory']).toMatchObject({ state: 'full', usedBytes: 801, maxBytes: 1_000 });

    expect(await fixture.handle()).toBe(handle);
    await fixture.router.commit([{ lsn: 1_000n, entries: { [handle]: [change(3, 1_000n)] } }]);
    const read = await fixture.shape(`offset=0_inf&handle=${handle}`);
    expect([read.status, read.json.length]).toEqual([200, 2]);
  });

  test('creation begins again below it', async () => {
    const { fixture, set } = await start();
    set(900);
    expect((await fixture.shape('offset=-1')).status).toBe(503);
    set(800);
    expect((await fixture.shape('offset=-1')).status).toBe(200);
    expect(fixture.api.report()['storeMemory']).toMatchObject({ state: 'room' });
  });

  test('a crowd of requests asks the store once', async () => {
    const { fixture, memory, set } = await start();
    set(900);
    const before = memory.asked;
    const replies = await Promise.all(Array.from({ length: 20 }, () => fixture.shape('table=wide&offset=-1')));
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(503));
    expect(memory.asked - before).toBeLessThanOrEqual(2);
  });
});

test('a store without a limit refuses nothing', async () => {
  const { fixture, set } = await start();
  set(undefined);
  expect((await fixture.shape('offset=-1')).status).toBe(200);
});

test('F146 a store that evicts data gets no new shapes, however empty it is', async () => {
  const { fixture, set } = await start();
  const handle = await fixture.handle();
  set(1, true);
  const refused = await fixture.shape('table=wide&offset=-1');
  expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('eviction policy')]);
  expect(fixture.api.report()['storeMemory']).toMatchObject({ state: 'evicts' });
  expect(await fixture.handle()).toBe(handle);
  set(1);
  expect((await fixture.shape('table=wide&offset=-1')).status).toBe(200);
});
