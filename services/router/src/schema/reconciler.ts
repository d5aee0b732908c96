import type { SnapshotMoment, SourceDatabase, TableSight, TableSights, TableToPublish } from '@shapecast/change-source';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import { Latch } from '../latch.ts';
import type { RoutedShape } from '../matching/routed-shape.ts';
import type { ShardIndex } from '../matching/shard-index.ts';
import type { HistoryStore } from './history-store.ts';
import { reviewShape, type Finding } from './review.ts';
import { extendHistory, type TableHistory } from './table-history.ts';

interface ReconcilerDeps {
  readonly database: Pick<SourceDatabase, 'readTables'>;
  readonly histories: Pick<HistoryStore, 'extend' | 'forget'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the shards that this process owns, with a way to have ended shapes rotated. */
  readonly shards: () => Iterable<{ readonly index: ShardIndex; wake(): void }>;
  /** Has a table and what is below it published as it should be. */
  readonly publish: (table: TableToPublish) => Promise<void>;
  /** The catalog has a table like this. */
  readonly seen: (relation: RelationInfo) => void;
}

export interface ReconcilerOptions {
  /** How often the catalog is compared. */
  readonly intervalMs: number;
}

/** What is known of a table from the looks before. */
interface Known {
  readonly name: TableToPublish;
  readonly digest: string;
  readonly history: TableHistory;
}

/** A burst of DDL is looked at a few times and not at each statement. */
const MIN_INTERVAL_MS = 250;
/** Shapes that are compared without a pause: a few milliseconds of work. */
const REVIEWED_AT_ONCE = 500;
/** Histories read or written at a time. */
const CONCURRENCY = 16;

