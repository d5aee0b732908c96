import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { connectionBudget, openPgSourceDatabase, permitLimits, type SourceDatabase } from '@shapecast/change-source';
import {
  SharedPermits,
  type Messaging,
  type SourceRecord,
  type SourceUsage,
  type UsageReporter,
} from '@shapecast/messaging';
import { databaseConnection, type Clock, type HealthReport, type Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import type { ProcessTelemetry } from '@shapecast/telemetry';
import type { RouterConfig } from '../config.ts';
import { createRouter } from '../router.ts';
import type { Router, RouterBrief } from '../router-options.ts';
import type { SourceQuotas } from '../quotas/source-quotas.ts';
import type { RouterProcess } from '../process/router-process.ts';

/** What all sources of a process share. */
export interface SharedParts {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly process: RouterProcess;
  readonly usage: UsageReporter;
  readonly telemetry: Pick<ProcessTelemetry, 'metrics' | 'tracing' | 'forgetSource'>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Settings that may change while a router runs. */
const QUOTA_SETTINGS = [
  'snapshotConcurrency',
  'snapshotMaxBytesPerSecond',
  'snapshotMaxBytes',
  'subsetConcurrency',
  'maxScannedClauses',
  'maxShapes',
  'maxLogBytes',
] as const satisfies readonly (keyof RouterConfig)[];

/** What of a source is not among the settings of a router. */
export interface SourceTerms {
  /** Nothing new may begin. */
  readonly draining: boolean;
  readonly redisBytes: number | undefined;
}

const NO_TERMS: SourceTerms = { draining: false, redisBytes: undefined };

/** Everything that a process runs for one source: its connections to the database, and its router. */
export class SourceRouter {
  readonly name = 'router of a source';
  readonly #shared: SharedParts;
  #config: RouterConfig;
  #terms: SourceTerms;
  readonly #database: SourceDatabase;
  readonly #permits: { close(): Promise<void> };
  readonly #router: Router;
  #source: SourceRecord | undefined;
  #stopReporting: (() => void) | undefined;

  /** `unhurried`: there may be a thousand of them. */
  constructor(
    shared: SharedParts,
    config: RouterConfig,
    { terms = NO_TERMS, unhurried = false }: { readonly terms?: SourceTerms; readonly unhurried?: boolean } = {},
  ) {
    this.#shared = shared;
    this.#config = config;
    this.#terms = terms;
    const { messaging, clock } = shared;
    const { sourceId: source, poolSize } = config;
    const log = shared.log.child({ source });
    const permits = new SharedPermits(
      { registries: messaging.registries, clock, log },
      { source, holder: randomUUID(), limits: permitLimits(poolSize) },
    );
    this.#permits = permits;
    this.#database = openPgSourceDatabase(
      {
        url: config.databaseUrl,
        queryUrl: config.queryUrl,
        publicationName: `electric_publication_${config.streamId}`,
        poolSize,
        firstRowTimeoutMs: config.snapshotFirstRowTimeoutMs,
        safetyTimeoutMs: config.snapshotSafetyTimeoutMs,
        expected: () => this.#source,
        connection: databaseConnection(config),
      },
      { clock, log, permits },
    );
    this.#router = createRouter(
      { ...shared, log, database: this.#database, onSource: (record) => (this.#source = record) },
      {
        source,
        routerId: shared.process.id,
        snapshotResumableBytes: config.snapshotResumableBytes,
        snapshotLeaseMs: config.snapshotLeaseMs,
        subsetTimeoutMs: config.subsetTimeoutMs,
        stallGraceMs: config.stallGraceMs,
        sweepGraceMs: config.tombstoneGraceMs,
        sweepIntervalMs: config.cleanupIntervalMs,
        catalogCheckMs: config.catalogCheckMs,
        unhurried,
        quotas: quotasOf(config, terms),
        upkeep: {
          sealMs: config.sealIntervalMs,
          compactionMs: config.compactionIntervalMs,
          maxLogRatio: config.maxLogRatio,
          expiryMs: config.expiryIntervalMs,
          highWater: config.redisHighWater,
        },
      },
    );
  }

  async start(signal: AbortSignal): Promise<void> {
    const { usage } = this.#shared;
    this.#stopReporting = usage.add(this.#config.sourceId, () => this.#router.usage(), {
      matching: () => this.#router.matching(),
    });
    await this.#router.start(signal);
  }

  async stop(): Promise<void> {
    this.#stopReporting?.();
    await this.#router.stop();
    await this.#database.close();
    await this.#permits.close();
  }

  /** Takes on what may change while it runs. False when something else differs. */
  adjust(config: RouterConfig, terms: SourceTerms): boolean {
    if (!isDeepStrictEqual(fixed(config), fixed(this.#config))) return false;
    this.#config = config;
    this.#terms = terms;
    this.#router.adjust(quotasOf(config, terms));
    return true;
  }

  report(): HealthReport {
    return this.#router.report();
  }

  brief(): RouterBrief & { readonly draining: boolean; readonly quotas: SourceUsage['quotas'] } {
    return { ...this.#router.brief(), draining: this.#terms.draining, quotas: this.#router.usage().quotas };
  }
}

function fixed(config: RouterConfig): Partial<RouterConfig> {
  const rest: Partial<Record<keyof RouterConfig, unknown>> = { ...config };
  for (const name of QUOTA_SETTINGS) rest[name] = undefined;
  return rest as Partial<RouterConfig>;
}

function quotasOf(config: RouterConfig, { draining, redisBytes }: SourceTerms): SourceQuotas {
  return {
    snapshotSlots: config.snapshotConcurrency,
    snapshotBytes: config.snapshotMaxBytes,
    snapshotBytesPerSecond: config.snapshotMaxBytesPerSecond,
    subsetSlots: Math.min(config.subsetConcurrency, connectionBudget(config.poolSize).subsets),
    unindexableClauses: config.maxScannedClauses,
    maxShapes: config.maxShapes,
    logBytes: config.maxLogBytes,
    redisBytes,
    draining,
  };
}
