/** What connections are for: `admin` is catalog, publication and locks, `snapshots` is snapshots and subsets. */
export type ConnectionPart = 'admin' | 'snapshots';

/** How a number of connections to a source is shared out (spec R 3.6.2). */
export interface ConnectionBudget {
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

/**
 * Number of permits of each part, and how many a process takes by itself while it cannot ask for them: one to unblock or to end
 * what it left in the database, none for snapshots, which need the rest of the cluster anyway.
 */
export function permitLimits(poolSize: number) {
  const { admin, snapshots } = connectionBudget(poolSize);
  return { admin: { total: admin, unregistered: 1 }, snapshots: { total: snapshots, unregistered: 0 } };
}

/**
 * Leave to have connections open, shared by everybody who opens some to a source, so that together they stay within its budget
 * (spec R 3.6.1). The wider the sharing, the slower the leave: a pool keeps its connections for a while.
 */
export interface ConnectionPermits {
  /** Waits until one more connection of that part may be open. The returned function, to be called once, says that it is closed. */
  acquire(part: ConnectionPart, signal: AbortSignal): Promise<() => void>;
  /** Somebody else waits for a connection of that part: idle ones should be closed, and lent ones after their use. */
  contended(part: ConnectionPart): boolean;
  /** Calls back whenever that begins. The returned function stops. */
  onContended(listener: (part: ConnectionPart) => void): () => void;
}
