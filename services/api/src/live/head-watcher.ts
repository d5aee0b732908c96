import { decodeShardHint, shardHintSubject, type Hints } from '@shapecast/messaging';
import { abortReason, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeHead, ShapeStore, ShardId } from '@shapecast/shape-store';

const TICK_MS = 100;
const MAX_BATCH = 500;
const RETRY_MS = 500;
/** A subscription outlives its last watcher for a while: the next poll of the same clients is on its way. */
const LINGER_MS = 30_000;

interface WatcherDeps {
  readonly store: ShapeStore;
  readonly hints: Hints;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Called with every head read after the watch began; undefined when the handle is unknown by now. `announcedAt` is when the hint came
 * that had it read, on the process's clock; 0: there was none, and something else was the reason to look.
 */
export type HeadListener = (head: ShapeHead | undefined, announcedAt: number) => void;

export interface Watch {
  /** Asks for another look, for instance at a deadline. */
  recheck(): void;
  close(): void;
}

interface ShardWatch {
  readonly shard: ShardId;
  readonly listeners: Map<string, Set<HeadListener>>;
  /** When a hint for each came; 0: none did. */
  readonly dirty: Map<string, number>;
  unsubscribe: () => void;
  checking: boolean;
  /** Milliseconds since 1970. */
  nextPollAt: number;
  retryAt: number;
  idleSince: number;
}

/**
 * Tells who waits for a shape that its head moved (spec R 14.3). One subscription per shard with waiters; a hint, a gap in
 * the hints, a new watch and a slow poll all do the same: they mark handles, and one batched read per shard serves all that
 * were marked meanwhile. So the cost follows the handles that move, not the clients that wait.
 */
export class HeadWatcher {
  readonly #deps: WatcherDeps;
  readonly #pollMs: number;
  readonly #shards = new Map<string, ShardWatch>();
  readonly #onTick = new Set<(now: number) => void>();
  #cancelTick: (() => void) | undefined;
  #stopped = false;

  constructor(deps: WatcherDeps, options: { readonly pollMs: number }) {
    this.#deps = deps;
    this.#pollMs = options.pollMs;
  }

  /** The first look follows at once, after the subscription (14.3: subscribe, read, wait). */
  watch(shard: ShardId, handle: string, listener: HeadListener): Watch {
    const watch = this.#shardWatch(shard);
    let listeners = watch.listeners.get(handle);
    if (listeners === undefined) watch.listeners.set(handle, (listeners = new Set()));
    listeners.add(listener);
    this.#mark(watch, handle);
    this.#scheduleTick();
    return {
      recheck: () => this.#mark(watch, handle),
      close: () => {
        const current = watch.listeners.get(handle);
        current?.delete(listener);
        if (current?.size !== 0) return;
        watch.listeners.delete(handle);
        if (watch.listeners.size === 0) watch.idleSince = this.#deps.clock.now();
      },
    };
  }

