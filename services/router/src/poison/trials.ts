import {
  BUCKETS,
  trialKey,
  type Registries,
  type Registry,
  type TrialRecord,
  type TxStreamId,
} from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';

/** Owners that may end at the same place before the record that comes next counts as what ends them. */
const MAX_ENDS = 3;

/**
 * Finds the record on which every owner of a shard dies (spec O F129). Nothing is written while all goes well. An owner that ended
 * without releasing its shard leaves a suspicion about the record after its cursor, in every shard that it owned. From then on the
 * shards under suspicion apply that one record in turn, each alone in its process and after having said so: whoever dies then, the
 * next owner knows of which shard's record. No clock is needed for it, since a shard under suspicion does not move on; a record of
 * it is forgotten a minute after its last write.
 */
export class Trials {
  readonly #deps: { readonly registries: Registries; readonly log: Logger };
  readonly #stream: TxStreamId;
  #registry: Registry<TrialRecord> | undefined;
  #busy = false;

  constructor(deps: { readonly registries: Registries; readonly log: Logger }, stream: TxStreamId) {
    this.#deps = deps;
    this.#stream = stream;
  }

  /** The owner before this one did not release the shard, whose cursor stands at `seq`. Throws STREAM_UNAVAILABLE. */
  async suspect(shard: number, seq: number): Promise<Trial> {
    const { name, ttlMs } = BUCKETS.trials;
    this.#registry ??= await this.#deps.registries.open<TrialRecord>(name, { ttlMs });
    const key = trialKey(this.#stream.source, this.#stream.incarnation, shard);
    const before = (await this.#registry.get(key))?.value;
    let ends = 1;
    if (before?.seq === seq) ends = before.ends + (before.trying ? 1 : 0);
    await this.#registry.put(key, { v: 1, seq, ends, trying: false });
    this.#deps.log.warn({ shard, seq, ends }, 'the owner of the shard ended without releasing it');
    return new Trial(this.#registry, key, { seq, ends }, () => this.#enter());
  }

  /** What ends the trial that begins now; undefined while another one is on in this process. */
  #enter(): (() => void) | undefined {
    if (this.#busy) return undefined;
    this.#busy = true;
    return () => (this.#busy = false);
  }
}

/** Of one record: the one after `seq`. */
export class Trial {
  readonly seq: number;
  /** The record is not to be evaluated. */
  readonly unsafe: boolean;
  readonly #ends: number;
  readonly #registry: Registry<TrialRecord>;
  readonly #key: string;
  readonly #enter: () => (() => void) | undefined;
  #leave: (() => void) | undefined;

  constructor(
    registry: Registry<TrialRecord>,
    key: string,
    { seq, ends }: { readonly seq: number; readonly ends: number },
    enter: () => (() => void) | undefined,
  ) {
    this.#registry = registry;
    this.#key = key;
    this.seq = seq;
    this.#ends = ends;
    this.unsafe = ends >= MAX_ENDS;
    this.#enter = enter;
  }

  /** Before the record is evaluated; again until `pause` it does nothing. False when another trial has to end first. */
  async begin(): Promise<boolean> {
    if (this.#leave) return true;
    const leave = this.#enter();
    if (leave === undefined) return false;
    try {
      await this.#put(true);
      this.#leave = leave;
      return true;
    } catch (err) {
      leave();
      throw err;
    }
  }

  /** Something else came in between; the process lives. */
  async pause(): Promise<void> {
    if (this.#leave === undefined) return;
    this.#left();
    await this.#put(false);
  }

  /** The record is applied. */
  async end(): Promise<void> {
    this.#left();
    await this.#registry.delete(this.#key);
  }

  #left(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  async #put(trying: boolean): Promise<void> {
    await this.#registry.put(this.#key, { v: 1, seq: this.seq, ends: this.#ends, trying });
  }
}
