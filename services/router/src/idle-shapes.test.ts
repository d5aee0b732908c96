import { queryObjects } from 'node:v8';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { EncodedMessage } from './matching/encoded-change.ts';
import { RoutedShape } from './matching/routed-shape.ts';
import { Step } from './matching/step.ts';
import { Harness, type PlacedShape } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

const open: Harness[] = [];
afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

/** Objects of a class that are reachable, after a garbage collection. */
const alive = (of: new (...args: never[]) => unknown): number => queryObjects(of, { format: 'count' });

test('A22 an idle shape costs the router its index entry and nothing else, and its next change is delivered', async () => {
  const shapes = 60;
  const harness = new Harness({ shards: 2 });
  open.push(harness);
  await harness.open();
  const router = await harness.startRouter('one', { worker: { lingerMs: 5, emptyLingerMs: 5 } });
  const placed: PlacedShape[] = [];
  for (let i = 0; i < shapes; i += 1) placed.push(await harness.createShape({ where: `owner = 'o${i}'` }));
  const isLive = async ({ shard, handle }: PlacedShape) =>
    (await harness.store.readHead(shard, handle))?.state === 'live';
  for (const shape of placed) await waitFor(() => isLive(shape));

  const write = async (round: number) => {
    harness.commit((transaction) => {
      for (let i = 0; i < shapes; i += 1) {
        transaction.insert(harness.items, { id: `${round}.${i}`, owner: `o${i}`, note: 'x'.repeat(500) });
      }
    });
    await harness.flush();
    await harness.progress();
    const delivered = async (shape: PlacedShape) => (await readShape(harness.store, shape)).log.length === round;
    for (const shape of placed) await waitFor(() => delivered(shape));
  };
  for (const round of [1, 2, 3]) await write(round);
  // Nothing is at hand any more.
  await waitFor(() => router.report()['lag'] === 0);
  const left = { shapes: alive(RoutedShape), messages: alive(EncodedMessage), steps: alive(Step) };
  expect(left).toMatchObject({ shapes, steps: 0 });
  // The encoder of a table remembers its last one, in each shard.
  expect(left.messages).toBeLessThanOrEqual(2);
  await write(4);
});