  /**
   * The first head that `accept` takes, or undefined after `timeoutMs`. A handle that is gone is offered as undefined.
   * `pollMs` looks more often than hints are sent.
   */
  async waitFor<T>(
    shard: ShardId,
    handle: string,
    accept: (head: ShapeHead | undefined) => T | undefined,
    options: { readonly timeoutMs: number; readonly signal: AbortSignal; readonly pollMs?: number },
  ): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    const { signal, pollMs } = options;
    const onAbort = () => reject(abortReason(signal));
    if (signal.aborted) throw abortReason(signal);
    signal.addEventListener('abort', onAbort, { once: true });
    const cancelTimer = this.#deps.clock.after(options.timeoutMs, () => resolve(undefined));
    const watch = this.watch(shard, handle, (head) => {
      const accepted = accept(head);
      if (accepted !== undefined) resolve(accepted);
      else if (pollMs !== undefined) {
        cancelPoll();
        cancelPoll = this.#deps.clock.after(pollMs, () => watch.recheck());
      }
    });
    let cancelPoll = () => {};
    try {
      return await promise;
    } finally {
      watch.close();
      cancelPoll();
      cancelTimer();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Calls back about ten times a second while anything is watched: the one timer that all waits share. */
  onTick(callback: (now: number) => void): void {
    this.#onTick.add(callback);
  }

  /** The source has a new incarnation: handles of others are gone for good. */
  incarnationChanged(incarnation: number): void {
    for (const [key, watch] of this.#shards) {
      if (watch.shard.incarnation === incarnation) continue;
      this.#shards.delete(key);
      watch.unsubscribe();
      for (const listeners of [...watch.listeners.values()]) this.#tell(listeners, undefined, 0);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTick?.();
    for (const watch of this.#shards.values()) watch.unsubscribe();
    this.#shards.clear();
  }

  #shardWatch(shard: ShardId): ShardWatch {
    const key = `${shard.incarnation}/${shard.shard}`;
    const known = this.#shards.get(key);
    if (known !== undefined) return known;
    const now = this.#deps.clock.now();
    const watch: ShardWatch = {
      shard,
      listeners: new Map(),
      dirty: new Map(),
      unsubscribe: () => {},
      checking: false,
      nextPollAt: now + this.#pollDelayMs(),
      retryAt: 0,
      idleSince: now,
    };
    this.#shards.set(key, watch);
    watch.unsubscribe = this.#deps.hints.subscribe(
      shardHintSubject(shard.source, shard.incarnation, shard.shard),
      (payload) => {
        if (watch.listeners.size === 0) return;
        const hint = decodeShardHint(payload);
        const now = this.#deps.clock.now();
        if ('many' in hint) return this.#markAll(watch, now);
        for (const handle of hint.handles) if (watch.listeners.has(handle)) this.#mark(watch, handle, now);
      },
      () => this.#markAll(watch),
    );
    return watch;
  }

  #mark(watch: ShardWatch, handle: string, announcedAt = 0): void {
    watch.dirty.set(handle, watch.dirty.get(handle) || announcedAt);
    if (watch.checking || this.#stopped) return;
    watch.checking = true;
    // Whatever else arrives in this turn of the event loop joins the batch.
    setImmediate(() => void this.#check(watch));
  }

  #markAll(watch: ShardWatch, announcedAt = 0): void {
    for (const handle of watch.listeners.keys()) this.#mark(watch, handle, announcedAt);
  }

  async #check(watch: ShardWatch): Promise<void> {
    try {
      while (watch.dirty.size > 0 && !this.#stopped) {
        const handles: string[] = [];
        const announced: number[] = [];
        for (const [handle, announcedAt] of watch.dirty) {
          if (handles.length === MAX_BATCH) break;
          watch.dirty.delete(handle);
          if (!watch.listeners.has(handle)) continue;
          handles.push(handle);
          announced.push(announcedAt);
        }
        if (handles.length === 0) continue;
        try {
          const heads = await this.#deps.store.readHeads(watch.shard, handles);
          for (const [index, handle] of handles.entries()) {
            const listeners = watch.listeners.get(handle);
            if (listeners !== undefined) this.#tell(listeners, heads[index], announced[index] as number);
          }
        } catch (err) {
          this.#deps.log.warn({ err, shard: watch.shard.shard }, 'heads cannot be read');
          for (const [index, handle] of handles.entries()) this.#remark(watch, handle, announced[index] as number);
          watch.retryAt = this.#deps.clock.now() + RETRY_MS;
          return;
        }
      }
    } finally {
      // While `retryAt` is set the tick starts the next attempt.
      watch.checking = watch.retryAt > 0;
    }
  }

  /** It could not be looked at: what was known of it before counts. */
  #remark({ dirty }: ShardWatch, handle: string, announcedAt: number): void {
    dirty.set(handle, announcedAt || (dirty.get(handle) ?? 0));
  }

  #tell(listeners: ReadonlySet<HeadListener>, head: ShapeHead | undefined, announcedAt: number): void {
    for (const listener of [...listeners]) {
      try {
        listener(head, announcedAt);
      } catch (err) {
        this.#deps.log.error({ err }, 'a head listener failed');
      }
    }
  }

  #scheduleTick(): void {
    if (this.#cancelTick !== undefined || this.#stopped) return;
    this.#cancelTick = this.#deps.clock.after(TICK_MS, () => {
      this.#cancelTick = undefined;
      this.#tick(this.#deps.clock.now());
      if (this.#shards.size > 0) this.#scheduleTick();
    });
  }

  #tick(now: number): void {
    for (const [key, watch] of this.#shards) {
      if (watch.retryAt > 0 && now >= watch.retryAt) {
        watch.retryAt = 0;
        void this.#check(watch);
        continue;
      }
      if (watch.listeners.size === 0) {
        if (now - watch.idleSince < LINGER_MS || watch.checking) continue;
        this.#shards.delete(key);
        watch.unsubscribe();
      } else if (now >= watch.nextPollAt) {
        watch.nextPollAt = now + this.#pollDelayMs();
        this.#markAll(watch);
      }
    }
    for (const callback of this.#onTick) callback(now);
  }

  /** At most `pollMs`, and spread, so that pods and shards do not ask in step. */
  #pollDelayMs(): number {
    return this.#pollMs * (0.75 + this.#deps.clock.random() / 4);
  }
}
