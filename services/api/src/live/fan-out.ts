/** Settled in one turn of the event loop: a few milliseconds of answers (deployment E7, spec O 4.6). */
const SLICE = 100;

/** Waits for `T`. */
interface Waiting<T> {
  readonly settle: (outcome: T) => void;
}

interface Job {
  readonly waiting: readonly Waiting<unknown>[];
  readonly outcome: unknown;
  next: number;
}

/**
 * Settles what many wait for. What is more than a slice goes on in later turns of the event loop, in between which others are served;
 * sources take turns, so that one with few readers does not wait until all of one with many have their answers.
 */
export class FanOut {
  /** Jobs of each source that has any; the first is next. */
  readonly #lanes = new Map<string, Job[]>();
  #left = SLICE;
  #scheduled = false;

  deliver<T>(source: string, waiting: readonly Waiting<T>[], outcome: T): void {
    if (waiting.length === 0) return;
    const lane = this.#lanes.get(source);
    const job: Job = { waiting: waiting as readonly Waiting<unknown>[], outcome, next: 0 };
    if (lane === undefined) this.#lanes.set(source, [job]);
    else lane.push(job);
    this.#run();
  }

  #run(): void {
    // One of each source, then the next of each.
    while (this.#left > 0 && this.#lanes.size > 0) {
      const [source, jobs] = this.#lanes.entries().next().value as [string, Job[]];
      this.#lanes.delete(source);
      const job = jobs[0] as Job;
      this.#left -= 1;
      const next = job.waiting[job.next] as Waiting<unknown>;
      job.next += 1;
      if (job.next === job.waiting.length) jobs.shift();
      if (jobs.length > 0) this.#lanes.set(source, jobs);
      next.settle(job.outcome);
    }
    if (this.#scheduled || this.#left === SLICE) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#left = SLICE;
      this.#run();
    });
  }
}
