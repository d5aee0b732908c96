import type { SlotHold } from '@shapecast/change-source';
import type { Lsn } from '@shapecast/log';
import {
  BUCKETS,
  openMemoryMessaging,
  type GuardRecord,
  type Registries,
  type SourceRecord,
} from '@shapecast/messaging';
import { systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { SessionGate, type Standing } from '../session-gate.ts';
import { WalGuard, type GuardPolicy } from './wal-guard.ts';

const SOURCE = 'shop';
const INTERVAL_MS = 10_000;
const PAUSE_MS = 60_000;
const BUDGET = 900;
const PATIENCE_MS = 30_000;

/** Bytes kept for the slot; undefined: there is none. */
type Kept = number | undefined | Error;

/** A guard whose world the test sets up and looks at between its waits, on a clock that these move. */
async function guarding(policy: GuardPolicy, options: { readonly connect?: boolean; readonly ageMs?: number } = {}) {
  const stop = new AbortController();
  const world = {
    now: 1_000_000,
    kept: (): Kept => 0,
    standing: 'leading' as Standing,
    storedLsn: undefined as Lsn | undefined,
    /** Somebody else has the lock. */
    locked: false,
    nats: true,
    /** What the next attempts to drop the slot come to, before they work. */
    dropsFail: [] as ('fails' | 'lock taken')[],
    drops: 0,
    droppedAt: 0,
    released: 0,
    lost: new AbortController(),
    onWait: (_ms: number): void | Promise<void> => undefined,
  };
  const clock: Clock = {
    ...systemClock,
    now: () => world.now,
    wall: () => world.now,
    sleep: async (ms, signal) => {
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      world.now += ms;
      await world.onWait(ms);
      signal?.throwIfAborted();
    },
  };
  const lines: { readonly type: unknown; readonly message: unknown }[] = [];
  const line = (fields: object, message: string) =>
    void lines.push({
      type: 'type' in fields ? fields.type : undefined,
      message: 'message' in fields ? fields.message : message,
    });
  const log: Logger = { error: line, warn: line, info: line, debug: () => undefined, child: () => log };
  const { registries } = openMemoryMessaging(systemClock);
  const guards = await registries.open<GuardRecord>(BUCKETS.guards.name);
  const sources = await registries.open<SourceRecord>(BUCKETS.sources.name);
  await sources.put(SOURCE, { incarnation: 7, shards: 1, systemId: '1', timeline: 1, slotName: 'slot' });
  const reachable: Registries = {
    open: async (bucket, given) => {
      if (!world.nats) throw new Error('NATS is away');
      return registries.open(bucket, given);
    },
  };
  const gate = new SessionGate();
  gate.standing = () => world.standing;
  gate.storedLsn = () => world.storedLsn;
  const hold: SlotHold = { lost: world.lost.signal, release: async () => void (world.released += 1) };
  const guard = new WalGuard(
    {
      slot: {
        report: async () => {
          const bytes = world.kept();
          if (bytes instanceof Error) throw bytes;
          if (bytes === undefined || world.drops > 0) return undefined;
          const start = 1_000_000n as Lsn;
          const walLsn = (start + BigInt(bytes)) as Lsn;
          const locked = world.locked || world.standing !== 'none';
          return { walLsn, confirmedLsn: start, restartLsn: start, locked, walStatus: 'reserved' };
        },
        drop: async () => {
          const fate = world.dropsFail.shift();
          if (fate === 'fails') throw new Error('the slot is in use');
          if (fate === 'lock taken') return undefined;
          world.drops += 1;
          world.droppedAt = world.now;
          return hold;
        },
      },
      gate,
      clock,
      log,
    },
    {
      sourceId: SOURCE,
      policy,
      budget: { bytes: BigInt(BUDGET), ageMs: options.ageMs ?? 0 },
      intervalMs: INTERVAL_MS,
      pauseMs: PAUSE_MS,
      patienceMs: PATIENCE_MS,
    },
  );
  if (options.connect !== false) guard.connect(reachable);
  return Object.assign(world, {
    guard,
    gate,
    lines,
    connect: () => guard.connect(reachable),
    types: () => lines.map(({ type, message }) => type ?? message),
    record: async () => (await guards.get(SOURCE))?.value,
    clear: () => guards.delete(SOURCE),
    /** The looks see these, one after the other, and then it is over. */
    looks: async (values: readonly Kept[], between: (look: number) => void | Promise<void> = () => undefined) => {
      let look = 0;
      world.kept = () => values[look++];
      world.onWait = async () => {
        await between(look);
        if (look >= values.length) stop.abort();
      };
      await guard.run(stop.signal);
    },
    /** Runs until `done` says so. */
    until: async (done: () => boolean | Promise<boolean>) => {
      let waits = 0;
      world.onWait = async () => {
        if ((waits += 1) > 200 || (await done())) stop.abort();
      };
      await guard.run(stop.signal);
      expect(waits).toBeLessThanOrEqual(200);
    },
  });
}

describe('the guard of a slot', () => {
  test('tells of each stage once, and that it is over', async () => {
    const world = await guarding('shed');
    await world.looks([10, 400, 400, 700, 100]);
    expect(world.types()).toEqual([
      'wal_budget_warn',
      'wal_budget_high',
      'WAL kept for the slot is within its budget again',
    ]);
  });

  test('says it again after a while, as long as it lasts', async () => {
    const world = await guarding('alarm');
    // A look every 10 s, for two minutes and a little.
    await world.looks(Array<number>(14).fill(1_000));
    expect(world.types()).toEqual(Array(3).fill('wal_budget_exceeded'));
  });

  test('says once that it cannot look', async () => {
    const world = await guarding('drop');
    const away = new Error('Postgres is away');
    await world.looks([away, away, away, 10, away]);
    expect(world.types()).toEqual(Array(2).fill('the WAL kept for the slot cannot be looked at'));
    expect(world.drops).toBe(0);
  });

  test.each([
    ['alarm', 5_000, false],
    ['shed', 500, false],
    ['shed', 700, true],
    ['shed', 5_000, true],
    ['drop', 700, true],
  ] as const)('with the policy %s and %i of 900 kept, new shapes are refused: %s', async (policy, kept, shedding) => {
    const world = await guarding(policy);
    await world.looks([kept]);
    expect(await world.record()).toMatchObject({ shedding });
    expect(await world.record()).not.toHaveProperty('stale');
  });

  test('writes news, and what it knows once a minute: somebody may have written something else', async () => {
    const world = await guarding('shed');
    const seen: number[] = [];
    await world.looks(Array<number>(14).fill(10), async (look) => {
      if ((await world.record()) !== undefined) seen.push(look);
      await world.clear();
    });
    expect(seen).toEqual([1, 7, 13]);
  });

  test('only who leads writes: others know of a new incarnation too late', async () => {
    for (const standing of ['none', 'locked'] as const) {
      const world = await guarding('shed');
      world.standing = standing;
      await world.looks([700, 1_000]);
      expect(await world.record()).toBeUndefined();
      expect(world.types()).toEqual(['wal_budget_high', 'wal_budget_exceeded']);
    }
  });

  test('leaves everything to the process that holds the lock', async () => {
    const world = await guarding('drop');
    world.standing = 'none';
    world.locked = true;
    await world.looks(Array<number>(10).fill(5_000));
    expect([world.drops, world.lines, await world.record()]).toEqual([0, [], undefined]);
    expect(world.guard.report).toMatchObject({ policy: 'drop', stage: 'exceeded', retainedBytes: '5000' });
  });

  test.each(['alarm', 'shed'] as const)('with the policy %s the slot stays, whatever it keeps', async (policy) => {
    const world = await guarding(policy);
    await world.looks(Array<number>(50).fill(1_000_000));
    expect(world.drops).toBe(0);
  });

  test('with the policy drop it takes two looks in a row', async () => {
    const world = await guarding('drop');
    let look = 0;
    await world.looks([1_000, 10, 1_000, undefined, 1_000, new Error('Postgres is away'), 1_000, 10], (now) => {
      if (world.drops === 0) look = now;
    });
    expect([world.drops, look]).toEqual([1, 6]);
    expect(world.lines.find(({ type }) => type === 'source_stale')?.message).toMatch(
      /Postgres keeps 0 of 0 MiB of WAL/,
    );
  });

  test('and six while nobody leads, who might be able to catch up', async () => {
    for (const standing of ['none', 'locked'] as const) {
      const world = await guarding('drop');
      world.standing = standing;
      let look = 0;
      await world.looks(Array<number>(10).fill(1_000), (now) => {
        if (world.drops === 0) look = now;
      });
      expect([world.drops, look]).toEqual([1, 5]);
    }
  });

  test('a slot whose WAL is stored already and only has to be confirmed is left alone, for a while', async () => {
    const world = await guarding('drop');
    world.storedLsn = 1_001_000n as Lsn;
    let look = 0;
    await world.looks(Array<number>(10).fill(1_000), (now) => {
      if (world.drops === 0) look = now;
    });
    // Three intervals of patience after the first look, and then two looks.
    expect([world.drops, look]).toEqual([1, 5]);
    expect(world.types()[0]).toBe('wal_budget_exceeded');
  });

  test('the budget in time counts too', async () => {
    const world = await guarding('drop', { ageMs: 3 * INTERVAL_MS });
    let look = 0;
    await world.looks(Array<number>(8).fill(10), (now) => {
      if (world.drops === 0) look = now;
    });
    // Used up after three intervals, and two looks in a row have to say so.
    expect([world.drops, look]).toEqual([1, 4]);
    expect(world.types()).toEqual([
      'wal_budget_warn',
      'wal_budget_high',
      'wal_budget_exceeded',
      'source_stale',
      expect.anything(),
    ]);
  });

  test('without a slot there is nothing to guard', async () => {
    const world = await guarding('drop');
    await world.looks([1_000, undefined, 1_000, undefined]);
    expect([world.drops, world.guard.report]).toEqual([0, { policy: 'drop' }]);
  });
});

describe('a slot that is given up', () => {
  test('ends the session first, is dropped once, and the source goes on after a while', async () => {
    const world = await guarding('drop');
    world.kept = () => 1_000;
    let ended = false;
    const session = world.gate.pass(async (signal) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      expect(world.drops).toBe(0);
      ended = true;
    }, new AbortController().signal);
    await world.until(async () => {
      if (world.drops === 0 || world.released > 0) return world.released > 0;
      expect(world.gate.closedBecause).toMatch(/^The source is paused/);
      expect(world.guard.report).toMatchObject({ staleSince: expect.any(String) as string });
      return false;
    });
    await session;
    expect([ended, world.drops, world.released]).toEqual([true, 1, 1]);
    expect(world.now - world.droppedAt).toBeGreaterThanOrEqual(PAUSE_MS);
    expect(world.gate.closedBecause).toBeUndefined();
    expect(world.guard.report).toEqual({ policy: 'drop' });
  });

  test('says of which incarnation, as soon as NATS stores, and does not go on before', async () => {
    const world = await guarding('drop', { connect: false });
    world.kept = () => 1_000;
    world.nats = false;
    let waits = 0;
    await world.until(async () => {
      if (world.drops === 0) return false;
      waits += 1;
      expect(waits < 100 ? world.released : 0).toBe(0);
      // First it is not reached at all, then it does not store.
      if (waits === 50) world.connect();
      if (waits === 100) world.nats = true;
      return world.released > 0;
    });
    expect(waits).toBeGreaterThan(100);
    expect(await world.record()).toMatchObject({
      stage: 'exceeded',
      shedding: false,
      stale: { incarnation: 7, since: world.droppedAt },
    });
    expect(world.types().filter((type) => type === 'NATS does not store, the source stays paused')).toHaveLength(1);
  });

  test('stays when another process takes the lock in between', async () => {
    const world = await guarding('drop');
    world.dropsFail.push('lock taken');
    await world.looks([1_000, 1_000, 10, 10]);
    expect([world.drops, world.gate.closedBecause]).toEqual([0, undefined]);
    expect(world.types()).not.toContain('source_stale');
  });

  test('is tried again when that fails, and then the source goes on', async () => {
    const world = await guarding('drop');
    world.dropsFail.push(...Array<'fails'>(6).fill('fails'));
    const attempts: number[] = [];
    world.kept = () => 1_000;
    await world.until(() => {
      if (world.gate.closedBecause === undefined) attempts.push(6 - world.dropsFail.length);
      return world.drops > 0;
    });
    expect([...new Set(attempts)]).toEqual([0, 5]);
    expect(world.drops).toBe(1);
  });

  test('whose lock is lost meanwhile is no longer ours to wait for', async () => {
    const world = await guarding('drop');
    world.kept = () => 1_000;
    world.nats = false;
    await world.until(() => {
      if (world.drops > 0) world.lost.abort();
      return world.released > 0;
    });
    expect([world.drops, world.gate.closedBecause, await world.record()]).toEqual([1, undefined, undefined]);
  });

  test('frees the lock when the process stops', async () => {
    const world = await guarding('drop');
    world.kept = () => 1_000;
    world.nats = false;
    await world.until(() => world.drops > 0);
    expect(world.released).toBe(1);
  });
});
