import type { ShapeUse } from '@shapecast/shape-store';
import { afterEach, expect, test } from 'vitest';
import { ApiFixture } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

async function shapes(api: ApiFixture): Promise<ShapeUse[]> {
  const pages = await Promise.all([0, 1].map((shard) => api.store.scanShapes(api.router.shard(shard))));
  return pages.flatMap((page) => page.shapes);
}

test('a shape is compacted if its first request asked for it', async () => {
  const api = (fixture = await new ApiFixture().start());
  const handle = await api.handle('experimental_compaction=true');
  expect(await shapes(api)).toMatchObject([{ handle, compaction: true }]);
});

test('compaction is not part of the identity: whoever asks later gets the shape that is there', async () => {
  const api = (fixture = await new ApiFixture().start());
  const handle = await api.handle();
  expect(await api.handle('experimental_compaction=true')).toBe(handle);
  expect(await api.handle('experimental_compaction=false')).toBe(handle);
  expect(await shapes(api)).toMatchObject([{ handle, compaction: false }]);
});
