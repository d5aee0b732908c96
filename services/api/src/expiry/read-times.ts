import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeReadTime, ShapeStore, ShardId } from '@shapecast/shape-store';

interface ReadTimesDeps {
  readonly store: Pick<ShapeStore, 'recordReads'>;
  /** What somebody waits for at the moment; the same shape may come more than once. */
  readonly waiting: () => Iterable<{ readonly shard: ShardId; readonly handle: string }>;
  readonly clock: Clock;
  readonly log: Logger;
}

interface ReadTimesOptions {
  /** Time between two reports at most. */
  readonly periodMs: number;
}

interface ShardReads {
  readonly shard: ShardId;
  /** When each shape was last read, in milliseconds since 1970. */
  readonly at: Map<string, number>;
}

/** Shapes remembered between two reports. More are read then than can be told, and those are in use anyway. */
const MAX_SHAPES = 100_000;
const WAITING_SLACK_MS = 5_000;
/** Half of the time for which a shape counts as active. */
const ACTIVE_HALF_MS = 30_000;

/**
 * Remembers which shapes this pod's clients read, and tells the store now and then, in one call per shard (spec R 15.5.2). A
 * shape that somebody waits for counts as read all the time.
 */
export class ReadTimes {
  readonly #deps: ReadTimesDeps;
  readonly #periodMs: number;
  readonly #shards = new Map<string, ShardReads>();
  #count = 0;
  /** Told of since the last turn, and between that and the one before. */
  #recent = new Set<string>();
  #before: ReadonlySet<string> = new Set();
  #turnedAt: number;

  constructor(deps: ReadTimesDeps, { periodMs }: ReadTimesOptions) {
    this.#deps = deps;
    this.#periodMs = periodMs;
    this.#turnedAt = deps.clock.now();
  }

  /** Called for every request; must cost next to nothing. */
  read(shard: ShardId, handle: string, at = this.#deps.clock.now()): void {
    const key = `${shard.incarnation}.${shard.shard}`;
    let reads = this.#shards.get(key);
    if (reads === undefined) this.#shards.set(key, (reads = { shard, at: new Map() }));
    const before = reads.at.get(handle);
    if (before === undefined) {
      if (this.#count >= MAX_SHAPES) return;
      this.#count += 1;
    }
    if (before === undefined || before < at) reads.at.set(handle, at);
  }

  /** Shapes that somebody waits for, or read within the last minute or so. */
  get active(): number {
    let count = this.#recent.size;
    for (const handle of this.#before) if (!this.#recent.has(handle)) count += 1;
    for (const { at } of this.#shards.values()) {
      for (const handle of at.keys()) if (!this.#recent.has(handle) && !this.#before.has(handle)) count += 1;
    }
    return count;
  }

  /** Reports until `signal` aborts, and once more then. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      // Spread, so that pods do not report in step.
      await clock.sleep(this.#periodMs * (0.5 + clock.random() / 2), signal).catch(() => undefined);
      await this.report();
    }
  }

  /** What the store does not take is told again with the next report. */
  async report(): Promise<void> {
    const { clock, store, log, waiting } = this.#deps;
    const waits = new Set<string>();
    for (const { shard, handle } of waiting()) {
      waits.add(handle);
      this.read(shard, handle);
    }
    const told = [...this.#shards.values()];
    this.#shards.clear();
    this.#count = 0;
    this.#remember(told);
    const waitingMs = 2 * this.#periodMs + WAITING_SLACK_MS;
    await Promise.all(
      told.map(async ({ shard, at }) => {
        const now = clock.now();
        const reads = [...at].map(([handle, time]): ShapeReadTime => ({
          handle,
          agoMs: now - time,
          waiting: waits.has(handle),
        }));
        try {
          await store.recordReads(shard, reads, waitingMs);
        } catch (err) {
          log.debug({ err, shard: shard.shard }, 'last reads could not be told, they will be with the next ones');
          for (const [handle, time] of at) this.read(shard, handle, time);
        }
      }),
    );
  }

  #remember(told: readonly ShardReads[]): void {
    const now = this.#deps.clock.now();
    if (now - this.#turnedAt >= ACTIVE_HALF_MS) {
      this.#before = now - this.#turnedAt < 2 * ACTIVE_HALF_MS ? this.#recent : new Set();
      this.#recent = new Set();
      this.#turnedAt = now;
    }
    for (const { at } of told) for (const handle of at.keys()) this.#recent.add(handle);
  }
}
