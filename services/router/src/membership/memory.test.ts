import { waitFor } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { Harness } from '../testing/harness.ts';

test('F132 a router that is short of memory reads less ahead, then hands shards to another one', async () => {
  const harness = new Harness({ shards: 8 });
  onTestFinished(() => harness.close());
  await harness.open();
  let use = 0.5;
  const short = await harness.startRouter('short', { heapUse: () => use, memoryLookMs: 20 });
  const other = await harness.startRouter('other');
  await waitFor(() => short.report()['owned'] === 4 && other.report()['owned'] === 4);
  use = 0.9;
  await waitFor(() => other.report()['owned'] === 7 && short.report()['owned'] === 1);
  expect(short.report()['prefetch']).toMatchObject({ share: 1 / 8, most: 1 });
  use = 0.5;
  await waitFor(() => short.report()['owned'] === 4);
  expect(short.report()).toMatchObject({ ready: true, status: 'active' });
});
