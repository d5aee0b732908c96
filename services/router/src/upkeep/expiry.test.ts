import { randomUUID } from 'node:crypto';
import {
  BUCKETS,
  openMemoryMessaging,
  RotationJournal,
  type LeaderRecord,
  processKey,
  type ProcessRecord,
  type RouterRecord,
} from '@shapecast/messaging';
import { silentLogger, systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeStore, ShardId, ShardUse, StoreMemory } from '@shapecast/shape-store';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createExpiryJob } from './expiry-job.ts';
import { createHandleJob } from './handle-job.ts';
import { excessOf } from './least-used.ts';
import { createMemoryReliefJob } from './memory-relief-job.ts';
import type { UpkeepJob, UpkeepShard } from './upkeep.ts';

const SHARDS = 4;
const GRACE_MS = 120_000;

interface Known {
  readonly shard: number;
  readonly handle: string;
  readonly readAt?: number;
  readonly waiting?: boolean;
  readonly bytes?: number;
  diedAt?: number;
}

/** A source whose shapes are as the test says; shapes that ended are held for the grace. */
class World {
  now = 1_000_000;
  readonly source = `t${randomUUID().slice(0, 8)}`;
  readonly shapes: Known[] = [];
  readonly ended: string[] = [];
  readonly lines: string[] = [];
  readonly messaging = openMemoryMessaging(systemClock);
  /** Bytes in the store beside the shapes. */
  base = 0;
  maxBytes: number | undefined;
  evicts = false;
  readonly clock: Clock = { ...systemClock, now: () => this.now };
  readonly log = this.#log();

  readonly store: Pick<ShapeStore, 'rotate' | 'leastRead' | 'memory'> = {
    rotate: async (_shard: ShardId, handle: string, _failure: ShapeFailure) => {
      const shape = this.shapes.find((one) => one.handle === handle);
      if (!shape || shape.diedAt !== undefined) return false;
      shape.diedAt = this.now;
      this.ended.push(handle);
      return true;
    },
    leastRead: async ({ shard }, limit, waiting): Promise<ShardUse> => {
      const all = this.shapes.filter((shape) => shape.shard === shard);
      const alive = all.filter(({ diedAt }) => diedAt === undefined);
      return {
        alive: alive.length,
        dyingBytes: all.filter((shape) => this.#isDying(shape)).reduce((sum, { bytes = 0 }) => sum + bytes, 0),
        shapes: alive
          .filter((shape) => shape.readAt !== undefined && (waiting === 'include' || !shape.waiting))
          .map(({ handle, readAt = 0, bytes = 0 }) => ({ handle, readAt, heldBytes: bytes }))
          .sort((a, b) => a.readAt - b.readAt || (a.handle < b.handle ? -1 : 1))
          .slice(0, limit),
      };
    },
    memory: async (): Promise<readonly StoreMemory[]> => {
      if (this.maxBytes === undefined) return [];
      const held = this.shapes.filter((shape) => shape.diedAt === undefined || this.#isDying(shape));
      const usedBytes = this.base + held.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
      return [{ node: 'one', holds: () => true, usedBytes, maxBytes: this.maxBytes, evicts: this.evicts }];
    },
  };

  get deps() {
    const { registries, hints } = this.messaging;
    const { store, clock, log } = this;
    const journal = new RotationJournal({ registries, clock: systemClock, log: silentLogger }, this.source);
    return { store, clock, log, registries, hints, journal };
  }

  shardAt(shard: number): UpkeepShard {
    const id = { source: this.source, incarnation: 1, shard };
    return { id, shards: SHARDS } as unknown as UpkeepShard;
  }

  async active(streaming: boolean, owned = [0, 1, 2, 3]): Promise<void> {
    const { registries } = this.messaging;
    const leaders = await registries.open<LeaderRecord>(BUCKETS.leaders.name);
    await leaders.put(this.source, { holder: 'x', epoch: 1, incarnation: 1, walSenderPid: 1, streaming });
    const routers = await registries.open<RouterRecord>(BUCKETS.routers.name);
    await routers.put(`${this.source}.r`, { id: 'r', owned });
    const processes = await registries.open<ProcessRecord>(BUCKETS.processes.name);
    await processes.put(processKey('r'), { v: 1, id: 'r' });
  }

  #isDying({ diedAt }: Known): boolean {
    return diedAt !== undefined && this.now - diedAt < GRACE_MS;
  }

  #log(): Logger {
    const line = (_fields: object, text: string) => void this.lines.push(text);
    const log: Logger = { error: line, warn: line, info: line, debug: () => {}, child: () => log };
    return log;
  }
}

