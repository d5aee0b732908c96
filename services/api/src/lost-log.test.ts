import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { afterEach, expect, test } from 'vitest';
import { ApiFixture, change } from './testing/api-fixture.ts';
import { counted } from './testing/counted-store.ts';

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

test.each([
  ['a read', ''],
  ['a live read', '&live=true'],
])(
  '%s whose shape ends, and goes with its data, after the head was read is a 409 and no empty page',
  async (_, live) => {
    const inner = openMemoryShapeStore(systemClock);
    let end = async (): Promise<void> => {};
    const { store } = counted(inner, (name) => (name === 'readLog' ? end() : undefined));
    const api = (fixture = await new ApiFixture({}, { store }).start());
    const handle = await api.handle();
    await api.router.commit([{ lsn: 1_000n, entries: { [handle]: [change(3, 1_000n)] } }]);
    end = async () => {
      const shards = [0, 1].map((shard) => api.router.shard(shard));
      for (const shard of shards) {
        await inner.rotate(shard, handle, { code: 'SCHEMA_CHANGED', message: 'ended by the test' });
        await inner.sweep(shard, 0);
      }
    };
    const reply = await api.shape(`offset=0_inf&handle=${handle}${live}`);
    expect([reply.status, reply.text]).toEqual([409, '[{"headers":{"control":"must-refetch"}}]']);
  },
);
