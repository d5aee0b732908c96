import { BUCKETS, openMemoryMessaging, tableKey, type Registries, type Registry } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import { expect, onTestFinished, test } from 'vitest';
import { TableRecords } from './table-records.ts';

const relation = (oid: number, name = 'items'): RelationInfo => ({
  oid,
  schema: 'public',
  name,
  kind: 'r',
  columns: [],
});

type Call = 'get' | 'put' | 'delete';

/** Records over a registry in memory that counts calls, and fails while `down`. */
async function open() {
  const clock = { ...systemClock, now: () => state.now, sleep: async () => void (await turn()) };
  const calls: Record<Call, number> = { get: 0, put: 0, delete: 0 };
  const state = { now: 0, down: false, refused: undefined as string | undefined, calls };
  const messaging = openMemoryMessaging(clock);
  const stored = await messaging.registries.open<RelationInfo>(BUCKETS.tables.name);
  const counted = <A extends [string, ...unknown[]], R>(name: Call, call: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      calls[name] += 1;
      if (state.down || args[0] === state.refused) throw new Error('the registry is away');
      return call(...args);
    };
  };
  const registry = {
    get: counted('get', (key: string) => stored.get(key)),
    put: counted('put', (key: string, value: RelationInfo) => stored.put(key, value)),
    delete: counted('delete', (key: string) => stored.delete(key)),
  } as unknown as Registry<RelationInfo>;
  const registries = { open: async () => registry } as unknown as Registries;
  const start = () => {
    const stop = new AbortController();
    const records = new TableRecords({ registries, clock, log: silentLogger }, 'src');
    const running = records.run(stop.signal);
    onTestFinished(async () => {
      stop.abort();
      await running;
    });
    return records;
  };
  const read = async (name = 'items') => (await stored.get(tableKey('src', 'public', name)))?.value;
  return { state, stored, start, read };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await turn();
}

/** Whatever would have been done is done. */
async function idle(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await turn();
}

test('a table is written once, however often it is seen', async () => {
  const { state, start, read } = await open();
  const records = start();
  records.seen('public', 'items', relation(1));
  await until(async () => (await read())?.oid === 1);
  await idle();
  for (let i = 0; i < 100; i += 1) records.seen('public', 'items', relation(1));
  await idle();
  expect(state.calls).toEqual({ get: 1, put: 1, delete: 0 });
});

test('a changed table is written again, and one that is gone is removed', async () => {
  const { state, start, read } = await open();
  const records = start();
  for (const oid of [1, 2, 3]) {
    records.seen('public', 'items', relation(oid));
    await until(async () => (await read())?.oid === oid);
  }
  records.seen('public', 'items', undefined);
  await until(async () => (await read()) === undefined);
  records.seen('public', 'items', undefined);
  await idle();
  expect(state.calls).toMatchObject({ put: 3, delete: 1 });
});

test('changes in quick succession end with the last', async () => {
  const { start, read } = await open();
  const records = start();
  for (let oid = 1; oid <= 20; oid += 1) {
    records.seen('public', 'items', relation(oid));
    if (oid % 3 === 0) await turn();
  }
  await idle();
  expect((await read())?.oid).toBe(20);
});

test('a table that never was leaves nothing behind', async () => {
  const { state, start, stored } = await open();
  const records = start();
  for (let i = 0; i < 50; i += 1) records.seen('public', 'none', undefined);
  await until(() => state.calls.get > 0);
  await idle();
  expect(state.calls).toEqual({ get: 1, put: 0, delete: 0 });
  expect(await stored.list('')).toEqual([]);
});

test('what another router wrote is left as it is when it is the same, and put right after a minute when it is not', async () => {
  const { state, start, read } = await open();
  const [one, other] = [start(), start()];
  one.seen('public', 'items', relation(1));
  await until(async () => (await read())?.oid === 1);
  other.seen('public', 'items', relation(1));
  await until(() => state.calls.get === 2);
  await idle();
  expect(state.calls.put).toBe(1);
  // Out of date, and written after the newer one.
  one.seen('public', 'items', relation(2));
  await until(async () => (await read())?.oid === 2);
  other.seen('public', 'items', relation(3));
  await until(async () => (await read())?.oid === 3);
  one.seen('public', 'items', relation(2));
  await idle();
  expect((await read())?.oid).toBe(3);
  state.now += 60_000;
  one.seen('public', 'items', relation(2));
  await until(async () => (await read())?.oid === 2);
});

test('a table that was lost with the registry comes back', async () => {
  const { state, start, stored, read } = await open();
  const records = start();
  records.seen('public', 'items', relation(1));
  await until(async () => (await read()) !== undefined);
  await stored.delete(tableKey('src', 'public', 'items'));
  await idle();
  state.now += 60_000;
  records.seen('public', 'items', relation(1));
  await until(async () => (await read())?.oid === 1);
});

test('while the registry is away nobody waits, and the last state is written once it is back', async () => {
  const { state, start, read } = await open();
  state.down = true;
  const records = start();
  records.seen('public', 'items', relation(1));
  await until(() => state.calls.get >= 3);
  records.seen('public', 'items', relation(2));
  records.seen('public', 'wide', relation(3, 'wide'));
  state.down = false;
  await until(async () => (await read())?.oid === 2 && (await read('wide'))?.oid === 3);
  expect(state.calls.put).toBe(2);
});

test('a table that cannot be written is not in the way of the others', async () => {
  const { state, start, read } = await open();
  state.refused = tableKey('src', 'public', 'items');
  const records = start();
  records.seen('public', 'items', relation(1));
  records.seen('public', 'wide', relation(2, 'wide'));
  await until(async () => (await read('wide'))?.oid === 2);
  expect(await read()).toBeUndefined();
});

test('every table is an entry of its own under the source', async () => {
  const { start, stored } = await open();
  const records = start();
  for (let i = 0; i < 900; i += 1) records.seen('public', `t${i}`, relation(i, `t${i}`));
  await until(async () => (await stored.list('')).length === 900);
  expect((await stored.list('')).every(({ key }) => /^src\.[\w-]{43}$/.test(key))).toBe(true);
});
