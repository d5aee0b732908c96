import { expect, test } from 'vitest';
import { freePort } from './free-port.ts';

test('ports are not given out twice, and workers of one run have their own', async () => {
  const ports: number[] = [];
  for (let i = 0; i < 100; i += 1) ports.push(await freePort());
  expect(new Set(ports).size).toBe(100);
  const worker = Number(process.env['VITEST_POOL_ID']);
  expect(worker).toBeGreaterThan(0);
  expect(new Set(ports.map((port) => Math.floor((port - 18_000) / 1_500)))).toEqual(new Set([(worker - 1) % 8]));
});
