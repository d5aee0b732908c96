import type { SourceDatabase } from '@shapecast/change-source';
import { SourceFormats, type Registries, type RouterRecord, type SourceRecord } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { Latch } from '../latch.ts';
import { DatabaseCheck } from './database-check.ts';
import { StoreClaim } from './store-claim.ts';

interface AdmissionDeps {
  readonly store: ShapeStore;
  readonly registries: Registries;
  readonly database: SourceDatabase;
  readonly clock: Clock;
  readonly log: Logger;
}

interface AdmissionOptions {
  readonly source: string;
  /** The other live routers, once they are known. */
  readonly others: () => Promise<readonly RouterRecord[]>;
  /** How often it is looked whose the store is, and what may be written. */
  readonly lookMs?: number | undefined;
  /** What is granted has changed. */
  readonly onChange: () => void;
}

const LOOK_MS = 500;

/**
 * Whether this router may take part: the store is that of its installation, its database the one that the source is replicated from, and
 * what is written for the source nothing that it does not know.
 * One that may not, because somebody has mixed up addresses, owns nothing, leaves the shards to the others, and says why.
 */
export class Admission {
  readonly #claim: StoreClaim;
  readonly #database: DatabaseCheck;
  readonly #formats: SourceFormats;
  #formatsKnown = false;
  readonly #clock: Clock;
  readonly #changed = new Latch();

  constructor(deps: AdmissionDeps, { source, others, lookMs, onChange }: AdmissionOptions) {
    const changed = () => {
      this.#changed.set();
      onChange();
    };
    this.#clock = deps.clock;
    const paced = lookMs === undefined ? {} : { lookMs };
    this.#claim = new StoreClaim(deps, { source, others, onChange: changed, ...paced });
    this.#database = new DatabaseCheck(deps, changed);
    this.#formats = new SourceFormats(deps, { source, role: 'router', ...paced });
    this.#formats.onChange(changed);
    void this.#formats.looked.then(() => {
      this.#formatsKnown = true;
      changed();
    });
  }

  /** The database, to be used instead of the one given. */
  get database(): SourceDatabase {
    return this.#database.database;
  }

  /** For the router's record. */
  get home(): string | undefined {
    return this.#claim.home;
  }

  /** Shards may be owned. */
  get granted(): boolean {
    const known = this.#claim.granted && this.#database.looked && this.#formatsKnown;
    return known && this.refusal === undefined;
  }

  /** One sentence on what is set wrongly; undefined also while nothing is known yet. */
  get refusal(): string | undefined {
    return this.#claim.refusal ?? this.#database.refusal ?? this.#formats.refusal;
  }

  follow(record: SourceRecord, asleep: boolean, signal: AbortSignal): void {
    this.#database.follow(record, asleep, signal);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#claim.run(signal), this.#formats.run(signal)]);
  }

  /** Resolves once shards may be owned, or `signal` aborts. Before, this router is nobody to the others. */
  async untilGranted(signal: AbortSignal): Promise<void> {
    while (!this.granted && !signal.aborted) await this.#changed.wait(this.#clock, LOOK_MS, signal);
  }
}
