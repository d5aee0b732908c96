import { randomUUID } from 'node:crypto';
import { formatOffset, type Lsn } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedRedisUrl } from '@shapecast/testkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, bytes, disposable, FAILURE, follow, newShard, Owner, request } from '../contract/fixtures.ts';
import { LastWins, sealAll } from '../contract/upkeep.contract.ts';
import { openMemoryShapeStore } from '../memory/memory-shape-store.ts';
import type { LogEntry, ShapeStore } from '../shape-store.ts';
import { openRedisShapeStore } from './redis-shape-store.ts';

// The two stores share no line of the logic that matters, so what both answer is probably right.

const TABLES = 3;
const LIMITS = { pendingMaxEntries: 12, pendingMaxBytes: 130, ringMaxEntries: 8, versionsKept: 10, leaseMs: 0 };

type Action =
  | {
      readonly kind: 'create' | 'begin' | 'part' | 'done' | 'snapshot' | 'fail' | 'rotate' | 'beat' | 'doubt';
      readonly table: number;
      readonly flag: boolean;
    }
  | { readonly kind: 'promote'; readonly table: number; readonly limit: number }
  | { readonly kind: 'sweep' | 'acquire' }
  | { readonly kind: 'seal' | 'compact'; readonly table: number }
  | { readonly kind: 'step'; readonly whole: boolean; readonly sizes: readonly number[]; readonly again: boolean };

const table = fc.nat(TABLES - 1);
const arbitraryAction: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom('create', 'begin', 'part', 'done'), table, flag: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('snapshot'), table, flag: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom('fail', 'rotate', 'beat', 'doubt'), table, flag: fc.boolean() }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('promote'), table, limit: fc.integer({ min: 1, max: 14 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sweep', 'acquire') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('seal', 'compact'), table }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('step'),
      whole: fc.constantFrom(true, true, false),
      sizes: fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 8 }),
      again: fc.boolean(),
    }),
  },
);

/** Runs actions against one store, with shapes named by their tables, and returns everything a caller could see of it. */
class Run {
  readonly #store: ShapeStore;
  readonly #shard = newShard();
  readonly #handles: string[][] = Array.from({ length: TABLES }, () => []);
  readonly #tokens = new Map<string, string>();
  #owner: Owner | undefined;
  #lsn = 100n;
  #op = 0;
  #previous: readonly { readonly table: number; readonly size: number; readonly lsn: bigint; readonly op: number }[] =
    [];

  constructor(store: ShapeStore) {
    this.#store = store;
  }

