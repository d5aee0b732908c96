import { ShardPins } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Router } from '../router-options.ts';
import { Harness } from '../testing/harness.ts';

let harness: Harness;
beforeEach(async () => {
  harness = new Harness({ shards: 4 });
  await harness.open();
});
afterEach(() => harness.close());

const owned = (router: Router): number[] =>
  (router.report()['shards'] as { readonly shard: number; readonly owned: boolean }[])
    .flatMap(({ shard, owned: own }) => (own ? [shard] : []))
    .toSorted();

test('a shard that an operator moves changes hands, stays there, and goes back when that is taken back', async () => {
  const [one, two] = [await harness.startRouter('one'), await harness.startRouter('two')];
  await waitFor(() => owned(one).length === 2 && owned(two).length === 2);
  const before = { one: owned(one), two: owned(two) };
  const moving = before.one[0] as number;
  const { registries } = harness.messaging;
  const pins = new ShardPins({ registries, clock: systemClock, log: silentLogger }, harness.source);
  await pins.set(moving, 'two');
  await waitFor(() => owned(two).length === 3);
  expect(owned(two)).toEqual([...before.two, moving].toSorted());
  expect(owned(one)).toEqual(before.one.slice(1));
  harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: 'n' }));
  await harness.flush();
  await waitFor(() => two.report()['ready'] === true && one.report()['ready'] === true);
  expect(owned(two)).toContain(moving);
  await pins.set(moving, undefined);
  await waitFor(() => owned(one).length === 2 && owned(two).length === 2);
  expect({ one: owned(one), two: owned(two) }).toEqual(before);
});
