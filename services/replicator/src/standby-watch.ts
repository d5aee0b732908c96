import type { HolderWatch } from '@shapecast/change-source';
import { BUCKETS, type LeaderRecord, type Messaging } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import { LeaderSilence } from './leader-silence.ts';

/** So many readings between two renewals of the record, and so many renewals that may be missing: 10 s (spec R 4.6). */
const READINGS_PER_HEARTBEAT = 2;
const MISSING_HEARTBEATS = 5;

interface WatchDeps {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What a replicator that waits for the lock learns of its holder from the leader registry, until `signal` aborts. */
export class StandbyWatch implements HolderWatch {
  readonly #deps: WatchDeps;
  readonly #sourceId: string;
  readonly #readEveryMs: number;
  readonly #silence = new LeaderSilence(READINGS_PER_HEARTBEAT * MISSING_HEARTBEATS);
  readonly #callbacks = new Set<() => void>();

  constructor(deps: WatchDeps, options: { readonly sourceId: string; readonly heartbeatMs: number }) {
    this.#deps = deps;
    this.#sourceId = options.sourceId;
    this.#readEveryMs = options.heartbeatMs / READINGS_PER_HEARTBEAT;
  }

  onLeaving(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  silentWalSender(): number | undefined {
    return this.#silence.walSenderPid;
  }

  /** Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, messaging } = this.#deps;
    const backoff = new Backoff(clock, { minMs: this.#readEveryMs, maxMs: 5_000 });
    let stopWatching: (() => void) | undefined;
    while (!signal.aborted) {
      try {
        const { name, ttlMs } = BUCKETS.leaders;
        const leaders = await messaging.registries.open<LeaderRecord>(name, { ttlMs });
        stopWatching ??= await leaders.watch(this.#sourceId, (key, entry) => {
          // A leader that goes takes its record along, before it lets go of the lock.
          if (key === this.#sourceId && entry === undefined) for (const callback of this.#callbacks) callback();
        });
        while (!signal.aborted) {
          this.#silence.seen(await leaders.get(this.#sourceId));
          backoff.reset();
          await clock.sleep(this.#readEveryMs, signal);
        }
      } catch (err) {
        this.#silence.unreadable();
        if (signal.aborted) break;
        log.debug({ err }, 'leader record cannot be read');
        await backoff.wait(signal).catch(() => undefined);
      }
    }
    stopWatching?.();
  }
}
