import { expect, test } from 'vitest';
import { connectionBudget, permitLimits } from './connection-budget.ts';

test('subsets leave half of the snapshot connections to snapshots, and all together stay within the budget', () => {
  expect(connectionBudget(20)).toEqual({ admin: 4, snapshots: 16, subsets: 8 });
  expect(connectionBudget(5)).toEqual({ admin: 1, snapshots: 4, subsets: 2 });
  for (let size = 2; size <= 200; size += 1) {
    const { admin, snapshots, subsets } = connectionBudget(size);
    expect(admin + snapshots).toBe(size);
    expect(subsets).toBeLessThanOrEqual(Math.max(1, snapshots / 2));
  }
});

test('there are as many permits as connections, and at least one of each part', () => {
  for (let size = 1; size <= 40; size += 1) {
    const { admin, snapshots } = permitLimits(size);
    expect(admin.total + snapshots.total).toBe(Math.max(2, size));
    expect(Math.min(admin.total, snapshots.total)).toBeGreaterThanOrEqual(1);
    expect([admin.unregistered, snapshots.unregistered]).toEqual([1, 0]);
  }
});
