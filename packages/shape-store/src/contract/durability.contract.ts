import { describe, expect, test } from 'vitest';
import { at, disposable, entry, liveShape, newShard, Owner, type OpenStore } from './fixtures.ts';
import { untilDurable } from '../testing/until-durable.ts';

export function describeDurability(open: OpenStore): void {
  describe('durable cursor', () => {
    test('of a shard that does not exist is unknown', async () => {
      await using store = disposable(await open());
      expect(await store.durableCursor(newShard())).toBeUndefined();
    });

    test('R 12.4.3 comes to where the shard stands, and never beyond', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(10)));
      await untilDurable(store, shard, owner.state.cursor);
      const before = owner.state.cursor;
      const asked = store.durableCursor(shard);
      await owner.write(entry(handle, at(11)));
      const sure = await asked;
      if (sure) expect([before, owner.state.cursor]).toContainEqual(sure);
      await untilDurable(store, shard, owner.state.cursor);
    });

    test('many shards may ask at once', async () => {
      await using store = disposable(await open());
      const shards = Array.from({ length: 5 }, newShard);
      const owners = await Promise.all(shards.map((shard) => Owner.acquire(store, shard)));
      for (const [i, owner] of owners.entries()) await owner.apply(owner.step([], BigInt(i + 1)));
      await Promise.all(owners.map((owner, i) => untilDurable(store, shards[i]!, owner.state.cursor)));
    });
  });
}
