import { ShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { openMemoryShapeStore, type AppendBatch, type ShapeStore } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { readShape } from '../testing/read-shape.ts';

const GRACE_MS = 240;
/** What a shard waits for must be over long before a stall is found. */
const WORKER = { lingerMs: 5, emptyLingerMs: 5 };

const open: Harness[] = [];

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

interface StallEvent {
  readonly remedy: string;
  readonly shapes: number;
}

/** A router with two shapes on one shard, whose appends `append` may spoil; tells the stalls that were found. */
async function started(
  append: (batch: AppendBatch, write: () => Promise<unknown>) => Promise<unknown>,
  stallGraceMs = GRACE_MS,
) {
  const store = openMemoryShapeStore(systemClock);
  const spoilt = new Proxy(store, {
    get(target, verb: keyof ShapeStore) {
      const member = Reflect.get(target, verb) as (...args: unknown[]) => Promise<unknown>;
      if (verb === 'append')
        return (...args: unknown[]) => append(args[2] as AppendBatch, () => member.apply(target, args));
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const harness = new Harness({ shards: 1, store });
  open.push(harness);
  await harness.open();
  const stalls: StallEvent[] = [];
  const note = (fields: object) => {
    if ('event' in fields && fields.event === 'flush_tracker.stall_detected') stalls.push(fields as never);
  };
  const log: Logger = { ...silentLogger, error: note, child: () => log };
  await harness.startRouter('one', { worker: WORKER, stallGraceMs }, { store: spoilt, log });
  const [poisoned, healthy] = [
    await harness.createShape({ where: `owner = 'a'` }),
    await harness.createShape({ where: `owner = 'b'` }),
  ];
  const state = async ({ shard, handle }: PlacedShape) => (await store.readHead(shard, handle))?.state;
  await waitFor(async () => (await state(poisoned)) === 'live' && (await state(healthy)) === 'live');
  const insert = async (id: string, owner: string) => {
    harness.commit((tx) => tx.insert(harness.items, { id, owner, note: null }));
    await harness.flush();
  };
  const ids = async (shape: PlacedShape) => [...(await readShape(store, shape)).rows.values()].map((row) => row['id']);
  return { poisoned, healthy, stalls, state, insert, ids };
}

function isAbout({ poisoned }: { readonly poisoned: PlacedShape | undefined }, batch: AppendBatch): boolean {
  return batch.entries.some(({ handle }) => handle === poisoned?.handle);
}

test.each([
  ['fails', () => Promise.reject(new Error('redis refused append: a bug'))],
  ['never comes to an end', () => new Promise(() => undefined)],
])('a transaction whose append %s costs the shapes it is of, and only these', async (_, spoil) => {
  const world: { poisoned: PlacedShape | undefined } = { poisoned: undefined };
  const { poisoned, healthy, stalls, state, insert, ids } = await started((batch, write) =>
    isAbout(world, batch) ? spoil() : write(),
  );
  world.poisoned = poisoned;
  await insert('1', 'b');
  await insert('2', 'a');
  await insert('3', 'b');
  await waitFor(async () => (await ids(healthy)).length === 2);
  expect(await ids(healthy)).toEqual(['1', '3']);
  expect(await state(poisoned)).toBe('dead');
  expect(await state(healthy)).toBe('live');
  expect(stalls).toMatchObject([
    { remedy: 'restart', shapes: 0 },
    { remedy: 'rotate', shapes: 1 },
  ]);
  await insert('4', 'b');
  await waitFor(async () => (await ids(healthy)).length === 3);
});

test('what comes before such a transaction gets through at once, though both were to be appended together', async () => {
  const world: { poisoned: PlacedShape | undefined } = { poisoned: undefined };
  const gathered = Promise.withResolvers<void>();
  const { poisoned, healthy, stalls, insert, ids } = await started(async (batch, write) => {
    if (world.poisoned !== undefined) await gathered.promise;
    return isAbout(world, batch) ? Promise.reject(new Error('redis refused append: a bug')) : write();
  }, 60_000);
  world.poisoned = poisoned;
  for (const [id, owner] of Object.entries({ 1: 'b', 2: 'b', 3: 'a', 4: 'b' })) await insert(id, owner);
  gathered.resolve();
  await waitFor(async () => (await ids(healthy)).length === 2);
  expect(stalls).toEqual([]);
});

test('a restart is enough where the worker hung in something that is over', async () => {
  const world: { poisoned: PlacedShape | undefined } = { poisoned: undefined };
  let hangs = 1;
  const { poisoned, stalls, insert, ids } = await started((batch, write) =>
    isAbout(world, batch) && hangs-- > 0 ? new Promise(() => undefined) : write(),
  );
  world.poisoned = poisoned;
  await insert('1', 'a');
  await waitFor(async () => (await ids(poisoned)).length === 1);
  expect(stalls).toMatchObject([{ remedy: 'restart' }]);
});

test('a store that is full or away is no stall, however long it takes', async () => {
  let full = false;
  let refused = 0;
  const { poisoned, stalls, state, insert, ids } = await started((_, write) => {
    if (!full) return write();
    refused += 1;
    return Promise.reject(new ShapecastError('STORE_UNAVAILABLE', 'full', { reason: 'out_of_memory' }));
  });
  full = true;
  await insert('1', 'a');
  // Attempts are further and further apart: these take several times the grace.
  await waitFor(() => refused >= 6);
  full = false;
  await waitFor(async () => (await ids(poisoned)).length === 1);
  expect(await state(poisoned)).toBe('live');
  expect(stalls).toEqual([]);
});