  async act(action: Action): Promise<unknown> {
    const store = this.#store;
    switch (action.kind) {
      case 'create': {
        const { handle, created } = await store.getOrCreate(this.#shard, {
          ...request(`t${action.table}`, 40),
          compaction: action.table > 0,
        });
        if (created) this.#handles[action.table]?.push(handle);
        return created;
      }
      case 'begin': {
        const handle = this.#current(action.table);
        const token = randomUUID();
        const begun = await store.snapshotBegin(this.#shard, handle, token);
        if (begun === 'begun') this.#tokens.set(handle, token);
        const [xmax, insertLsn] = [this.#lsn + 102n, (this.#lsn + 3n) as Lsn];
        const visibility = { xmin: xmax - 6n, xmax, xip: [xmax - 5n, xmax - 2n], insertLsn };
        return [begun, await store.snapshotKnown(this.#shard, handle, token, visibility)];
      }
      case 'part': {
        const handle = this.#current(action.table);
        const chunk = (await store.readHead(this.#shard, handle))?.closedChunks ?? 0;
        const part = { chunk, bytes: bytes(`{"chunk":${chunk}}`), close: action.flag };
        return store.snapshotPart(this.#shard, handle, this.#token(handle), part);
      }
      case 'done': {
        const handle = this.#current(action.table);
        return store.snapshotDone(this.#shard, handle, this.#token(handle)).catch((error: Error) => error.message);
      }
      case 'snapshot': {
        const kinds = ['create', 'begin', 'part', 'done'] as const;
        const answers: unknown[] = [];
        for (const kind of kinds) answers.push(await this.act({ ...action, kind, flag: true }));
        return answers;
      }
      case 'fail': {
        const handle = this.#current(action.table);
        return store.snapshotFailed(this.#shard, handle, this.#token(handle), FAILURE);
      }
      case 'beat': {
        const handle = this.#current(action.table);
        const token = this.#token(handle);
        return action.flag
          ? store.snapshotBeat(this.#shard, handle, token)
          : store.snapshotYield(this.#shard, handle, token);
      }
      case 'doubt': {
        const [lsn, xid] = [(this.#lsn - 1n) as Lsn, this.#lsn + (action.flag ? 99n : 97n)];
        const doubts = await store.snapshotDoubts(this.#shard, [{ handle: this.#current(action.table), lsn, xid }]);
        return doubts.length;
      }
      case 'rotate':
        return store.rotate(this.#shard, this.#current(action.table), FAILURE);
      case 'promote':
        return store.promote(this.#shard, this.#current(action.table), action.limit);
      case 'sweep':
        return store.sweep(this.#shard, 0);
      case 'seal':
        // Nothing that a caller sees says whether a store seals.
        await sealAll(store, this.#shard);
        return undefined;
      case 'compact':
        await sealAll(store, this.#shard);
        return store.compact(
          this.#shard,
          this.#current(action.table),
          () => new LastWins((text) => String(text.length % 2)),
        );
      case 'acquire':
        this.#owner = await Owner.acquire(store, this.#shard);
        return this.#owner.state.epoch;
      case 'step':
        return this.#step(action);
    }
  }

  async #step({ whole, sizes, again }: Extract<Action, { kind: 'step' }>): Promise<unknown> {
    const owner = (this.#owner ??= await Owner.acquire(this.#store, this.#shard));
    const fresh = sizes.map((size, i) => ({ table: (size + i) % TABLES, size, lsn: this.#lsn, op: (this.#op += 2) }));
    const places = again ? [...this.#previous, ...fresh] : fresh;
    this.#previous = fresh;
    const entries = places.map(({ table: n, size, lsn, op }): LogEntry => {
      const text = `${n}`.repeat(size);
      return { handle: this.#current(n), position: at(lsn, op), xid: lsn + 100n, bytes: bytes(text) };
    });
    const position = at(this.#lsn, this.#op);
    await owner.refresh();
    const outcome = await owner.try({
      entries,
      transactions: [{ lsn: this.#lsn as Lsn, xid: this.#lsn + 100n }],
      to: { seq: owner.state.cursor.seq + 1, position, openTxSeq: whole ? 0 : 1 },
      ...(whole ? { visible: position, watermark: this.#lsn as Lsn } : {}),
      ...(sizes.length === 0 ? { xmin: this.#lsn + 96n } : {}),
    });
    if (whole) this.#lsn += 1n;
    if (whole) this.#op = 0;
    return outcome;
  }

  #current(n: number): string {
    return this.#handles[n]?.at(-1) ?? '1-1';
  }

  #token(handle: string): string {
    return this.#tokens.get(handle) ?? 'none';
  }

  async observe(): Promise<unknown> {
    const shapes: unknown[] = [];
    for (const [n, handles] of this.#handles.entries()) {
      const current = await this.#store.find(this.#shard, request(`t${n}`).digest);
      shapes.push({ current: current === undefined ? -1 : handles.indexOf(current) });
      for (const handle of handles) {
        const head = await this.#store.readHead(this.#shard, handle);
        if (!head) {
          shapes.push('gone');
          continue;
        }
        const chunks: unknown[] = [];
        for (let chunk = 0; chunk <= head.closedChunks; chunk += 1) {
          const found = await this.#store.readSnapshot(this.#shard, handle, chunk, 0, 20);
          chunks.push(found && { ...found, parts: found.parts.map((one) => Buffer.from(one).toString()) });
        }
        const tail = formatOffset(head.tail);
        shapes.push({ ...head, handle: n, tail, log: await follow(this.#store, this.#shard, handle), chunks });
      }
    }
    const all = this.#handles.flat();
    const { shapes: uses } = await this.#store.scanShapes(this.#shard);
    const { shapes: records } = await this.#store.loadShapes(this.#shard);
    const meta = await this.#store.readMeta(this.#shard);
    return {
      shapes,
      records: records
        .map(({ handle, ...record }) => ({ ...record, name: all.indexOf(handle) }))
        .toSorted((a, b) => a.name - b.name),
      // What is held depends on how; the rest does not.
      uses: uses
        .map(({ handle, heldBytes: _, snapshotToSeal: __, ...use }) => ({ ...use, name: all.indexOf(handle) }))
        .toSorted((a, b) => a.name - b.name),
      meta: meta && { ...meta, owner: '', ver: meta.ver.split(':')[0] },
      ring: await this.#store.readRing(this.#shard, this.#lsn as Lsn),
    };
  }
}

test('redis and memory cannot be told apart', async () => {
  await using redis = disposable(
    openRedisShapeStore({ url: sharedRedisUrl(), limits: LIMITS }, { clock: systemClock, log: silentLogger }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(arbitraryAction, { minLength: 5, maxLength: 80 }), async (actions) => {
      const inRedis = new Run(redis);
      const inMemory = new Run(openMemoryShapeStore(systemClock, LIMITS));
      for (const action of actions) {
        expect([action, await inRedis.act(action)]).toEqual([action, await inMemory.act(action)]);
      }
      expect(await inRedis.observe()).toEqual(await inMemory.observe());
    }),
    { numRuns: Number(process.env['SHAPECAST_PROPERTY_RUNS'] ?? 150) },
  );
});