/** A round, to its end. */
async function round(job: UpkeepJob, shard: UpkeepShard): Promise<number> {
  for (let turns = 1; ; turns += 1) {
    if ((await job.turn(shard, new AbortController().signal)) === 'done') return turns;
    if (turns > 1_000) throw new Error('the round does not end');
  }
}

describe('ELECTRIC_MAX_SHAPES', () => {
  const jobOf = (world: World, maxShapes: number | undefined) =>
    createExpiryJob(world.deps, { periodMs: 1, maxShapes: () => maxShapes });

  async function world(count: number, shape: (i: number) => Partial<Known> = () => ({})): Promise<World> {
    const made = new World();
    for (let i = 0; i < count; i += 1) {
      made.shapes.push({ shard: i % SHARDS, handle: `h${String(i).padStart(4, '0')}`, readAt: 1_000 + i, ...shape(i) });
    }
    await made.active(true);
    return made;
  }

  test('ends the excess, the least recently used first over all shards, in the journal too', async () => {
    const made = await world(10);
    const { journal } = made.deps;
    await round(createExpiryJob({ ...made.deps, journal }, { periodMs: 1, maxShapes: () => 7 }), made.shardAt(0));
    expect(made.ended.toSorted()).toEqual(['h0000', 'h0001', 'h0002']);
    expect(journal.failureOf('h0002')?.code).toBe('SHAPE_EXPIRED');
    expect(made.lines).toContain('the source has reached a limit');
    await round(jobOf(made, 7), made.shardAt(0));
    expect(made.ended).toHaveLength(3);
  });

  test('T29 of shapes read at the same moment those with the smaller handles end', async () => {
    const made = await world(8, () => ({ readAt: 5 }));
    await round(jobOf(made, 5), made.shardAt(0));
    expect(made.ended.toSorted()).toEqual(['h0000', 'h0001', 'h0002']);
  });

  test('spares shapes that were never read and those that somebody waits for, however many', async () => {
    const made = await world(9, (i) => (i < 3 ? { readAt: undefined as never } : i < 6 ? { waiting: true } : {}));
    await round(jobOf(made, 1), made.shardAt(0));
    expect(made.ended.toSorted()).toEqual(['h0006', 'h0007', 'h0008']);
  });

  test('does nothing while the source is not active', async () => {
    const made = await world(5);
    await made.active(false);
    await round(jobOf(made, 1), made.shardAt(0));
    await made.active(true, [0, 1, 2]);
    await round(jobOf(made, 1), made.shardAt(0));
    expect(made.ended).toEqual([]);
    await made.active(true);
    await round(jobOf(made, 1), made.shardAt(0));
    expect(made.ended).toHaveLength(4);
  });

  test('is for the owner of the first shard, and for nobody when it is not set', async () => {
    const made = await world(5);
    await round(jobOf(made, 1), made.shardAt(2));
    await round(jobOf(made, undefined), made.shardAt(0));
    expect(made.ended).toEqual([]);
  });

  test('thousands end in batches', async () => {
    const made = await world(1_500);
    const turns = await round(jobOf(made, 500), made.shardAt(0));
    expect(turns).toBeGreaterThan(4);
    expect(made.ended.toSorted()).toEqual(made.shapes.slice(0, 1_000).map(({ handle }) => handle));
  });

  test('two routers that both take it for theirs, and see each other half-way, do not end too many', () => {
    const shape = fc.record({ shard: fc.nat(3), readAt: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(shape, { maxLength: 30 }), fc.nat(10), fc.nat(4), (list, most, seenBefore) => {
        const all = list.map((one, i) => ({ ...one, handle: `h${i}`, heldBytes: 0 }));
        const usesOf = (gone: ReadonlySet<string>, shards: readonly number[]) =>
          shards.map((shard) => {
            const alive = all.filter((one) => one.shard === shard && !gone.has(one.handle));
            const id = { source: 's', incarnation: 1, shard };
            return [id, { alive: alive.length, dyingBytes: 0, shapes: alive }] as const;
          });
        const none = new Set<string>();
        const first = new Set(excessOf(usesOf(none, [0, 1, 2, 3]), most).map(({ handle }) => handle));
        // The other one looks at some shards before, and at the rest after the first has ended its choice.
        const [early, late] = [[0, 1, 2, 3].slice(0, seenBefore), [0, 1, 2, 3].slice(seenBefore)];
        const second = excessOf([...usesOf(none, early), ...usesOf(first, late)], most);
        const ended = new Set([...first, ...second.map(({ handle }) => handle)]);
        expect(all.length - ended.size).toBe(Math.min(all.length, most));
      }),
    );
  });
});

