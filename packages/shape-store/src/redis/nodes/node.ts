import { silentLogger, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeStoreLimits } from '../../limits.ts';
import type { CallRecorders } from '../../store-health.ts';
import { RedisConnection, type RedisAddress, type RedisConnectionOptions } from '../connection.ts';
import type { StoreContext } from '../context.ts';

/**
 * What a connection is used for. Appends have one of their own: a step is megabytes of arguments, and everything else, above all the
 * snapshot that somebody waits for, would stand in line behind it. So have the snapshots that are written: they must not slow the
 * changes (spec O 3.2). And so has what waits for the disk, because nothing behind it is answered meanwhile.
 */
export type Lane = 'calls' | 'appends' | 'snapshots' | 'durability';

export interface NodeDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every call, but of those that wait for the disk. */
  readonly calls?: CallRecorders | undefined;
}

/** The connections of this process to one primary, opened when they are needed. */
export class StoreNode {
  /** `host:port`, or what else tells it from the others. */
  readonly name: string;
  readonly #open: (lane: Lane) => RedisConnection;
  readonly #limits: ShapeStoreLimits;
  readonly #lanes = new Map<Lane, StoreContext>();

  constructor(
    deps: NodeDeps,
    name: string,
    address: string | RedisAddress,
    options: RedisConnectionOptions & { readonly limits: ShapeStoreLimits },
  ) {
    this.name = name;
    this.#limits = options.limits;
    // The server is the same, so one of the connections is enough to report an outage.
    this.#open = (lane) =>
      new RedisConnection(
        {
          clock: deps.clock,
          log: lane === 'calls' ? deps.log : silentLogger,
          calls: lane === 'durability' ? undefined : deps.calls,
        },
        address,
        options,
      );
  }

  lane(lane: Lane): StoreContext {
    const known = this.#lanes.get(lane);
    if (known) return known;
    const context = { redis: this.#open(lane), limits: this.#limits };
    this.#lanes.set(lane, context);
    return context;
  }

  /** Names the connection for calls; another one whenever it was made anew. */
  get connection(): string {
    return `${this.name} ${this.#lanes.get('calls')?.redis.connections ?? 0}`;
  }

  connected(): boolean {
    return this.#lanes.get('calls')?.redis.connected() ?? false;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#lanes.values()].map(({ redis }) => redis.close()));
  }
}

/** The primaries that hold the shards: one, or those of a cluster. */
export interface StoreNodes {
  /**
   * Does something on the node that has the keys with a hash tag. In a cluster again, for a short while, when they turn out to be
   * elsewhere or on their way (spec O F150, F151): `work` can be repeated. Then STORE_UNAVAILABLE, like all that keeps it from being done.
   */
  at<T>(tag: string, lane: Lane, work: (context: StoreContext) => Promise<T>): Promise<T>;
  /** In the order of their names. Throws STORE_UNAVAILABLE while they are not known. */
  all(): Promise<readonly StoreNode[]>;
  /** The one that keys with a hash tag were last known to be on; undefined when none was. */
  nodeOf(tag: string): StoreNode | undefined;
  connected(): boolean;
  close(): Promise<void>;
}

/** One server, or the one that sentinels call the primary. */
export class SingleNode implements StoreNodes {
  readonly #node: StoreNode;

  constructor(node: StoreNode) {
    this.#node = node;
  }

  at<T>(_tag: string, lane: Lane, work: (context: StoreContext) => Promise<T>): Promise<T> {
    return work(this.#node.lane(lane));
  }

  async all(): Promise<readonly StoreNode[]> {
    return [this.#node];
  }

  nodeOf(): StoreNode {
    return this.#node;
  }

  connected(): boolean {
    return this.#node.connected();
  }

  close(): Promise<void> {
    return this.#node.close();
  }
}
