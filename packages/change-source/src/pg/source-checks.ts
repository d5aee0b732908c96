import { emitEvent, type Logger } from '@shapecast/service-kit';
import { sqlState } from './errors.ts';
import { readServerRoom, type ServerRoom } from './sql/checks.ts';
import type { Queryable } from './sql/query.ts';

/** What an operator should know of. Nothing stops because of it. */
interface Finding {
  readonly type: string;
  readonly message: string;
}

/**
 * Looks at the server's settings when a replication session was set up (spec R 2.7, O 8.1.1) and warns of what will hurt one day.
 * The same finding is told once, not at each reconnect.
 */
export class SourceChecks {
  readonly #log: Logger;
  #told: ReadonlySet<string> = new Set();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Never fails because of what it finds, or cannot find out. */
  async run(db: Queryable): Promise<void> {
    let findings: readonly Finding[];
    try {
      findings = findingsOf(await readServerRoom(db));
    } catch (error) {
      this.#log.debug({ code: sqlState(error) }, 'the settings of the server could not be looked at');
      return;
    }
    for (const finding of findings) {
      if (!this.#told.has(finding.type)) emitEvent(this.#log, 'warning', finding);
    }
    this.#told = new Set(findings.map(({ type }) => type));
  }
}

/** This session's slot and walsender are counted already. */
export function findingsOf(room: ServerRoom): readonly Finding[] {
  const findings: Finding[] = [];
  const warn = (type: string, message: string) => void findings.push({ type, message });
  const { maxReplicationSlots, replicationSlots, maxWalSenders, walSenders } = room;
  if (replicationSlots >= maxReplicationSlots) {
    warn(
      'no_free_replication_slot',
      `All ${maxReplicationSlots} replication slots are in use: raise max_replication_slots, so that a slot can be replaced.`,
    );
  }
  // A standby replicator and a successor each need one of their own.
  if (walSenders >= maxWalSenders) {
    warn(
      'no_free_wal_sender',
      `All ${maxWalSenders} WAL senders are in use: raise max_wal_senders, so that a successor can connect.`,
    );
  }
  if (room.maxSlotWalKeepSize < 0) {
    warn(
      'unlimited_slot_wal',
      'max_slot_wal_keep_size is not set: a consumer that stays away can fill the disk. Recommended are 10 to 50 GB.',
    );
  }
  if (room.walSenderTimeout === 0) {
    warn('wal_sender_timeout_off', 'wal_sender_timeout is 0: Postgres does not notice a consumer that is gone.');
  }
  if (room.idleReplicationSlotTimeout !== undefined && room.idleReplicationSlotTimeout > 0) {
    warn(
      'idle_slots_time_out',
      `idle_replication_slot_timeout is ${room.idleReplicationSlotTimeout} s: after an outage that long every shape starts over.`,
    );
  }
  return findings;
}