describe('a store above its high-water mark', () => {
  const options = { periodMs: 1, highWater: 0.8, graceMs: GRACE_MS };

  function world(shape: (i: number) => Partial<Known> = () => ({})): World {
    const made = new World();
    made.maxBytes = 1_000_000;
    for (let i = 0; i < 90; i += 1) {
      made.shapes.push({ shard: i % SHARDS, handle: `h${100 + i}`, readAt: i, bytes: 10_000, ...shape(i) });
    }
    return made;
  }

  test('is relieved of the least recently used shapes, and of no more than it takes, while their data is still there', async () => {
    const made = world();
    const job = createMemoryReliefJob(made.deps, options);
    const shard = made.shardAt(0);
    await round(job, shard);
    const first = made.ended.length;
    expect(made.ended.toSorted()).toEqual(made.shapes.slice(0, first).map(({ handle }) => handle));
    // 120,000 bytes lie above the target of 780,000, and weigh somewhat more than what is counted.
    expect(first).toBeGreaterThan(5);
    expect(first).toBeLessThanOrEqual(12);
    for (let i = 0; i < 10; i += 1) {
      made.now += 10_000;
      await round(job, shard);
    }
    expect(made.ended).toHaveLength(first);
    // Deleted by now, and not quite enough: the rest goes, down to the mark and not further.
    for (let i = 0; i < 10; i += 1) {
      made.now += GRACE_MS + 60_000;
      await round(job, shard);
    }
    const [{ usedBytes = 0 } = {}] = await made.store.memory();
    expect(usedBytes).toBeLessThanOrEqual(780_000);
    expect(usedBytes).toBeGreaterThan(740_000);
    expect(made.lines).toContain('the store has room again');
  });

  test('another owner that takes over in the middle counts what is about to go', async () => {
    const made = world();
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    const first = made.ended.length;
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    expect(made.ended.length - first).toBeLessThanOrEqual(3);
  });

  test('below the mark, and without a limit, nothing ends', async () => {
    const made = world();
    made.base = -100_000;
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    made.maxBytes = undefined;
    made.base = 10_000_000;
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    expect(made.ended).toEqual([]);
  });

  test('shapes that somebody waits for end last', async () => {
    const made = world((i) => ({ waiting: i < 85 }));
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    expect(made.ended.slice(0, 5).toSorted()).toEqual(['h185', 'h186', 'h187', 'h188', 'h189']);
    expect(made.ended.slice(5).every((handle) => handle < 'h185')).toBe(true);
    expect(made.ended.length).toBeGreaterThan(5);
  });

  test('F146 that evicts data raises an alarm every minute', async () => {
    const made = world();
    made.evicts = true;
    made.base = -800_000;
    const job = createMemoryReliefJob(made.deps, options);
    for (let second = 0; second < 120; second += 10) {
      await round(job, made.shardAt(0));
      made.now += 10_000;
    }
    expect(made.lines).toEqual(Array(2).fill('the store evicts data: set maxmemory-policy to noeviction'));
  });

  test('that holds nothing that could end says so', async () => {
    const made = world((_) => ({ readAt: undefined as never }));
    await round(createMemoryReliefJob(made.deps, options), made.shardAt(0));
    expect(made.ended).toEqual([]);
    expect(made.lines).toContain('the store is nearly full, and no shape is left that could end');
  });
});

test('the newest handle of a shard is noted, and nothing of a shard that has issued none', async () => {
  const noted: [number, number][] = [];
  const handles = { note: async (shard: number, newest: number) => void noted.push([shard, newest]) };
  const store = { issuedHandles: async ({ shard }: ShardId) => (shard === 1 ? 77 : 0) };
  const job = createHandleJob({ store, handles }, { periodMs: 1 });
  const world = new World();
  for (const shard of [0, 1]) await round(job, world.shardAt(shard));
  expect(noted).toEqual([[1, 77]]);
});
