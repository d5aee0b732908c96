import type { SourceDatabase, TableTree } from '@shapecast/change-source';
import type { Joined } from '@shapecast/log';
import type { Clock, Logger } from '@shapecast/service-kit';
import { Latch } from './latch.ts';
import type { ShardIndex } from './matching/shard-index.ts';
import { reviewShapes, type TreeFindings } from './matching/tree-review.ts';

interface TreeWatchDeps {
  readonly database: Pick<SourceDatabase, 'readTrees'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the shards that this process owns, with a way to have ended shapes rotated. */
  readonly shards: () => Iterable<{ readonly index: ShardIndex; wake(): void }>;
  /** Has a table and what is below it published as it should be. */
  readonly publish: (table: TableTree) => Promise<void>;
}

export interface TreeWatchOptions {
  /** How often the catalog is compared. */
  readonly intervalMs: number;
}

/** A burst of new partitions is looked at once. */
const MIN_INTERVAL_MS = 250;

/** What is known of the tables below a table; by oid, absent where a table was below it from its creation. */
type Members = ReadonlyMap<number, Joined | undefined>;

/**
 * Compares the trees of partitioned and inherited tables that have shapes with what they were: now and then, and when the
 * stream shows a table below one for the first time (spec R 7.15). Ends the shapes that missed something, and asks for what
 * is new to be published. What it compares with is in memory: a partition that leaves while no router of the shard runs is
 * noticed by nobody.
 */
export class TreeWatch {
  readonly #deps: TreeWatchDeps;
  readonly #options: TreeWatchOptions;
  readonly #wake = new Latch();
  readonly #known = new Map<number, Members>();
  /** Tables that are being published again. */
  readonly #publishing = new Set<number>();
  /** Tables that could not be published; said once. */
  readonly #failing = new Set<number>();

  constructor(deps: TreeWatchDeps, options: TreeWatchOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Something may have changed: looks soon. */
  poke(): void {
    this.#wake.set();
  }

  /** Remembers the tree of a table before the first snapshot of it is taken, so that no change after that goes unnoticed. */
  async observe(oid: number, signal: AbortSignal): Promise<void> {
    if (this.#known.has(oid)) return;
    const { trees, xmax } = await this.#deps.database.readTrees([oid], signal);
    for (const tree of trees) if (!this.#known.has(oid)) this.#known.set(oid, membersOf(tree, xmax, undefined));
  }

  /** Watches until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      await this.#wake.wait(clock, this.#options.intervalMs, signal);
      if (signal.aborted) return;
      try {
        await this.look(signal);
      } catch (err) {
        if (!signal.aborted) log.warn({ err }, 'partitions could not be compared, trying again');
      }
      await clock.sleep(MIN_INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  /** Compares once. */
  async look(signal: AbortSignal): Promise<void> {
    const oids = new Set<number>();
    for (const { index } of this.#deps.shards()) for (const oid of index.oids()) oids.add(oid);
    for (const oid of this.#known.keys()) if (!oids.has(oid)) this.#known.delete(oid);
    if (oids.size === 0) return;
    const { xmax, trees } = await this.#deps.database.readTrees([...oids], signal);
    const found = new Map(trees.map((tree) => [tree.oid, tree]));
    for (const oid of oids) {
      const tree = found.get(oid);
      this.#judge(this.#compare(oid, tree, xmax));
      if (tree?.incomplete) void this.#publish(tree);
    }
  }

  #compare(oid: number, tree: TableTree | undefined, xmax: bigint): TreeFindings {
    if (tree === undefined) return { oid, xmax, name: undefined, changed: true, joined: [] };
    const before = this.#known.get(oid);
    const now = membersOf(tree, xmax, before);
    this.#known.set(oid, now);
    const left = before !== undefined && [...before.keys()].some((member) => !now.has(member));
    const joined = [...now.values()].filter((each) => each !== undefined);
    // One that is not published has no place in the history of any snapshot; those that come later have it published first.
    const unpublished = joined.some(({ xid }) => xid > xmax);
    return { oid, xmax, name: tree, changed: left || unpublished, joined: joined.filter(({ xid }) => xid <= xmax) };
  }

  #judge(findings: TreeFindings): void {
    for (const shard of this.#deps.shards()) {
      const ended = reviewShapes(shard.index, findings);
      if (ended === 0) continue;
      const { oid, name } = findings;
      this.#deps.log.info({ oid, table: name?.name, shapes: ended }, 'the tables below a table changed, shapes end');
      shard.wake();
    }
  }

  async #publish(tree: TableTree): Promise<void> {
    const { oid, schema, name } = tree;
    if (this.#publishing.has(oid)) return;
    this.#publishing.add(oid);
    try {
      await this.#deps.publish(tree);
      this.#failing.delete(oid);
    } catch (err) {
      if (!this.#failing.has(oid)) this.#deps.log.warn({ err, schema, name }, 'new partitions could not be published');
      this.#failing.add(oid);
    } finally {
      this.#publishing.delete(oid);
    }
  }
}

/** A table that was known to be there keeps the snapshot it was first seen with. */
function membersOf({ members }: TableTree, xmax: bigint, before: Members | undefined): Members {
  return new Map(
    [...members].map(([member, xid]) => {
      if (xid === undefined) return [member, undefined];
      const known = before?.get(member);
      return [member, known?.xid === xid ? known : { xid, seenXmax: xmax }];
    }),
  );
}
