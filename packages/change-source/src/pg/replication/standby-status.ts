import { maxLsn, type Lsn } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';

/** While nothing moves, pings are answered at most this often: a server that shuts down asks again at once (spec R 8.4.1). */
const REPLY_SPACING_MS = 100;
const MAX_INTERVAL_MS = 15_000;
/** A silent server is asked for a sign of life (spec R 8.5.4). */
const PROBE_AFTER_MS = 10_000;
const MIN_DEAD_PEER_MS = 30_000;
/** Pings without movement for this long mean that Postgres wants to stop and waits for us (spec R 8.4.3). */
const SHUTDOWN_GRACE_MS = 2_000;
const SHUTDOWN_PINGS = 10;
const PG_EPOCH_MS = 946_684_800_000;

export interface StandbyStatusDeps {
  readonly clock: Clock;
  send(update: Buffer): void;
  /** Postgres seems gone, or waits for us to leave. */
  fail(reason: 'dead_peer' | 'shutting_down'): void;
  /** The socket is not being read, so silence means nothing. */
  paused(): boolean;
}

export interface StandbyStatusOptions {
  /** The slot's position: what the first update says (spec R 8.5.3), because 0 would read as going back. */
  readonly startLsn: Lsn;
  /** 0 when the server never times a walsender out. */
  readonly walSenderTimeoutMs: number;
}

/**
 * What Postgres is told about our progress, and when: at a fixed interval also while reading is paused (spec R 8.3.2), on a
 * ping, and when the confirmed position moves. Positions are "next byte" (8.5.2).
 */
export class StandbyStatus {
  readonly #deps: StandbyStatusDeps;
  readonly #intervalMs: number;
  readonly #deadPeerMs: number;
  /** End of what arrived. Invariant: flushed <= received, so nothing unseen is ever confirmed. */
  #received: Lsn;
  #flushed: Lsn;
  #lastCommit: { readonly lsn: Lsn; readonly endLsn: Lsn } | undefined;
  #heard = false;
  #heardAtMs: number;
  #sentAtMs = 0;
  #sentFlushed: Lsn | undefined;
  #sentReceived: Lsn | undefined;
  #pings: { readonly received: Lsn; readonly sinceMs: number; count: number } | undefined;
  #cancelTick: (() => void) | undefined;
  #cancelReply: (() => void) | undefined;

  constructor(deps: StandbyStatusDeps, options: StandbyStatusOptions) {
    this.#deps = deps;
    this.#received = options.startLsn;
    this.#flushed = options.startLsn;
    this.#heardAtMs = deps.clock.now();
    const timeout = options.walSenderTimeoutMs;
    this.#intervalMs = timeout > 0 ? Math.min(timeout / 3, MAX_INTERVAL_MS) : MAX_INTERVAL_MS;
    this.#deadPeerMs = Math.max(2 * timeout, MIN_DEAD_PEER_MS);
  }

  /** The stream is open, so there is somebody to tell. */
  get running(): boolean {
    return this.#cancelTick !== undefined;
  }

  start(): void {
    this.sendNow();
    this.#tick();
  }

  stop(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#cancelReply?.();
    this.#cancelReply = undefined;
  }

  /** Any message counts as a sign of life. Called for each, so it only sets a flag. */
  heard(): void {
    this.#heard = true;
  }

  transactionEnd(lsn: Lsn, endLsn: Lsn): void {
    this.#lastCommit = { lsn, endLsn };
    this.#received = maxLsn(this.#received, endLsn);
  }

  /** A keepalive; `reply` when the server asks for an answer. */
  keepalive(walEnd: Lsn, reply: boolean): void {
    this.#received = maxLsn(this.#received, walEnd);
    if (!reply) return;
    this.#countPing();
    const moved = this.#flushed !== this.#sentFlushed || this.#received !== this.#sentReceived;
    if (moved) return this.sendNow();
    this.#sendSpaced();
  }

  /**
   * Everything that commits at or before `lsn` is durable elsewhere. The flushed position becomes the byte after: the end of
   * the commit record when it is the last one received, else `lsn` + 1, but never past what was received. A server that
   * shuts down leaves only once this equals all it sent, so one byte more or less would hold it up.
   */
  confirm(lsn: Lsn): void {
    const end = lsn === this.#lastCommit?.lsn ? this.#lastCommit.endLsn : ((lsn + 1n) as Lsn);
    const next = end < this.#received ? end : this.#received;
    if (next <= this.#flushed) return;
    this.#flushed = next;
    if (this.running) this.#sendSpaced();
  }

  sendNow(requestReply = false): void {
    this.#cancelReply?.();
    this.#cancelReply = undefined;
    this.#sentAtMs = this.#deps.clock.now();
    this.#sentFlushed = this.#flushed;
    this.#sentReceived = this.#received;
    this.#deps.send(encodeStatus(this.#received, this.#flushed, this.#sentAtMs, requestReply));
  }

  #sendSpaced(): void {
    if (this.#cancelReply) return;
    const waitMs = this.#sentAtMs + REPLY_SPACING_MS - this.#deps.clock.now();
    if (waitMs <= 0) return this.sendNow();
    this.#cancelReply = this.#deps.clock.after(waitMs, () => {
      this.#cancelReply = undefined;
      this.sendNow();
    });
  }

  #countPing(): void {
    const now = this.#deps.clock.now();
    const pings = this.#pings;
    if (pings?.received !== this.#received) {
      this.#pings = { received: this.#received, sinceMs: now, count: 1 };
      return;
    }
    pings.count += 1;
    if (pings.count >= SHUTDOWN_PINGS && now - pings.sinceMs >= SHUTDOWN_GRACE_MS) this.#deps.fail('shutting_down');
  }

  #tick(): void {
    this.#cancelTick = this.#deps.clock.after(this.#intervalMs, () => {
      const now = this.#deps.clock.now();
      if (this.#heard || this.#deps.paused()) this.#heardAtMs = now;
      this.#heard = false;
      const silentMs = now - this.#heardAtMs;
      if (silentMs >= this.#deadPeerMs) return this.#deps.fail('dead_peer');
      this.sendNow(silentMs >= PROBE_AFTER_MS);
      this.#tick();
    });
  }
}

/** Postgres manual, "Streaming Replication Protocol", standby status update. */
function encodeStatus(received: Lsn, flushed: Lsn, nowMs: number, requestReply: boolean): Buffer {
  const update = Buffer.alloc(34);
  update[0] = 0x72; // 'r'
  update.writeBigUInt64BE(received, 1);
  update.writeBigUInt64BE(flushed, 9);
  update.writeBigUInt64BE(flushed, 17);
  update.writeBigInt64BE(BigInt(Math.trunc(nowMs - PG_EPOCH_MS)) * 1000n, 25);
  update[33] = requestReply ? 1 : 0;
  return update;
}
