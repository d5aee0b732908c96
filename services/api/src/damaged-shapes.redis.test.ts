import { connect } from 'node:net';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { sharedRedisUrl } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { ApiFixture, change, until } from './testing/api-fixture.ts';

/** What readers get when an operator, or a wrong eviction policy, deletes keys of the shape store. */
const fixtures: ApiFixture[] = [];
afterEach(async () => {
  for (const fixture of fixtures.splice(0)) await fixture.stop();
});

/** A pod that has read nothing yet; `first` has the stand-in for the rest of the cluster. */
async function start(first?: ApiFixture): Promise<ApiFixture> {
  const store = openRedisShapeStore({ url: sharedRedisUrl() }, { clock: systemClock, log: silentLogger });
  const fixture = new ApiFixture(first ? { source: first.source } : {}, {
    store,
    ...(first ? { messaging: first.messaging } : {}),
  });
  fixtures.unshift(fixture);
  if (first) await fixture.api.start(new AbortController().signal);
  else await fixture.start();
  await until(() => fixture.api.report().status === 'active');
  return fixture;
}

/** Deletes all keys whose name has `part` in it. Returns how many there were. */
async function deleteKeys(part: string): Promise<number> {
  const url = new URL(sharedRedisUrl());
  const script = `local k = redis.call('KEYS', '*${part}*') for _, n in ipairs(k) do redis.call('DEL', n) end return #k`;
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`EVAL "${script}" 0\r\n`);
  const reply = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
  socket.destroy();
  return Number(reply.toString().slice(1));
}

const REFETCH = '[{"headers":{"control":"must-refetch"}}]';

test.each([
  ['a log', ':l:', 'offset=0_inf'],
  ['a log, read live,', ':l:', 'offset=0_inf&live=true'],
  ['a snapshot', ':b:', 'offset=-1'],
])('F146 %s that is gone ends the shape: its reader starts over with another one', async (_, kind, query) => {
  const one = await start();
  const handle = await one.handle();
  await one.router.commit([{ lsn: 1_000n, entries: { [handle]: [change(3, 1_000n)] } }]);
  const two = await start(one);
  expect(await deleteKeys(`${kind}${handle}`)).toBe(1);

  const reply = await two.shape(`${query}&handle=${handle}`);
  expect([reply.status, reply.text]).toEqual([409, REFETCH]);
  const next = await two.handle();
  expect(next).not.toBe(handle);
  // Also for those who were served by a pod that had read it before.
  expect((await one.shape(`offset=0_inf&handle=${handle}`)).status).toBe(409);
  expect((await one.shape(`offset=-1`)).headers['electric-handle']).toBe(next);
});

test('F144 an emptied store is not an error: every shape starts over', async () => {
  const one = await start();
  const handle = await one.handle();
  expect(await deleteKeys(one.source)).toBeGreaterThan(3);
  await one.router.start();
  const reply = await one.shape(`offset=0_inf&handle=${handle}`);
  expect([reply.status, reply.text]).toEqual([409, REFETCH]);
  expect(reply.headers['electric-handle']).not.toBe(handle);
});
