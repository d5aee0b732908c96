import { isShapecastError } from '@shapecast/errors';
import { Backoff } from '@shapecast/service-kit';
import type { ShapeStoreLimits } from '../../limits.ts';
import { unavailable, type RedisAddress, type RedisConnectionOptions } from '../connection.ts';
import type { StoreContext } from '../context.ts';
import { slotOfTag } from './key-slot.ts';
import { StoreNode, type Lane, type NodeDeps, type StoreNodes } from './node.ts';

export interface ClusterOptions extends RedisConnectionOptions {
  readonly limits: ShapeStoreLimits;
}

/** `[first slot, last slot, [host, port, ...] of the primary, ...]` */
type SlotRange = [first: number, last: number, primary: [host: string | null, port: number], ...replicas: unknown[]];

/** Another node has the shard, or is about to. What was asked for was not done. */
const ELSEWHERE: ReadonlySet<unknown> = new Set(['moved', 'ask', 'tryagain', 'clusterdown', 'readonly', 'masterdown']);
/** After these, too, the shards may be elsewhere, but what was asked for may have been done. */
const SUSPICIOUS: ReadonlySet<unknown> = new Set(['disconnected', 'loading']);
const REFRESH_PAUSE_MS = 250;

/**
 * The primaries of a Redis cluster. All keys of a shard are in one slot, so each call concerns one node, and is an ordinary call to an
 * ordinary server: which one, says the map of slots. It is asked for anew whenever a node says that it is wrong, or does not answer.
 * Keys that are in the middle of moving from one node to another are waited for, and never asked for in two places (spec O F150).
 */
export class ClusterNodes implements StoreNodes {
  readonly #deps: NodeDeps;
  readonly #options: ClusterOptions;
  readonly #seeds: readonly RedisAddress[];
  readonly #waitMs: number;
  readonly #nodes = new Map<string, StoreNode>();
  /** Name of the primary of each slot. */
  #slots: readonly (string | undefined)[] = [];
  #refreshing: Promise<void> | undefined;
  #refreshedAt = -Infinity;
  #closed = false;

  constructor(deps: NodeDeps, seeds: readonly RedisAddress[], options: ClusterOptions) {
    this.#deps = deps;
    this.#seeds = seeds;
    this.#options = options;
    this.#waitMs = options.connectionWaitMs ?? 1_000;
  }

  async at<T>(tag: string, lane: Lane, work: (context: StoreContext) => Promise<T>): Promise<T> {
    const { clock } = this.#deps;
    const slot = slotOfTag(tag);
    const giveUpAt = clock.now() + this.#waitMs;
    const backoff = new Backoff(clock, { minMs: 20, maxMs: 250 });
    if (this.#slots[slot] === undefined) await this.#refresh();
    for (;;) {
      const name = this.#slots[slot];
      if (name === undefined)
        throw unavailable('No node of the redis cluster has the keys.', { reason: 'clusterdown' });
      try {
        return await work(this.#node(name).lane(lane));
      } catch (error) {
        const reason = isShapecastError(error, 'STORE_UNAVAILABLE') ? error.details['reason'] : undefined;
        if (SUSPICIOUS.has(reason)) this.#refreshSoon();
        if (!ELSEWHERE.has(reason) || clock.now() >= giveUpAt || this.#closed) throw error;
        this.#learn(error);
        await backoff.wait(new AbortController().signal);
        await this.#refresh().catch(() => undefined);
      }
    }
  }

  async all(): Promise<readonly StoreNode[]> {
    if (this.#slots.length === 0) await this.#refresh();
    return this.#primaries();
  }

  nodeOf(tag: string): StoreNode | undefined {
    const name = this.#slots[slotOfTag(tag)];
    return name === undefined ? undefined : this.#nodes.get(name);
  }

  /** A node that is away concerns its shards only. */
  connected(): boolean {
    return !this.#closed && this.#primaries().some((node) => node.connected());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#nodes.values()].map((node) => node.close()));
  }

  #primaries(): readonly StoreNode[] {
    const names = new Set(this.#slots);
    return [...this.#nodes.values()]
      .filter(({ name }) => names.has(name))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  #node(name: string): StoreNode {
    const known = this.#nodes.get(name);
    if (known) return known;
    if (this.#closed) throw unavailable('The connection to redis is closed.', { reason: 'closed' });
    const colon = name.lastIndexOf(':');
    const address = { ...this.#seeds[0], host: name.slice(0, colon), port: Number(name.slice(colon + 1)) };
    const node = new StoreNode(this.#deps, name, address, this.#options);
    this.#nodes.set(name, node);
    return node;
  }

  /** The node that was asked knows better, and others may not have heard of it yet: `MOVED <slot> <host>:<port>`. */
  #learn(error: unknown): void {
    const message = error instanceof Error && error.cause instanceof Error ? error.cause.message : '';
    const [, slot, name] = /^MOVED (\d+) (\S+:\d+)$/.exec(message) ?? [];
    if (slot === undefined || name === undefined || name.startsWith(':')) return;
    this.#slots = this.#slots.with(Number(slot), name);
    this.#refreshedAt = this.#deps.clock.now();
  }

  #refreshSoon(): void {
    if (!this.#closed) this.#refresh().catch(() => undefined);
  }

  /** One at a time, and not again at once. */
  #refresh(): Promise<void> {
    const recent = this.#slots.length > 0 && this.#deps.clock.now() - this.#refreshedAt < REFRESH_PAUSE_MS;
    if (recent) return Promise.resolve();
    this.#refreshing ??= this.#readSlots().finally(() => (this.#refreshing = undefined));
    return this.#refreshing;
  }

  /** The first node that is well and answers is believed: where it is behind the others, they will say so. */
  async #readSlots(): Promise<void> {
    const seeds = this.#seeds.map(({ host, port }) => this.#node(`${host}:${port}`));
    const asked = [...new Set([...this.#primaries(), ...seeds])];
    let slots: readonly (string | undefined)[];
    try {
      slots = await Promise.any(asked.map((node) => askForSlots(node)));
    } catch (error) {
      throw unavailable('No node of the redis cluster says where the shards are.', { reason: 'clusterdown' }, error);
    }
    this.#slots = slots;
    this.#refreshedAt = this.#deps.clock.now();
    const current = new Set([...slots, ...seeds.map(({ name }) => name)]);
    for (const [name, node] of this.#nodes) {
      if (current.has(name)) continue;
      this.#nodes.delete(name);
      await node.close();
    }
  }
}

async function askForSlots(node: StoreNode): Promise<readonly (string | undefined)[]> {
  const { redis } = node.lane('calls');
  const [info, ranges] = await redis.run('cluster-slots', (client) =>
    Promise.all([client.cluster('INFO'), client.cluster('SLOTS') as unknown as Promise<SlotRange[]>]),
  );
  // One that was cut off from the others knows of no failover since.
  if (!/^cluster_state:ok/m.test(info)) throw unavailable('The redis cluster is down.', { reason: 'clusterdown' });
  const askedHost = node.name.slice(0, node.name.lastIndexOf(':'));
  const slots: (string | undefined)[] = [];
  for (const [first, last, [host, port]] of ranges) {
    // A node may not know its own address.
    for (let slot = first; slot <= last; slot += 1) slots[slot] = `${host || askedHost}:${port}`;
  }
  return slots;
}
