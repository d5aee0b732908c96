import { HandleRecords, RotationJournal, type Messaging } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import type { Failure } from '../answers.ts';
import { ReadTimes } from '../expiry/read-times.ts';
import type { StoreRoom } from '../expiry/store-room.ts';
import { StoreCheck } from '../home/store-check.ts';
import type { ShapeService } from '../http/shape-route.ts';
import type { FanOut } from '../live/fan-out.ts';
import { HeadWatcher } from '../live/head-watcher.ts';
import { LiveHub } from '../live/live-hub.ts';
import type { ChunkCache } from '../shapes/chunk-cache.ts';
import { endDamagedShapes } from '../shapes/damage-guard.ts';
import { Definitions } from '../shapes/definitions.ts';
import { livingStore } from '../shapes/living-store.ts';
import { LogReader } from '../shapes/log-reader.ts';
import { RelationCatalog } from '../shapes/relation-catalog.ts';
import { SchemaHeaders } from '../shapes/schema-headers.ts';
import { ShapeDeleter } from '../shapes/shape-deleter.ts';
import { ShapeReader } from '../shapes/shape-reader.ts';
import { ShapeResolver, type Creations } from '../shapes/shape-resolver.ts';
import { ShapeStart } from '../shapes/shape-start.ts';
import { SnapshotReader } from '../shapes/snapshot-reader.ts';
import { StreamEnd } from '../shapes/stream-end.ts';
import { TableMemory } from '../shapes/table-memory.ts';
import { SourceState } from '../source-state.ts';
import type { ApiTelemetry } from '../telemetry/api-telemetry.ts';
import type { SourceTelemetry } from '../telemetry/source-telemetry.ts';
import { SubsetReader } from '../subset/subset-reader.ts';
import { SubsetSource } from '../subset/subset-source.ts';

/** What the sources of a process share. */
export interface SharedParts {
  readonly store: ShapeStore;
  readonly room: StoreRoom;
  readonly cache: ChunkCache;
  readonly fanOut: FanOut;
  readonly telemetry: ApiTelemetry;
  readonly clock: Clock;
}

/** Settings of the process; durations in milliseconds. */
export interface ServingOptions {
  readonly longPollTimeoutMs: number;
  readonly chunkBytes: number;
  readonly allowDelete: boolean;
  readonly readyTimeoutMs: number;
  readonly notifyPollMs: number;
  readonly readTimesMs: number;
  readonly snapshotStartMs: number;
  readonly chunkWaitMs: number;
  readonly catalogTtlMs: number;
}

/** What decides about a source's requests beside the source itself. */
export interface SourceRules {
  readonly creations: Creations;
  readonly park: () => Failure | undefined;
  readonly onHeld: (ms: number) => void;
  readonly telemetry: SourceTelemetry;
}

/** All that serves one source. */
export interface Assembled extends ShapeService {
  readonly source: SourceState;
  readonly journal: RotationJournal;
  readonly check: StoreCheck;
  /** Shapes that somebody waits for, or read within the last minute. */
  readonly activeShapes: () => number;
  /** Until `signal` aborts. */
  run(signal: AbortSignal): Promise<unknown>;
  /** Lets go of what `run` does not. */
  stop(): void;
}

const CATALOG_TIMEOUT_MS = 5_000;
/** Longer than a router lets a query run. */
const SUBSET_FRAME_TIMEOUT_MS = 45_000;

/** Puts together what serves a source. */
export function assemble(
  messaging: Messaging,
  shared: SharedParts & { readonly log: Logger },
  { creations, park, onHeld, telemetry }: SourceRules,
  options: ServingOptions & { readonly source: string; readonly stateRefreshMs?: number },
): Assembled {
  const { clock, log, room, fanOut } = shared;
  const { hints, rpc, registries } = messaging;
  const journal = new RotationJournal({ registries, clock, log }, options.source);
  const handles = new HandleRecords({ registries, clock, log }, options.source);
  const check = new StoreCheck(
    { store: shared.store, registries, clock, log },
    { source: options.source, homes: () => source.homes, patienceMs: options.readyTimeoutMs },
  );
  const store = livingStore({ store: check.store, log, journal, handles, room });
  const watcher = new HeadWatcher({ store, hints, clock, log }, { pollMs: options.notifyPollMs });
  const cache = shared.cache.of(options.source);
  const data = endDamagedShapes({ store, hints, log });
  const logs = new LogReader({ store: data, cache, coalesced: telemetry.coalesced });
  const hub = new LiveHub(
    { logs, watcher, clock, log, fanOut, telemetry, onHeld },
    { timeoutMs: options.longPollTimeoutMs, source: options.source },
  );
  const source = new SourceState(
    { messaging, clock, log },
    {
      source: options.source,
      refreshMs: options.stateRefreshMs,
      onIncarnation: (record) => watcher.incarnationChanged(record.incarnation),
    },
  );
  const memory = new TableMemory({ registries, log }, options.source);
  const catalog = new RelationCatalog(
    { rpc, memory, asleep: () => source.asleep, clock, log },
    { source: options.source, ttlMs: options.catalogTtlMs, timeoutMs: CATALOG_TIMEOUT_MS },
  );
  const definitions = new Definitions(catalog);
  const resolver = new ShapeResolver({ store, creations, hints, definitions, source }, options);
  const snapshots = new SnapshotReader({ store: data, cache, watcher, clock });
  const start = new ShapeStart({ resolver, snapshots }, options);
  const subsetSource = new SubsetSource(
    { rpc, clock },
    { source: options.source, readyTimeoutMs: options.readyTimeoutMs, frameTimeoutMs: SUBSET_FRAME_TIMEOUT_MS },
  );
  const schemas = new SchemaHeaders(store);
  const subsets = new SubsetReader({ store, source, resolver, start, subsets: subsetSource, schemas, clock }, options);
  const reads = new ReadTimes({ store, clock, log, waiting: () => hub.waitedFor() }, { periodMs: options.readTimesMs });
  const streamEnd = new StreamEnd({ streams: messaging.txStreams, clock, log }, options.source);
  const reader = new ShapeReader(
    { source, resolver, start, snapshots, logs, subsets, schemas, watcher, hub, reads, streamEnd, park, clock },
    options,
  );
  const deleter = new ShapeDeleter(
    { store, hints, source, resolver },
    { allowed: options.allowDelete, source: options.source, readyTimeoutMs: options.readyTimeoutMs },
  );
  return {
    ...{ source, journal, check, hub, reader, deleter },
    activeShapes: () => reads.active,
    run: (signal) => Promise.all([source, journal, handles, reads, check].map((part) => part.run(signal))),
    stop() {
      watcher.stop();
      catalog.stop();
    },
  };
}
