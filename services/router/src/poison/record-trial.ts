import { emitEvent, type Logger } from '@shapecast/service-kit';
import type { ShapeFailure, ShardMeta } from '@shapecast/shape-store';
import type { OwnedShard } from '../owned-shard.ts';
import type { SourceMetrics } from '../telemetry/source-metrics.ts';
import type { TakeLimits } from '../stream/window-reader.ts';
import type { StreamRecord } from '../stream/stream-record.ts';
import type { Trial, Trials } from './trials.ts';

const SKIPPED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'A change of the table could not be applied.' };

/** What the owner of a shard does while the next record may be what ended the owner before it (spec O F129). */
export class RecordTrial {
  readonly #trials: Trials;
  readonly #shard: OwnedShard;
  readonly #log: Logger;
  readonly #metrics: SourceMetrics;
  #trial: Trial | undefined;

  constructor(
    deps: { readonly trials: Trials; readonly log: Logger; readonly metrics: SourceMetrics },
    shard: OwnedShard,
  ) {
    this.#trials = deps.trials;
    this.#shard = shard;
    this.#log = deps.log;
    this.#metrics = deps.metrics;
  }

  /** The shard was acquired; `before` is what it was then. One that had an owner was not released. Throws STREAM_UNAVAILABLE. */
  async suspect(before: ShardMeta | undefined, seq: number): Promise<void> {
    if (before === undefined || before.owner === '') return;
    this.#trial = await this.#trials.suspect(this.#shard.id.shard, seq);
  }

  /**
   * Before records are looked into: the one in question goes alone, after it was noted down; or not at all. False when it has to
   * wait for the record of another shard.
   */
  async begin(read: (limits: TakeLimits) => readonly StreamRecord[]): Promise<boolean> {
    const trial = this.#trial;
    if (trial === undefined) return true;
    const { pending, state } = this.#shard;
    if (state?.cursor.seq !== trial.seq || pending.next(read) === undefined) {
      // Others need not wait for a record that has yet to come.
      await this.pause();
      return true;
    }
    pending.try(trial.unsafe ? 'skip' : 'alone');
    return trial.begin();
  }

  /** Ends the shapes that would miss what the step passes over. True when there were some. */
  async endSkipped(): Promise<boolean> {
    const handles = this.#shard.pending.skipped();
    if (handles.size === 0) return false;
    const { shard } = this.#shard.id;
    this.#metrics.skippedRecord();
    emitEvent(this.#log, 'record_skipped', { shard, seq: this.#shard.pending.step?.seq ?? 0, shapes: handles.size });
    await this.#shard.rotate([...handles].map((handle) => [handle, SKIPPED] as const));
    await this.#shard.refresh();
    return true;
  }

  /** A step was appended. */
  async appended(): Promise<void> {
    const trial = this.#trial;
    if (trial === undefined || this.#shard.current().cursor.seq <= trial.seq) return;
    this.#trial = undefined;
    await trial.end().catch((err: unknown) => this.#log.debug({ err }, 'a trial was not ended'));
  }

  /** The process lives: whatever goes wrong now is not the record's doing. */
  async pause(): Promise<void> {
    await this.#trial?.pause().catch((err: unknown) => this.#log.debug({ err }, 'a trial was not called off'));
  }
}
