import type { Lsn } from '@shapecast/log';
import { expect, test } from 'vitest';
import { Idleness } from './idleness.ts';

const at = (received: number, confirmed: number) => {
  const [durable, told] = [BigInt(received) as Lsn, BigInt(confirmed) as Lsn];
  return { received: durable, durable, confirmed: told, aging: [] };
};
const start = { now: 1_000, walLsn: 100n as Lsn };

test('a source is idle once nothing has happened for the whole time', () => {
  const idle = new Idleness(500, start);
  expect(idle.due(1_499, at(100, 100))).toBe(false);
  expect(idle.due(1_500, at(100, 100))).toBe(true);
  idle.happened(1_400, at(120, 100));
  expect(idle.due(1_899, at(120, 120))).toBe(false);
  expect(idle.due(1_900, at(120, 120))).toBe(true);
});

test('what there was when it woke up, and what came since, has to be confirmed before it sleeps again', () => {
  const page = 1_000_000;
  const idle = new Idleness(500, { now: 1_000, walLsn: BigInt(page) as Lsn });
  expect(idle.due(9_000, at(page, 0))).toBe(false);
  // Though not to the last byte, and not what came since without anybody's asking.
  expect(idle.due(9_000, at(2 * page, page - 100))).toBe(true);
  idle.happened(9_000, at(3 * page, page));
  expect(idle.due(10_000, at(3 * page, 2 * page))).toBe(false);
  expect(idle.due(10_000, at(4 * page, 3 * page))).toBe(true);
});
