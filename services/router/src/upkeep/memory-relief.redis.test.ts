import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { startRedis, waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';

const SHAPES = 24;
const ROW_BYTES = 100_000;

test('a Redis above its high-water mark gets down to it at the cost of the shapes that were read longest ago', async () => {
  const redis = await startRedis({ appendonly: false });
  const store = openRedisShapeStore({ url: redis.url }, { clock: systemClock, log: silentLogger });
  const harness = new Harness({ shards: 2, store });
  const command = async (text: string) => {
    const socket = connect(redis.port, '127.0.0.1');
    socket.write(`${text}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    return answer.toString();
  };
  const usedBytes = async () => Number(/used_memory:(\d+)/.exec(await command('INFO memory'))?.[1]);
  try {
    await harness.open();
    harness.commit((tx) => {
      for (let i = 0; i < SHAPES; i += 1) {
        // Nothing that compression makes smaller.
        const note = randomBytes(ROW_BYTES / 2).toString('hex');
        tx.insert(harness.items, { id: String(i), owner: `o${i}`, note });
      }
    });
    await harness.flush();
    await harness.startRouter('one', {
      sweepGraceMs: 300,
      sweepIntervalMs: 50,
      upkeep: { reliefMs: 50, sealMs: 3_600_000, shapeRoundMs: 3_600_000 },
    });
    const shapes: PlacedShape[] = [];
    for (let i = 0; i < SHAPES; i += 1) shapes.push(await harness.createShape({ where: `owner = 'o${i}'` }));
    const stateOf = async ({ shard, handle }: PlacedShape) => (await store.readHead(shard, handle))?.state;
    for (const shape of shapes) await waitFor(async () => (await stateOf(shape)) === 'live');
    for (const [i, { shard, handle }] of shapes.entries()) {
      await store.recordReads(shard, [{ handle, agoMs: 1_000 * (SHAPES - i), waiting: false }], 1_000);
    }

    const maxBytes = Math.round((await usedBytes()) / 0.95);
    await command(`CONFIG SET maxmemory ${maxBytes}`);
    await waitFor(async () => (await usedBytes()) <= 0.8 * maxBytes, { describe: () => 'there is no more room' });
    const states = await Promise.all(shapes.map(stateOf));
    const ended = states.findIndex((state) => state === 'live');
    expect(states.slice(ended)).toEqual(states.slice(ended).map(() => 'live'));
    // What lies above is some 0.17 of all there is, and a shape weighs about one part in 24 of most of it.
    expect(ended).toBeGreaterThanOrEqual(3);
    // Not all of what ended is deleted by the time that it is looked whether more has to end; half is far from what is needed.
    expect(ended).toBeLessThanOrEqual(12);
  } finally {
    await harness.close();
    await redis.stop();
  }
});
