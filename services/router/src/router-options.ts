import type { SourceDatabase } from '@shapecast/change-source';
import type { Messaging, SourceRecord, SourceUsage } from '@shapecast/messaging';
import type { Clock, Component, HealthReport, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import type { Telemetry } from '@shapecast/telemetry';
import type { MatchingReport } from './matching/matching-report.ts';
import type { RouterProcess, RouterProcessOptions } from './process/router-process.ts';
import type { SourceQuotas } from './quotas/source-quotas.ts';
import type { UpkeepOptions } from './upkeep/jobs.ts';
import type { ShardWorkerOptions } from './worker-options.ts';

export interface RouterDeps {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly database: SourceDatabase;
  /** What it shares with the routers of other sources; one of its own unless given. */
  readonly process?: RouterProcess;
  readonly clock: Clock;
  readonly log: Logger;
  /** What it measures with; of its own unless given. */
  readonly telemetry?: Telemetry;
  /** Told what the source is replicated from, before anything is done with it. */
  readonly onSource?: (record: SourceRecord) => void;
}

/** Those of `RouterProcessOptions` are for a router that has its process for itself. */
export interface RouterOptions extends Omit<RouterProcessOptions, 'id'> {
  readonly source: string;
  /** Unique among the routers of the source; `[A-Za-z0-9_-]+`. */
  readonly routerId: string;
  /** What the source may use, where it is not the default. */
  readonly quotas?: Partial<SourceQuotas>;
  /** One of very many: nothing is looked at again more often than every ten seconds while nothing happens (spec O 4.8). */
  readonly unhurried?: boolean;
  /** Size of a table from which on an interrupted snapshot goes on where it was. */
  readonly snapshotResumableBytes?: number;
  /** The store's lease of a snapshot attempt, which is renewed five times as often. */
  readonly snapshotLeaseMs?: number;
  /** How often the log tells how far a snapshot is. */
  readonly snapshotProgressMs?: number;
  /** How long the snapshots that readers see already may take when the router stops. */
  readonly snapshotDrainMs?: number;
  /** How long Postgres may work on a subset query. */
  readonly subsetTimeoutMs?: number;
  /** How often the catalog is compared with the tables that have shapes (spec R 7.15, 10.3.6). */
  readonly catalogCheckMs?: number;
  /** How long a live router has to hand over a shard whose next owner is prepared; also when it stops. */
  readonly handoverMs?: number;
  /** How long the data of an ended shape stays readable (spec R 14.8). */
  readonly sweepGraceMs?: number;
  /** How often data is looked for that may be deleted by then. */
  readonly sweepIntervalMs?: number;
  /** How long a shard may be stuck on a transaction (spec R 13.5.2). */
  readonly stallGraceMs?: number;
  readonly worker?: Partial<ShardWorkerOptions>;
  readonly upkeep?: Partial<UpkeepOptions>;
}

export interface RouterBrief {
  readonly ready: boolean;
  readonly status: string;
  /** One sentence on what is set wrongly. */
  readonly lastError: string | undefined;
  readonly owned: number;
  readonly shapes: number;
  readonly lag: number;
}

export interface Router extends Component {
  report(): HealthReport;
  /** The few numbers that a process with very many sources tells of each. Costs next to nothing. */
  brief(): RouterBrief;
  /** What was done for the source since the start, and what is held for it. */
  usage(): SourceUsage;
  /** How the changes of each table find their shapes. */
  matching(): MatchingReport | undefined;
  /** From now on the source may use this. */
  adjust(quotas: Partial<SourceQuotas>): void;
}
