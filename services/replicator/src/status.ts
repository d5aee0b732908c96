import type { HealthReport } from '@shapecast/service-kit';
import type { Outbox } from './outbox.ts';
import type { Progress } from './progress.ts';
import type { TrimReport } from './trimming/trimmer.ts';

/** `waiting`: another replicator holds the lock. `active`: streams from Postgres into the tx stream. `asleep`: nobody needs it to. */
type ReplicatorPhase = 'starting' | 'waiting' | 'active' | 'asleep';

/** What the replicator knows of itself at the moment; written by its parts, read by the health endpoint. */
export interface ReplicatorStatus {
  phase: ReplicatorPhase;
  incarnation: number | undefined;
  epoch: number | undefined;
  progress: Progress | undefined;
  /** There is a connection for replication. */
  connected: boolean;
  /** `server_version_num`, once it was seen. */
  serverVersion: number | undefined;
  /** Transactions that are open keep the slot from being made. */
  slotBlocked: boolean;
  outbox: Outbox | undefined;
  keeper: { readonly problem: string | undefined } | undefined;
  trimmer: { readonly report: TrimReport | undefined } | undefined;
  /** One sentence for people, undefined while all is well. */
  lastError: string | undefined;
}

export function createStatus(): ReplicatorStatus {
  return {
    phase: 'starting',
    incarnation: undefined,
    epoch: undefined,
    progress: undefined,
    connected: false,
    serverVersion: undefined,
    slotBlocked: false,
    outbox: undefined,
    keeper: undefined,
    trimmer: undefined,
    lastError: undefined,
  };
}

/** A standby that waits for the lock does its whole job, so it is ready: a rolling update goes on (spec O 1.2.2, 2.6). */
export function reportOf(status: ReplicatorStatus, connected: boolean): HealthReport {
  const { phase, incarnation, epoch, progress, lastError } = status;
  const outbox = status.outbox?.state;
  return {
    ready: phase !== 'starting' && connected,
    // It does what is expected of it (spec O 1.2).
    status: phase === 'asleep' ? 'active' : phase,
    asleep: phase === 'asleep',
    messagingConnected: connected,
    incarnation,
    epoch,
    received: progress && String(progress.received),
    durable: progress && String(progress.durable),
    confirmed: progress && String(progress.confirmed),
    publishWindow: outbox,
    stream: status.trimmer?.report,
    lastError: lastError ?? (outbox?.stalled ? STALLED : status.keeper?.problem),
  };
}

const STALLED = 'NATS does not store records at the moment; publishing is retried and Postgres keeps the WAL.';
