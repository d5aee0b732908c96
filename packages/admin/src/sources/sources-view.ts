import {
  BUCKETS,
  processKey,
  type ConditionRecord,
  type GuardRecord,
  type LeaderRecord,
  type Messaging,
  type ProcessRecord,
  type RouterRecord,
  type SourceRecord,
  type SourceSums,
  type UsageBoard,
} from '@shapecast/messaging';
import type { Conditions } from '@shapecast/service-kit';
import type { SourceLimits } from '@shapecast/sources';
import type { ShapeStore } from '@shapecast/shape-store';
import type { RecordsView } from '../records/records-view.ts';
import type { AdminSources, DeclaredSource } from './admin-sources.ts';
import { quotasOf, type QuotaSight } from './quotas.ts';
import { measureShards, type ShardLag, type ShardSight, type StreamSight } from './shard-lag.ts';
import { stageLagOf, type StageLag } from './stage-lag.ts';
import { conditionsOf, statusOf, unownedOf, type SourceTold, type StatusReport } from './source-status.ts';

interface ViewDeps {
  readonly messaging: Messaging;
  readonly view: RecordsView;
  readonly sources: AdminSources;
  readonly board: UsageBoard;
  readonly store: ShapeStore | undefined;
}

/** A source in a list. */
export interface SourceSummary
  extends Pick<DeclaredSource, 'id' | 'origin' | 'state' | 'displayName' | 'labels'>, StatusReport {
  /** Process that leads. */
  readonly leader?: string;
  readonly incarnation?: number;
  readonly routers: number;
  readonly unownedShards?: number;
  /** Sums over the processes that have to do with it; see SourceUsage. */
  readonly usage: SourceSums;
  readonly lag: StageLag;
  readonly quotas: readonly QuotaSight[];
}

export interface SourceDetails extends SourceSummary {
  readonly limits: SourceLimits;
  readonly settings: DeclaredSource['settings'];
  readonly changedAt?: string;
  readonly database?: DeclaredSource['database'];
  readonly access?: DeclaredSource['access'];
  readonly conditions: Conditions;
  readonly walGuard?: GuardRecord;
  readonly stream?: StreamSight;
  readonly shards: readonly ShardSight[];
  /** Why stream or shards are not there. */
  readonly lagProblem?: string;
  readonly processes: readonly { readonly process: string; readonly role: string; readonly uptimeMs: number }[];
}

type Told = ReadonlyMap<string, SourceTold>;

const NOTHING: SourceTold = {
  record: undefined,
  leader: undefined,
  routers: [],
  conditions: [],
  guard: undefined,
  asleep: false,
};

/** How the sources are: what was declared, what their processes tell, how much is used. */
export class SourcesView {
  readonly #deps: ViewDeps;

  constructor(deps: ViewDeps) {
    this.#deps = deps;
  }

  async list(): Promise<readonly SourceSummary[]> {
    const [declared, told] = await Promise.all([this.#deps.sources.all(), this.#told()]);
    return declared.map((source) => this.#summary(source, told.get(source.id) ?? NOTHING));
  }

  async summary(id: string): Promise<SourceSummary> {
    const [source, told] = await Promise.all([this.#deps.sources.get(id), this.#told()]);
    return this.#summary(source, told.get(id) ?? NOTHING);
  }

  async show(id: string): Promise<SourceDetails> {
    const { messaging, store, board, sources } = this.#deps;
    const [source, all] = await Promise.all([sources.get(id), this.#told()]);
    const told = all.get(id) ?? NOTHING;
    const { limits, settings, changedAt, database, access } = source;
    const { guard } = told;
    return {
      ...this.#summary(source, told),
      ...{ limits, settings },
      ...(changedAt === undefined ? {} : { changedAt }),
      ...(database === undefined ? {} : { database }),
      ...(access === undefined ? {} : { access }),
      conditions: conditionsOf(told),
      ...(guard === undefined ? {} : { walGuard: guard }),
      ...(await measureShards({ messaging, store }, id, told)),
      processes: board
        .processes()
        .filter((process) => process.sources.includes(id))
        .map(({ process, role, uptimeMs }) => ({ process, role, uptimeMs })),
    };
  }

  /** The record of a source that was set up. */
  async record(id: string): Promise<SourceRecord | undefined> {
    await this.#deps.sources.get(id);
    return (await this.#deps.view.all<SourceRecord>(BUCKETS.sources)).get(id);
  }

  /** How far each of its shards is. */
  async shards(id: string): Promise<ShardLag> {
    const { messaging, store, sources } = this.#deps;
    await sources.get(id);
    return measureShards({ messaging, store }, id, (await this.#told()).get(id) ?? NOTHING);
  }

  /** Those of it that live. */
  async routers(id: string): Promise<readonly RouterRecord[]> {
    await this.#deps.sources.get(id);
    return (await this.#told()).get(id)?.routers ?? [];
  }

  #summary(source: DeclaredSource, told: SourceTold): SourceSummary {
    const { id, origin, state, displayName, labels, limits, unreadable } = source;
    const usage = this.#deps.board.sumsOf(id);
    const unowned = unownedOf(told);
    return {
      ...{ id, origin, state, labels },
      ...(displayName === undefined ? {} : { displayName }),
      ...statusOf(state, unreadable, told),
      ...(told.leader === undefined ? {} : { leader: told.leader.holder }),
      ...(told.record === undefined ? {} : { incarnation: told.record.incarnation }),
      routers: told.routers.length,
      ...(unowned === undefined ? {} : { unownedShards: unowned }),
      usage,
      lag: stageLagOf(usage),
      quotas: quotasOf(limits, usage),
    };
  }

  async #told(): Promise<Told> {
    const { view } = this.#deps;
    const [records, leaders, routers, processes, conditions, guards, sleeps] = await Promise.all([
      view.all<SourceRecord>(BUCKETS.sources),
      view.all<LeaderRecord>(BUCKETS.leaders),
      view.all<RouterRecord>(BUCKETS.routers),
      view.all<ProcessRecord>(BUCKETS.processes),
      view.all<ConditionRecord>(BUCKETS.conditions),
      view.all<GuardRecord>(BUCKETS.guards),
      view.all<{ readonly state: string }>(BUCKETS.sleeps),
    ]);
    // What a router owned stays for a while when it is gone.
    const lives = ({ id }: RouterRecord) => {
      const process = processes.get(processKey(id));
      return process !== undefined && process.leaving !== true;
    };
    const routersOf = bySource(new Map([...routers].filter(([, router]) => lives(router))));
    const conditionsBySource = bySource(conditions);
    const ids = new Set([...records.keys(), ...leaders.keys(), ...routersOf.keys(), ...conditionsBySource.keys()]);
    for (const id of [...guards.keys(), ...sleeps.keys()]) ids.add(id);
    return new Map(
      [...ids].map((id) => [
        id,
        {
          record: records.get(id),
          leader: leaders.get(id),
          routers: routersOf.get(id) ?? [],
          conditions: conditionsBySource.get(id) ?? [],
          guard: guards.get(id),
          asleep: sleeps.get(id)?.state === 'asleep',
        },
      ]),
    );
  }
}

/** Records whose keys begin with a source and a dot. */
function bySource<T>(all: ReadonlyMap<string, T>): ReadonlyMap<string, readonly T[]> {
  const found = new Map<string, T[]>();
  for (const [key, value] of all) {
    const source = key.slice(0, key.indexOf('.'));
    const some = found.get(source);
    if (some) some.push(value);
    else found.set(source, [value]);
  }
  return found;
}
