/** How a number of connections to a source is shared out (spec R 3.6.2). */
interface ConnectionBudget {
  readonly admin: number;
  /** Snapshots, and subsets among them. */
  readonly snapshots: number;
  /** How many of those subsets may hold at a time: the other half is always left to snapshots. */
  readonly subsets: number;
}

export function connectionBudget(poolSize: number): ConnectionBudget {
  const admin = Math.min(4, Math.max(1, Math.floor(poolSize / 4)));
  const snapshots = Math.max(1, poolSize - admin);
  return { admin, snapshots, subsets: Math.max(1, Math.floor(snapshots / 2)) };
}
