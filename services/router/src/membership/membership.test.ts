import { openMemoryMessaging, type Registries, type RouterRecord } from '@shapecast/messaging';
import { ShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Membership } from './membership.ts';
import { ProcessHeartbeat } from './process-heartbeat.ts';

const stop: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of stop.splice(0)) await end();
});

function join(routerId: string, registries: Registries, source = 's') {
  const deps = { registries, clock: systemClock, log: silentLogger };
  const heartbeat = new ProcessHeartbeat(deps, { routerId, heartbeatMs: 20, leaseMs: 200 });
  const membership = new Membership({ ...deps, heartbeat }, { source }, () => {});
  const ending = new AbortController();
  const running = Promise.all([heartbeat.run(ending.signal), membership.run(ending.signal)]);
  membership.join();
  const end = async () => {
    ending.abort();
    await running;
  };
  stop.push(end);
  return { heartbeat, membership, end };
}

const ids = (membership: Membership) => membership.live.map(({ id }) => id).join();
const reluctance = (membership: Membership, router: string) =>
  membership.live.find(({ id }) => id === router)?.reluctant;

/** Registries that one process at a time can be cut off from. */
function cuttable(registries: Registries) {
  let cut = false;
  const guarded: Registries = {
    open: async (bucket, options) => {
      const registry = await registries.open(bucket, options);
      return new Proxy(registry, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return async (...args: readonly unknown[]): Promise<unknown> => {
            if (cut) throw new ShapecastError('STREAM_UNAVAILABLE', 'cut off');
            return (value as (...args: readonly unknown[]) => unknown).apply(target, [...args]);
          };
        },
      }) as never;
    },
  };
  return { guarded, set: (value: boolean) => void (cut = value) };
}

test('routers see each other come, own and go', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const one = join('one', registries);
  const two = join('two', registries);
  await waitFor(() => ids(one.membership) === 'one,two' && ids(two.membership) === 'one,two');
  two.membership.hold({ owned: [3], prepared: [5] });
  await waitFor(() => one.membership.live[1]?.owned.join() === '3');
  expect(one.membership.live[1]?.prepared).toEqual([5]);
  await two.membership.leave();
  expect(one.membership.live[1]?.reluctant).toBe('leaving');
  two.membership.hold({ owned: [], prepared: [] });
  await two.end();
  await waitFor(() => ids(one.membership) === 'one');
});

test('one that ends without a word is missed after the lease, and so is its absence no surprise to itself', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const one = join('one', registries);
  const two = join('two', registries);
  await waitFor(() => ids(one.membership) === 'one,two');
  await two.end();
  await waitFor(() => ids(one.membership) === 'one');
  expect(one.membership.current).toBe(true);
  await waitFor(() => !two.membership.current);
});

test('F106 one that is cut off knows it, keeps its picture of the others, and waits longer each time it comes back', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const { guarded, set } = cuttable(registries);
  const one = join('one', registries);
  const two = join('two', guarded);
  await waitFor(() => ids(two.membership) === 'one,two' && ids(one.membership) === 'one,two');
  const cutOff = async () => {
    set(true);
    await waitFor(() => !two.membership.current && ids(one.membership) === 'one');
    expect(ids(two.membership)).toBe('one,two');
    set(false);
    await waitFor(() => two.membership.current && ids(one.membership) === 'one,two');
  };
  await cutOff();
  expect(reluctance(one.membership, 'two')).toBeUndefined();
  await cutOff();
  await waitFor(() => reluctance(one.membership, 'two') === 'unsteady');
});

test('a process that ends again and again without leaving is not trusted with shards at once', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const observer = join('observer', registries).membership;
  const lives: unknown[] = [];
  for (let life = 0; life < 3; life += 1) {
    const { membership, end } = join('one', registries);
    await waitFor(() => membership.current && ids(observer).includes('one'));
    await waitFor(() => reluctance(observer, 'one') === reluctance(membership, 'one'));
    lives.push(reluctance(membership, 'one'));
    await end();
  }
  expect(lives).toEqual([undefined, undefined, 'unsteady']);

  // One that leaves in good order begins anew.
  const tidy = join('two', registries);
  await waitFor(() => tidy.membership.current);
  await tidy.membership.leave();
  await tidy.heartbeat.leave();
  await tidy.end();
  const again = join('two', registries);
  await waitFor(() => again.membership.current && reluctance(observer, 'two') === undefined);
  expect(reluctance(again.membership, 'two')).toBeUndefined();
});

