import type { Lsn } from '@shapecast/log';
import { openMemoryMessaging } from '@shapecast/messaging';
import { systemClock, type Clock, type Logger } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { WalGuard, type GuardPolicy, type GuardRecord } from './wal-guard.ts';

/** A guard of a slot that keeps what the test says, on a clock that its waits move. */
async function guarding(policy: GuardPolicy, kept: () => number | undefined | Error) {
  let now = 1_000_000;
  const stop = new AbortController();
  const clock: Clock = {
    ...systemClock,
    now: () => now,
    sleep: async (ms) => {
      now += ms;
      await waited((waits += 1));
    },
  };
  let waits = 0;
  let waited: (waits: number) => Promise<void> = async () => undefined;
  const lines: { readonly type: unknown; readonly message: unknown }[] = [];
  const line = (fields: object, message: string) =>
    void lines.push({
      type: 'type' in fields ? fields.type : undefined,
      message: 'message' in fields ? fields.message : message,
    });
  const log: Logger = { error: line, warn: line, info: line, debug: () => undefined, child: () => log };
  const messaging = openMemoryMessaging(systemClock);
  const records = await messaging.registries.open<GuardRecord>('guards');
  let nats = true;
  let drops = 0;
  let dropFails = 0;
  const guard = new WalGuard(
    {
      slot: {
        report: async () => {
          const bytes = kept();
          if (bytes instanceof Error) throw bytes;
          if (bytes === undefined) return undefined;
          const start = 1_000_000n as Lsn;
          return { walLsn: (start + BigInt(bytes)) as Lsn, confirmedLsn: start, restartLsn: start };
        },
        drop: async () => {
          if (dropFails > 0) {
            dropFails -= 1;
            throw new Error('the slot is in use');
          }
          drops += 1;
        },
      },
      records: {
        put: async (key, value) => {
          if (!nats) throw new Error('NATS is away');
          return records.put(key, value);
        },
      },
      clock,
      log,
    },
    { sourceId: 'shop', policy, budget: { bytes: 900n, ageMs: 0 }, intervalMs: 10_000, pauseMs: 60_000 },
  );
  return {
    guard,
    stop,
    lines,
    clock,
    onWait: (callback: typeof waited) => (waited = callback),
    record: async () => (await records.get('shop'))?.value,
    setNats: (up: boolean) => (nats = up),
    failDrops: (times: number) => (dropFails = times),
    drops: () => drops,
  };
}

/** The values one after the other, and then what ends the run. */
function sequence(values: readonly (number | undefined | Error)[], end: () => void) {
  let look = 0;
  return () => {
    if (look >= values.length - 1) end();
    return values[Math.min(look++, values.length - 1)];
  };
}

describe('the guard of a slot', () => {
  test('tells of each stage once, and that it is over', async () => {
    const values = [10, 400, 400, 700, 100];
    const world = await guarding('shed', () => next());
    const next = sequence(values, () => world.stop.abort());
    expect(await world.guard.untilExceeded(world.stop.signal)).toBeUndefined();
    expect(world.lines.map(({ type, message }) => type ?? message)).toEqual([
      'wal_budget_warn',
      'wal_budget_high',
      'WAL kept for the slot is within its budget again',
    ]);
  });

  test('says it again after a while, as long as it lasts', async () => {
    const world = await guarding('alarm', () => next());
    // A look every 10 s, for two minutes and a little.
    const next = sequence(Array<number>(14).fill(1_000), () => world.stop.abort());
    await world.guard.untilExceeded(world.stop.signal);
    expect(world.lines.map(({ type }) => type)).toEqual(Array(3).fill('wal_budget_exceeded'));
  });

  test.each([
    ['alarm', 5_000, false],
    ['shed', 500, false],
    ['shed', 700, true],
    ['shed', 5_000, true],
    ['drop', 700, true],
  ] as const)('with the policy %s and %i of 900 kept, new shapes are refused: %s', async (policy, kept, shedding) => {
    const world = await guarding(policy, () => {
      world.stop.abort();
      return kept;
    });
    await world.guard.untilExceeded(world.stop.signal);
    expect((await world.record())?.shedding).toBe(shedding);
  });

  test.each(['alarm', 'shed'] as const)('with the policy %s the slot stays, whatever it keeps', async (policy) => {
    const world = await guarding(policy, () => next());
    const next = sequence(Array<number>(50).fill(1_000_000), () => world.stop.abort());
    expect(await world.guard.untilExceeded(world.stop.signal)).toBeUndefined();
    expect(world.drops()).toBe(0);
  });

  test('with the policy drop it takes two looks in a row', async () => {
    let looks = 0;
    const values = [1_000, 10, 1_000, new Error('Postgres is away'), 1_000];
    const world = await guarding('drop', () => values[looks++]);
    expect(await world.guard.untilExceeded(world.stop.signal)).toMatch(/^Postgres keeps 0 of 0 MiB of WAL/);
    expect(looks).toBe(values.length);
  });

  test('without a slot there is nothing to guard', async () => {
    const world = await guarding('drop', () => next());
    const next = sequence([1_000, undefined, 1_000, undefined], () => world.stop.abort());
    expect(await world.guard.untilExceeded(world.stop.signal)).toBeUndefined();
    expect(world.guard.view).toBeUndefined();
  });

  test('a dropped slot leaves a stale source, until a while has passed and NATS stores again', async () => {
    const world = await guarding('drop', () => 1_000);
    world.failDrops(2);
    world.setNats(false);
    const seen: (GuardRecord | undefined)[] = [];
    world.onWait(async (waits) => {
      if (waits === 4) world.setNats(true);
      if (waits > 100) world.stop.abort();
      seen.push(await world.record());
    });
    const began = world.clock.now();
    await world.guard.drop('too much', world.stop.signal);
    expect(world.drops()).toBe(1);
    expect(world.clock.now() - began).toBeGreaterThanOrEqual(60_000);
    expect(seen).toContainEqual({ stage: 'exceeded', shedding: true, staleSince: began, reason: 'too much' });
    expect(await world.record()).toMatchObject({ stage: 'ok', shedding: false });
    expect(await world.record()).not.toHaveProperty('staleSince');
  });
});
