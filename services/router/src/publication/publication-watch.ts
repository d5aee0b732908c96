import type { SourceDatabase } from '@shapecast/change-source';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { RoutedShape } from '../matching/routed-shape.ts';
import type { ShardIndex } from '../matching/shard-index.ts';
import { goesOn, UNPUBLISHED } from './breaks.ts';

interface PublicationWatchDeps {
  readonly database: Pick<SourceDatabase, 'publication'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the shards that this process owns, with a way to have ended shapes rotated. */
  readonly shards: () => Iterable<{ readonly index: ShardIndex; wake(): void }>;
}

/** Shapes that are compared without a pause. */
const COMPARED_AT_ONCE = 2_000;

/**
 * Ends the shapes that may have missed changes because their table was not published for a while (spec R 7.7, 15.7; ADR 0018).
 * The stream tells of it with the first change after (`PublicationBreaks`); until then, and where no change comes, the catalog
 * does: a table that was removed and added again has another membership than the one that the shape's snapshot saw. So this can
 * be found at any time after, by whoever owns the shard then.
 *
 * What is set for all tables alike (operations, the names of partitions) has no such memory: it is found while it lasts.
 */
export class PublicationWatch {
  readonly #deps: PublicationWatchDeps;
  readonly #intervalMs: number;

  constructor(deps: PublicationWatchDeps, options: { readonly intervalMs: number }) {
    this.#deps = deps;
    this.#intervalMs = options.intervalMs;
  }

  /** Compares until `signal` aborts. A round that fails is left out. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    while (!signal.aborted) {
      try {
        await this.look(signal);
      } catch (err) {
        if (!signal.aborted) log.warn({ err }, 'the publication could not be compared, trying again');
      }
      await clock.sleep(this.#intervalMs, signal).catch(() => undefined);
    }
  }

  /** Compares once. */
  async look(signal: AbortSignal): Promise<void> {
    const oids = new Set<number>();
    for (const { index } of this.#deps.shards()) for (const oid of index.oids()) oids.add(oid);
    if (oids.size === 0) return;
    const { moment, tables } = await this.#deps.database.publication.sight([...oids], signal);
    for (const shard of this.#deps.shards()) {
      const { index } = shard;
      const ended = new Map<number, number>();
      let compared = 0;
      for (const [oid, published] of tables) {
        for (const shape of [...index.shapesOn(oid)]) {
          compared += 1;
          if (compared % COMPARED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve));
          if (!isConcerned(index, shape) || goesOn(shape, { moment, published })) continue;
          index.end(shape, UNPUBLISHED);
          ended.set(oid, (ended.get(oid) ?? 0) + 1);
        }
      }
      for (const [oid, shapes] of ended) {
        this.#deps.log.warn({ oid, shapes }, 'a table was not published all the time, shapes end');
      }
      if (ended.size > 0) shard.wake();
    }
  }
}

/** It may have gone, or be about to. */
function isConcerned(index: ShardIndex, shape: RoutedShape): boolean {
  return index.get(shape.handle) === shape && !index.ending.has(shape);
}