test('F97 a registry that was lost is filled again, and nobody counts as dead for it', async () => {
  let { registries } = openMemoryMessaging(systemClock);
  const replaceable: Registries = {
    open: async (bucket, options) =>
      new Proxy({} as never, {
        get: (_, name) => {
          if (name === 'then') return undefined;
          return async (...args: readonly unknown[]) => {
            const registry = (await registries.open(bucket, options)) as never as Record<
              string,
              (...args: readonly unknown[]) => unknown
            >;
            return registry[name as string]?.(...args);
          };
        },
      }),
  };
  const one = join('one', replaceable).membership;
  const two = join('two', replaceable).membership;
  await waitFor(() => ids(one) === 'one,two' && ids(two) === 'one,two');
  let shrunk = false;
  registries = openMemoryMessaging(systemClock).registries;
  const beats = async () =>
    (await (await registries.open('shapecast_processes')).list('router-')).map(({ revision }) => revision);
  // Several leases.
  await waitFor(async () => {
    shrunk ||= ids(one) !== 'one,two' || ids(two) !== 'one,two';
    return Math.max(0, ...(await beats())) > 60;
  });
  expect(shrunk).toBe(false);
});

test('F97 what a router holds is written again when the registry has lost it, and the router lives on meanwhile', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const one = join('one', registries).membership;
  const two = join('two', registries).membership;
  two.hold({ owned: [3], prepared: [] });
  await waitFor(() => one.live.some(({ owned }) => owned.includes(3)));
  let missed = false;
  const routers = await registries.open<RouterRecord>('shapecast_routers');
  const stopWatching = await routers.watch('s.two', () => {
    missed ||= ids(one) !== 'one,two' || one.live[1]?.owned.join() !== '3';
  });
  await routers.delete('s.two');
  await waitFor(async () => (await routers.get('s.two'))?.value.owned.join() === '3');
  stopWatching();
  expect(missed).toBe(false);
});

test('4.8 sources of one process share its heartbeat: they come, change and go by themselves, and die together', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const deps = { registries, clock: systemClock, log: silentLogger };
  const sources = ['s', 't', 'u'];
  const observers = sources.map((source) => join('observer', registries, source));
  const heartbeat = new ProcessHeartbeat(deps, { routerId: 'many', heartbeatMs: 20, leaseMs: 200 });
  const ending = new AbortController();
  const leaving = new AbortController();
  const memberships = sources.map((source) => new Membership({ ...deps, heartbeat }, { source }, () => {}));
  const running = Promise.all([
    heartbeat.run(ending.signal),
    ...memberships.map((one, i) => one.run(i === 0 ? leaving.signal : ending.signal)),
  ]);
  for (const one of memberships) one.join();
  const sees = (i: number) => ids((observers[i] as (typeof observers)[number]).membership).includes('many');
  await waitFor(() => sources.every((_, i) => sees(i)));
  const routers = await registries.open<RouterRecord>('shapecast_routers');
  const revision = async (source: string) => (await routers.get(`${source}.many`))?.revision;
  const before = await Promise.all(sources.map(revision));
  memberships[1]?.hold({ owned: [1], prepared: [] });
  await waitFor(() => observers[1]?.membership.live.some(({ owned }) => owned.includes(1)) === true);
  expect([await revision('s'), await revision('u')]).toEqual([before[0], before[2]]);

  // The process stops working for one of them.
  leaving.abort();
  await memberships[0]?.end();
  await waitFor(() => !sees(0));
  expect(await routers.get('s.many')).toBeUndefined();
  expect([sees(1), sees(2)]).toEqual([true, true]);

  ending.abort();
  await running;
  await waitFor(() => !sees(1) && !sees(2));
});

test('what a router held before its process began anew is nobody’s, however soon that was', async () => {
  const { registries } = openMemoryMessaging(systemClock);
  const observer = join('observer', registries).membership;
  const first = join('one', registries);
  first.membership.hold({ owned: [1, 2], prepared: [] });
  await waitFor(() => observer.live.some(({ owned }) => owned.length === 2));
  await first.end();
  // It begins, and never gets to take part in the source.
  const deps = { registries, clock: systemClock, log: silentLogger };
  const heartbeat = new ProcessHeartbeat(deps, { routerId: 'one', heartbeatMs: 20, leaseMs: 200 });
  const ending = new AbortController();
  const running = heartbeat.run(ending.signal);
  stop.push(async () => {
    ending.abort();
    await running;
  });
  await waitFor(() => heartbeat.current && ids(observer) === 'observer');
  const routers = await registries.open<RouterRecord>('shapecast_routers');
  expect((await routers.get('s.one'))?.value.owned).toEqual([1, 2]);
});
