import type { HolderWatch, NeighbourSource, SourceIdentity } from '@shapecast/change-source';
import { BUCKETS, type LeaderRecord, type Messaging } from '@shapecast/messaging';
import { Backoff, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { LeaderSilence } from './leader-silence.ts';
import { isGone, type ProcessPlace } from './process-place.ts';

/** So many readings between two renewals of the record, and so many renewals that may be missing: 10 s (spec R 4.6). */
const READINGS_PER_HEARTBEAT = 2;
const MISSING_HEARTBEATS = 5;

/** What a replicator says that waits for a lock whose holder it never hears of. */
const FOREIGN_LOCK =
  'Another session holds the lock of the source, and no replicator of this installation says that it leads: two clusters, or an Electric, ' +
  'use the same replication stream. Set another ELECTRIC_REPLICATION_STREAM_ID for one of them, or stop it. ' +
  '(While the holder creates its slot this looks the same.)';

interface WatchDeps {
  readonly messaging: Messaging;
  /** Of a process that knows of other sources. */
  readonly neighbours?: (identity: SourceIdentity) => Promise<readonly NeighbourSource[]>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface WatchOptions {
  readonly sourceId: string;
  readonly heartbeatMs: number;
  readonly holder: string;
  readonly place?: ProcessPlace;
}

/** What a replicator that waits for the lock learns of its holder from the leader registry, until `signal` aborts. */
export class StandbyWatch implements HolderWatch {
  readonly #deps: WatchDeps;
  readonly #options: WatchOptions;
  readonly #sourceId: string;
  readonly #readEveryMs: number;
  readonly #silence = new LeaderSilence(READINGS_PER_HEARTBEAT * MISSING_HEARTBEATS);
  readonly #callbacks = new Set<() => void>();
  #told = false;
  /** Walsender of the process that this one was before it was started again. */
  #formerWalSender: number | undefined;
  /** The lock is waited for, because another session has it. */
  waiting = false;

  constructor(deps: WatchDeps, options: WatchOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#sourceId = options.sourceId;
    this.#readEveryMs = options.heartbeatMs / READINGS_PER_HEARTBEAT;
  }

  onLeaving(callback: () => void): () => void {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  }

  async neighbours(identity: SourceIdentity): Promise<readonly NeighbourSource[]> {
    return (await this.#deps.neighbours?.(identity)) ?? [];
  }

  silentWalSender(): number | undefined {
    return this.#formerWalSender ?? this.#silence.walSenderPid;
  }

  /** One sentence, when the lock seems to be held by somebody who is not of this installation. */
  get complaint(): string | undefined {
    return this.waiting && this.#silence.unheard ? FOREIGN_LOCK : undefined;
  }

  #leaving(): void {
    for (const callback of this.#callbacks) callback();
  }

  /**
   * The leader is this process before it was killed: Postgres may not have noticed for a while that nobody is there any more, when the
   * network did not tell, or its backend is busy. There is nobody to be patient with (spec R 4.6).
   */
  #recogniseOwn(leader: LeaderRecord | undefined): void {
    const { holder, place } = this.#options;
    const known = this.#formerWalSender;
    this.#formerWalSender = undefined;
    if (leader?.holder !== holder || leader.process === undefined || place === undefined) return;
    if (leader.walSenderPid === 0 || !isGone(leader.process, place)) return;
    this.#formerWalSender = leader.walSenderPid;
    if (known === undefined) this.#leaving();
  }

  #tell(): void {
    const message = this.complaint;
    if (message !== undefined && !this.#told) emitEvent(this.#deps.log, 'warning', { type: 'foreign_lock', message });
    this.#told = message !== undefined;
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
          if (key === this.#sourceId && entry === undefined) this.#leaving();
        });
        while (!signal.aborted) {
          const entry = await leaders.get(this.#sourceId);
          this.#silence.seen(entry);
          this.#recogniseOwn(entry?.value);
          // It may have gone before the watch was there.
          if (entry === undefined) this.#leaving();
          this.#tell();
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
