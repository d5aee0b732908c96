import { parseDecimalLsn, ZERO_LSN, type Lsn } from '@shapecast/log';
import {
  lowestAppliedSeq,
  lowestDurableCursor,
  type Registries,
  type TxStream,
  type TxStreamInfo,
} from '@shapecast/messaging';
import { Complaints, emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { EMERGENCY, PRESSURE, TrimAlarms } from './trim-alarm.ts';
import { lastLsn, pointBelowLsn, pointStoredBefore } from './trim-point.ts';

interface TrimmerDeps {
  readonly stream: TxStream;
  readonly registries: Registries;
  /** What Postgres was told that it may forget. What it might send again stays, to be compared with (spec R 6.5 C5). */
  readonly confirmed: () => Lsn;
  /** Sequence of the last record that is known to be stored: nobody else makes the stream grow. */
  readonly storedSeq?: () => number;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface TrimmerOptions {
  readonly sourceId: string;
  readonly shards: number;
  /** How long records stay that every shard has stored for certain. */
  readonly trimMarginMs: number;
  readonly trimIntervalMs: number;
}

/** What the last look found. */
export interface TrimReport {
  readonly bytes: number;
  readonly messages: number;
  readonly oldestAgeMs: number;
  /** What the stream may hold, and how long it keeps it; absent without such a limit. */
  readonly maxBytes?: number;
  readonly maxAgeMs?: number;
  /** WAL between the last transaction in the stream and what every shard has stored for certain; absent while one has said nothing. */
  readonly behindBytes?: number;
  /** The shard that keeps the stream from being trimmed further, and the age of what it has not stored for certain. */
  readonly shard: number;
  readonly behindMs: number;
}

/** How often it is looked whether the stream fills up. */
const GLANCE_MS = 1_000;

/**
 * Drops what no shard will read again from the tx stream (spec R 9.1.3): what commits below all durable cursors, less a margin that
 * yields when the stream is three quarters full. Done by the leading replicator, which alone writes the stream; each step depends on
 * nothing but the stream and the cursors, so that a second leader, or one that was replaced, does no harm (spec O F189).
 */
export class Trimmer {
  readonly #deps: TrimmerDeps;
  readonly #options: TrimmerOptions;
  readonly #alarms = new TrimAlarms();
  readonly #complaints: Complaints;
  #report: TrimReport | undefined;
  /** Where the stream ended when it was looked at last and was far from full. */
  #glancedAt: number | undefined;

  constructor(deps: TrimmerDeps, options: TrimmerOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#complaints = new Complaints(deps.clock);
  }

  get report(): TrimReport | undefined {
    return this.#report;
  }

  /** Until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const { trimIntervalMs } = this.#options;
    const glanceMs = Math.min(GLANCE_MS, trimIntervalMs);
    const glances = Math.max(1, Math.round(trimIntervalMs / glanceMs));
    for (let round = 0; !signal.aborted; round += 1) {
      try {
        // A stream that fills up does not wait for its turn.
        if (round % glances === 0 || (await this.#fillsUp())) await this.look();
        this.#complaints.worked();
      } catch (err) {
        // NATS is away: the stream will not have grown either.
        if (this.#complaints.failed('trim')) log.warn({ err }, 'the tx stream could not be trimmed, trying again');
      }
      await clock.sleep(glanceMs, signal).catch(() => undefined);
    }
  }

  /** Does not ask again while nothing was added: most streams are idle, and there may be many. */
  async #fillsUp(): Promise<boolean> {
    const seq = this.#deps.storedSeq?.();
    if (seq !== undefined && seq === this.#glancedAt) return false;
    const pressed = isPressed(await this.#deps.stream.info());
    this.#glancedAt = pressed ? undefined : seq;
    return pressed;
  }

  /** One look, and the trimming that follows from it. Throws STREAM_UNAVAILABLE. */
  async look(): Promise<void> {
    const { stream, registries, log } = this.#deps;
    const { sourceId, shards, trimMarginMs } = this.#options;
    const info = await stream.info();
    const [first, last] = [await stream.get(info.firstSeq), await stream.last()];
    if (first === undefined || last === undefined) return;
    const { incarnation } = stream.id;
    const { shard, cursor } = await lowestDurableCursor(registries, sourceId, { incarnation, shards });
    const applied = (cursor && parseDecimalLsn(cursor.lsn)) ?? ZERO_LSN;
    const confirmed = this.#deps.confirmed();
    const range = { firstSeq: info.firstSeq, lastSeq: Math.min(info.lastSeq, (cursor?.seq ?? 0) + 1) };
    let point = await pointBelowLsn(stream, range, applied < confirmed ? applied : confirmed);
    const end = lastLsn(last);
    const behind = applied === ZERO_LSN ? {} : { behindBytes: applied < end ? Number(end - applied) : 0 };
    const behindMs = applied < end ? last.publishedMs - (point ?? first).publishedMs : 0;
    const before = last.publishedMs - trimMarginMs;
    if (point !== undefined && !isPressed(info) && point.publishedMs > before) {
      point = await pointStoredBefore(stream, { ...range, lastSeq: point.seq }, before);
    }
    let { bytes, firstSeq } = info;
    if (point !== undefined && point.seq > firstSeq) {
      await stream.trim(point.seq);
      ({ bytes, firstSeq } = await stream.info());
      log.debug({ from: info.firstSeq, to: firstSeq, bytes }, 'tx stream trimmed');
    }
    if (info.maxBytes !== undefined && bytes >= EMERGENCY * info.maxBytes) {
      await this.#trimOpenTransaction(firstSeq);
      ({ bytes, firstSeq } = await stream.info());
    }
    this.#tell({ shard, behindMs, bytes, maxAgeMs: info.maxAgeMs, maxBytes: info.maxBytes });
    const oldest = point !== undefined && point.seq === firstSeq ? point : first;
    const oldestAgeMs = last.publishedMs - oldest.publishedMs;
    const { maxBytes, maxAgeMs } = info;
    const limits = { ...(maxBytes === undefined ? {} : { maxBytes }), ...(maxAgeMs === undefined ? {} : { maxAgeMs }) };
    const messages = info.lastSeq - firstSeq + 1;
    this.#report = { bytes, messages, oldestAgeMs, ...limits, ...behind, shard, behindMs };
  }

  /**
   * The stream is full of one transaction, or nearly so: nothing more of it would ever get in. What all shards have applied of it goes; a
   * router that takes a shard over before its end finds a gap, and starts its shapes over.
   */
  async #trimOpenTransaction(firstSeq: number): Promise<void> {
    const { stream, registries, log } = this.#deps;
    const { sourceId, shards } = this.#options;
    const applied = await lowestAppliedSeq(registries, sourceId, { incarnation: stream.id.incarnation, shards });
    if (applied === undefined || applied <= firstSeq) return;
    await stream.trim(applied);
    log.warn({ from: firstSeq, to: applied }, 'the tx stream is too small for a transaction, its beginning is trimmed');
  }

  #tell(state: Parameters<TrimAlarms['look']>[0]): void {
    for (const { type, message } of this.#alarms.look(state)) emitEvent(this.#deps.log, 'warning', { type, message });
  }
}

function isPressed({ bytes, maxBytes }: TxStreamInfo): boolean {
  return maxBytes !== undefined && bytes >= PRESSURE * maxBytes;
}