/**
 * Compares the catalog with the tables that have shapes: now and then, when the stream shows a table below one for the first time,
 * and when somebody tells of DDL (spec R 7.15, 10.3.6). Ends the shapes whose table is no longer what their history is of; what is
 * new below a table is published. A round costs one transaction and, where nothing changed, no work per shape.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #options: ReconcilerOptions;
  readonly #wake = new Latch();
  readonly #known = new Map<number, Known>();
  /** Tables whose history is on record, and that had nothing below them and cannot have partitions. */
  readonly #plain = new Set<number>();
  /** Tables that the stream has shown to be below one, by that one's oid, since it was last looked at. */
  readonly #shown = new Map<number, Set<number>>();
  /** Tables that a round did not reach are the first of the next one. */
  #unreached: ReadonlySet<number> = new Set();
  /** Why histories could not be written in this round. */
  #unrecorded: unknown;
  /** Tables that are being published again. */
  readonly #publishing = new Set<number>();
  /** Tables that could not be published; said once. */
  readonly #failing = new Set<number>();

  constructor(deps: ReconcilerDeps, options: ReconcilerOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Something may have changed: looks soon. */
  poke(): void {
    this.#wake.set();
  }

  /** The stream shows that `below` is below a table that has shapes. */
  showed(oid: number, below: number): void {
    const tables = this.#shown.get(oid) ?? new Set();
    this.#shown.set(oid, tables.add(below));
    this.poke();
  }

  /**
   * Has it on record how a table is, before the snapshot of a shape is taken, so that nothing that happens after that goes
   * unnoticed, whoever owns the shape then. Throws when that cannot be done.
   */
  async observe(oid: number, signal: AbortSignal): Promise<void> {
    if (this.#plain.has(oid)) return;
    const looks: TableSights[] = [];
    await this.#deps.database.readTables({ oids: [oid], known: new Map() }, (sights) => looks.push(sights), signal);
    for (const { tables, moment } of looks) {
      for (const sight of tables) {
        const history = await this.#deps.histories.extend(sight, moment);
        this.#recorded(sight, history);
        // Shapes that are there are for the next look to judge.
        const known = this.#known.get(oid);
        if (known !== undefined && (known.digest !== sight.digest || known.history.seen.xmax !== history.seen.xmax)) {
          this.poke();
        }
      }
    }
  }

  #recorded({ oid, details }: TableSight, history: TableHistory): void {
    if (history.members.size > 0) this.#plain.delete(oid);
    else if (details?.relation.kind === 'r') this.#plain.add(oid);
  }

  /** Compares until `signal` aborts. A round that fails is left out. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      await this.#wake.wait(clock, this.#options.intervalMs, signal);
      if (signal.aborted) return;
      try {
        await this.look(signal);
      } catch (err) {
        if (!signal.aborted) log.warn({ err }, 'the catalog could not be compared, trying again');
      }
      await clock.sleep(MIN_INTERVAL_MS, signal).catch(() => undefined);
    }
  }

  /** Compares once. */
  async look(signal: AbortSignal): Promise<void> {
    const unreviewed = this.#unreviewedTables();
    const oids = this.#tables();
    if (oids.length === 0) return;
    // Shapes that nobody has judged need the details to be judged by.
    const digests = [...this.#known].flatMap(([oid, { digest }]) =>
      unreviewed.has(oid) ? [] : [[oid, digest] as const],
    );
    const shown = new Map(this.#shown);
    this.#shown.clear();
    const unreached = new Set(oids);
    const looks: TableSights[] = [];
    try {
      const take = (sights: TableSights) => {
        looks.push(sights);
        for (const { oid } of sights.tables) unreached.delete(oid);
        for (const oid of sights.gone) unreached.delete(oid);
      };
      await this.#deps.database.readTables({ oids, known: new Map(digests) }, take, signal);
    } finally {
      this.#unreached = unreached;
      // A limit of time was reached: the rest follows soon.
      if (unreached.size > 0 && unreached.size < oids.length) this.poke();
      for (const [oid, below] of shown) if (unreached.has(oid)) for (const each of below) this.showed(oid, each);
    }
    for (const { tables, gone, moment } of looks) {
      for (const oid of gone) await this.#gone(oid, moment);
      await eachOf(tables, (sight) => this.#compare(sight, moment, shown.get(sight.oid)));
    }
    const err = this.#unrecorded;
    this.#unrecorded = undefined;
    if (err !== undefined) this.#deps.log.warn({ err }, 'histories of tables could not be written, trying again');
  }

  /** Tables with shapes, those first that the last round did not reach. Forgets the others. */
  #tables(): number[] {
    const oids = new Set<number>();
    for (const { index } of this.#deps.shards()) for (const oid of index.oids()) oids.add(oid);
    for (const oid of this.#known.keys()) if (!oids.has(oid)) this.#known.delete(oid);
    for (const oid of this.#plain) if (!oids.has(oid)) this.#plain.delete(oid);
    for (const oid of this.#shown.keys()) if (!oids.has(oid)) this.#shown.delete(oid);
    return [...oids].sort((a, b) => Number(this.#unreached.has(b)) - Number(this.#unreached.has(a)));
  }

  #unreviewedTables(): Set<number> {
    const oids = new Set<number>();
    for (const { index } of this.#deps.shards())
      for (const shape of index.unreviewed) oids.add(shape.record.definition.oid);
    return oids;
  }

  async #gone(oid: number, moment: SnapshotMoment): Promise<void> {
    this.#known.delete(oid);
    await this.#judge({ oid, moment, table: undefined }, 'all');
    await this.#deps.histories.forget(oid).catch((err: unknown) => {
      this.#deps.log.debug({ err, oid }, 'the history of a table that is gone was not deleted');
    });
  }

  async #compare(sight: TableSight, moment: SnapshotMoment, shown?: ReadonlySet<number>): Promise<void> {
    const { oid, digest, details } = sight;
    const known = this.#known.get(oid);
    // Without details it was known when the look began.
    const name = details?.relation ?? known?.name;
    if (name === undefined) return;
    if (details !== undefined) this.#deps.seen(details.relation);
    // What is known here is a history that is on record; others may have added to that.
    let history = known && extendHistory(known.history, sight, moment, shown);
    if (history === undefined || history !== known?.history || details !== undefined) {
      try {
        history = await this.#deps.histories.extend(sight, moment, shown);
        this.#known.set(oid, { name: { oid, schema: name.schema, name: name.name }, digest, history });
        this.#recorded(sight, history);
      } catch (err) {
        // What is seen is true nevertheless. It is not kept, so that the next look writes it down.
        this.#known.delete(oid);
        this.#plain.delete(oid);
        this.#unrecorded ??= err;
      }
    }
    const relation = details?.relation;
    if (known === undefined || known.digest !== digest || history !== known.history) {
      await this.#judge({ oid, moment, table: { relation, history } }, 'all');
    } else if (relation !== undefined) await this.#judge({ oid, moment, table: { relation, history } }, 'unreviewed');
    if (sight.incomplete) void this.#publish({ oid, schema: name.schema, name: name.name });
  }

  async #judge(finding: Finding, which: 'all' | 'unreviewed'): Promise<void> {
    for (const shard of this.#deps.shards()) {
      const { index } = shard;
      const ended = new Map<string, number>();
      let compared = 0;
      for (const shape of [...index.shapesOn(finding.oid)]) {
        if (which === 'unreviewed' && !index.unreviewed.has(shape)) continue;
        compared += 1;
        if (compared % REVIEWED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
        const reason = endOf(index, shape, finding);
        if (reason !== undefined) ended.set(reason, (ended.get(reason) ?? 0) + 1);
      }
      if (ended.size === 0) continue;
      const { oid, table } = finding;
      for (const [reason, shapes] of ended) {
        this.#deps.log.info({ oid, table: table?.relation?.name, reason, shapes }, 'a table changed, shapes end');
      }
      shard.wake();
    }
  }

  async #publish({ oid, schema, name }: TableToPublish): Promise<void> {
    if (this.#publishing.has(oid)) return;
    this.#publishing.add(oid);
    try {
      await this.#deps.publish({ oid, schema, name });
      this.#failing.delete(oid);
    } catch (err) {
      if (!this.#failing.has(oid)) this.#deps.log.warn({ err, schema, name }, 'new partitions could not be published');
      this.#failing.add(oid);
    } finally {
      this.#publishing.delete(oid);
    }
  }
}

/** Ends the shape if it has to, and says why. */
function endOf(index: ShardIndex, shape: RoutedShape, finding: Finding): string | undefined {
  // It may have gone, or be about to.
  if (index.get(shape.handle) !== shape || index.ending.has(shape)) return undefined;
  // Without the details only the history is new, and this shape has not been held against the rest yet.
  if (finding.table !== undefined && finding.table.relation === undefined && index.unreviewed.has(shape))
    return undefined;
  const verdict = reviewShape(shape, finding);
  if (verdict === 'later') {
    index.unreviewed.add(shape);
    return undefined;
  }
  index.unreviewed.delete(shape);
  if (verdict === undefined) return undefined;
  index.end(shape, verdict);
  return verdict.message;
}

async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const waiting = items.values();
  const worker = async () => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, worker));
}
