import { RotationJournal, type Messaging, type SourceRecord } from '@shapecast/messaging';
import { Backoff, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeStore, ShardId } from '@shapecast/shape-store';
import { AdminError } from '../admin-error.ts';
import { endShapes, type EndingShape } from './end-shapes.ts';
import { failureFor, type RotationOrder } from './rotation-order.ts';

interface RotationDeps {
  readonly messaging: Messaging;
  readonly store: ShapeStore;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How far a rotation of many shapes is. */
export interface RotationProgress extends RotationOrder {
  readonly state: 'running' | 'done' | 'failed';
  /** Found so far: shards are looked through one after the other. */
  readonly shapes: number;
  /** Those that were alive and have ended. */
  readonly rotated: number;
  readonly shards: { readonly done: number; readonly of: number };
  /** ISO times. */
  readonly startedAt: string;
  readonly endedAt?: string;
  /** Why it failed: what it had not come to goes on. */
  readonly problem?: string;
}

/** As upkeep of routers paces what it ends: so many at a time, with a pause in which what readers wait for goes first (spec R 15). */
const BATCH = 50;
const PAUSE_MS = 20;
/** A store or a registry that is away for longer fails the rotation. */
const TRIES = 8;
/** Kept of each source, newest first, for whoever looks how it went. */
const KEPT = 20;
const MAX_SOURCES = 1_000;

/**
 * Rotates all shapes of a table or of a source, in this process and in the background: any process may end a shape, so nothing of it
 * depends on routers being there. One rotation at a time and source. It ends with the process: a repetition goes on with what is left.
 */
export class MassRotations {
  readonly #deps: RotationDeps;
  readonly #all = new Map<string, RotationProgress[]>();
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(deps: RotationDeps) {
    this.#deps = deps;
  }

  /** Begins at once and returns. Shapes that begin later may go on. Throws while another one runs. */
  start(source: string, record: SourceRecord, order: RotationOrder, onEnd: () => void): RotationProgress {
    const of = this.of(source);
    if (of[0]?.state === 'running') {
      const message = 'Shapes of the source are being rotated already: wait until that is done.';
      throw new AdminError({ status: 409, code: 'rotation_running', message, retryAfterS: 2 });
    }
    const first: RotationProgress = {
      ...order,
      ...{ state: 'running', shapes: 0, rotated: 0, shards: { done: 0, of: record.shards } },
      startedAt: this.#now(),
    };
    if (!this.#all.has(source) && this.#all.size >= MAX_SOURCES) {
      this.#all.delete(this.#all.keys().next().value as string);
    }
    this.#all.set(source, [first, ...of].slice(0, KEPT));
    const work = this.#run(source, record, first).finally(() => {
      this.#running.delete(work);
      onEnd();
    });
    this.#running.add(work);
    return first;
  }

  /** Of a source, newest first, since this process started. */
  of(source: string): readonly RotationProgress[] {
    return this.#all.get(source) ?? [];
  }

  /** Breaks off what runs. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the process stops'));
    await Promise.all(this.#running);
  }

  async #run(source: string, { incarnation, shards }: SourceRecord, first: RotationProgress): Promise<void> {
    const log = this.#deps.log.child({ source });
    let now = first;
    const turn = (change: Partial<RotationProgress>) => {
      const all = this.#all.get(source) ?? [];
      const at = all.indexOf(now);
      now = { ...now, ...change };
      if (at >= 0) all[at] = now;
    };
    try {
      for (let shard = 0; shard < shards; shard += 1) {
        await this.#shard({ source, incarnation, shard }, first, log, (found, rotated) =>
          turn({ shapes: now.shapes + found, rotated: now.rotated + rotated }),
        );
        turn({ shards: { done: shard + 1, of: shards } });
      }
      turn({ state: 'done', endedAt: this.#now() });
      log.info({ shapes: now.shapes, rotated: now.rotated, table: first.table }, 'a rotation of many shapes is done');
    } catch (err) {
      turn({ state: 'failed', endedAt: this.#now(), problem: (err as Error).message });
      log.warn({ err, rotated: now.rotated, table: first.table }, 'a rotation of many shapes was broken off');
    }
  }

  async #shard(
    id: ShardId,
    { table, reason }: RotationOrder,
    log: Logger,
    tell: (found: number, rotated: number) => void,
  ): Promise<void> {
    const { messaging, store, clock } = this.#deps;
    const { registries, hints } = messaging;
    const { signal } = this.#stop;
    const loaded = await this.#patiently(() => store.loadShapes(id));
    const chosen = loaded.shapes.flatMap(({ handle, state, definition }): EndingShape[] => {
      const name = `${definition.schema}.${definition.table}`;
      return state !== 'dead' && (table === undefined || table === name) ? [{ handle, table: name }] : [];
    });
    // What has lost its definition is of no table that could be told, and of the source.
    if (table === undefined) chosen.push(...(loaded.damaged ?? []).map((handle) => ({ handle })));
    const journal = new RotationJournal({ registries, clock, log }, id.source);
    tell(chosen.length, 0);
    for (let i = 0; i < chosen.length; i += BATCH) {
      if (i > 0) await clock.sleep(PAUSE_MS, signal);
      const batch = chosen.slice(i, i + BATCH);
      tell(0, await this.#patiently(() => endShapes({ store, journal, hints, log }, id, batch, failureFor(reason))));
    }
  }

  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const backoff = new Backoff(this.#deps.clock, { minMs: 100, maxMs: 5_000 });
    for (let tries = 1; ; tries += 1) {
      this.#stop.signal.throwIfAborted();
      try {
        return await work();
      } catch (err) {
        if (tries >= TRIES) throw err;
        await backoff.wait(this.#stop.signal);
      }
    }
  }

  #now(): string {
    return new Date(wallTime(this.#deps.clock)).toISOString();
  }
}
