/** What can be seen of the worker of a shard from outside. */
export interface WorkerSight {
  /** Changes with every step of the shard's cursor. */
  readonly place: string;
  /** Grows while the worker is busy with something long that comes to an end, such as filing many shapes. */
  readonly busy: number;
  /** It has taken records from the stream and not written them yet. */
  readonly waiting: boolean;
  /** The store or NATS is away or full, as far as the worker knows: then it is not the shard that is stuck. */
  readonly outage: boolean;
}

/** What a stalled shard needs: a new worker; when that stalls too, the shapes that hold it up have to go. */
export type Remedy = 'restart' | 'rotate';

/**
 * Tells a shard that is stuck on a transaction from one that has nothing to do or cannot help it (spec R 13.5.2). Counts looks in
 * a row without progress instead of time: a process that was paused, or a clock that jumps, must not cost a shard its shapes.
 */
export class StallWatch {
  readonly #looks: number;
  #last: WorkerSight | undefined;
  #quiet = 0;
  /** Place where the worker was started again. */
  #restartedAt: string | undefined;

  /** After so many looks without progress a shard is stalled. */
  constructor(looks: number) {
    this.#looks = looks;
  }

  /** Undefined while the shard has no worker that owns it. Returns what is to be done now, if anything. */
  look(sight: WorkerSight | undefined): Remedy | undefined {
    const before = this.#last;
    this.#last = sight;
    if (sight === undefined || !sight.waiting || sight.outage) return this.#moved();
    if (sight.place !== this.#restartedAt) this.#restartedAt = undefined;
    if (before === undefined || before.place !== sight.place || before.busy !== sight.busy) return this.#moved();
    this.#quiet += 1;
    if (this.#quiet < this.#looks) return undefined;
    this.#quiet = 0;
    const remedy = this.#restartedAt === undefined ? 'restart' : 'rotate';
    this.#restartedAt = sight.place;
    return remedy;
  }

  #moved(): undefined {
    this.#quiet = 0;
  }
}
