import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShardId } from '@shapecast/shape-store';
import type { ShardIndex } from '../matching/shard-index.ts';

/** A shard as upkeep sees it: owned by this process as long as the signal of the turn has not aborted. */
export interface UpkeepShard {
  readonly id: ShardId;
  /** Shards that the source has. */
  readonly shards: number;
  /** The shapes as the owner knows them. Read only. */
  readonly index: ShardIndex;
  /** Ends shapes, tells their readers, and has the owner go on without them. Returns the handles that were alive. */
  rotate(handles: Iterable<readonly [handle: string, failure: ShapeFailure]>): Promise<readonly string[]>;
  /** Nothing has happened in it for a while, and the process has others to look after. */
  readonly quiet?: () => boolean;
}

/** Work that a shard needs now and then, which no change and no reader waits for. */
export interface UpkeepJob {
  /** For log lines. */
  readonly name: string;
  /** Time between two rounds; every wait is between half and one and a half of it. */
  readonly periodMs: number;
  /** Is not about what happens in the shard: done as often while nothing does. */
  readonly always?: boolean;
  /**
   * One turn: a bounded piece of work, a second of it at most. 'more' asks for another turn of the same round soon. It is
   * repeated after a failure, so everything in it can be. State of a round is the job's own, by shard.
   */
  turn(shard: UpkeepShard, signal: AbortSignal): Promise<'done' | 'more'>;
}

interface UpkeepDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

interface RunnerOptions {
  /** Turns at the same time, of all shards of the process. */
  readonly concurrency: number;
}

/** Between two turns of a round: what clients wait for goes first. */
const PAUSE_MS = 20;
/** Between two rounds of a job in a shard where nothing happens. */
const QUIET_MS = 60_000;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 60_000;

/**
 * Runs jobs beside the owner of each shard, each job on its own schedule. A job that fails is tried again, ever more seldom,
 * and disturbs neither the other jobs nor the shard.
 */
export class Upkeep {
  readonly #deps: UpkeepDeps;
  readonly #jobs: readonly UpkeepJob[];
  readonly #options: RunnerOptions;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(deps: UpkeepDeps, jobs: readonly UpkeepJob[], options: RunnerOptions = { concurrency: 2 }) {
    this.#deps = deps;
    this.#jobs = jobs;
    this.#options = options;
  }

  /** Looks after one shard until `signal` aborts. */
  async run(shard: UpkeepShard, signal: AbortSignal): Promise<void> {
    await Promise.all(this.#jobs.map((job) => this.#repeat(job, shard, signal)));
  }

  async #repeat(job: UpkeepJob, shard: UpkeepShard, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const retry = new Backoff(clock, { minMs: RETRY_MIN_MS, maxMs: RETRY_MAX_MS });
    let waitMs = jittered(job.periodMs, clock);
    while (!signal.aborted) {
      await clock.sleep(waitMs, signal).catch(() => undefined);
      if (signal.aborted) return;
      try {
        const outcome = await this.#inTurn(() => job.turn(shard, signal), signal);
        retry.reset();
        const quiet = job.always !== true && shard.quiet?.() === true;
        waitMs =
          outcome === 'more' ? PAUSE_MS : jittered(quiet ? Math.max(QUIET_MS, job.periodMs) : job.periodMs, clock);
      } catch (err) {
        if (signal.aborted) return;
        waitMs = retry.nextDelayMs();
        log.warn(
          { err, job: job.name, shard: shard.id.shard, retryInMs: Math.round(waitMs) },
          'upkeep failed, retrying',
        );
      }
    }
  }

  /** Waits for one of the turns that may run at the same time. At most jobs times shards wait. */
  async #inTurn<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    while (this.#running >= this.#options.concurrency) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#running += 1;
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
    }
  }
}

function jittered(ms: number, clock: Clock): number {
  return ms * (0.5 + clock.random());
}
