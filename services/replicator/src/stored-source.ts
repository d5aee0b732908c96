import { parseDecimalLsn, ZERO_LSN, type Lsn, type RecordChain } from '@shapecast/log';
import { BUCKETS, type Messaging, type Registry, type RegistryEntry, type SourceRecord } from '@shapecast/messaging';

/**
 * Second copy of where the tx stream ends (spec R 9.3.8): when every record has expired while nobody replicated, this is
 * all that tells which operations the stream held.
 */
export interface StreamCopy {
  readonly incarnation: number;
  /** Which storage `seq` belongs to. */
  readonly createdAt: string;
  readonly seq: number;
  readonly epoch: number;
  readonly chain: RecordChain;
  /** The stream holds every transaction that commits below. */
  readonly held: Lsn;
}

/** One per source, written by the leading replicator. */
interface ReplicatorRecord {
  /** Highest incarnation ever allocated: never given out again, whatever became of it (spec R 6.5.1, I9). */
  readonly allocated: number;
  readonly copy?: CopyWire;
  /** Incarnation whose stream turned out to be of another history than the source's (spec R 6.5 C5). */
  readonly diverged?: number;
  /** Incarnation that an operator wants to end. */
  readonly unwanted?: number;
  /** The newest epoch that somebody meant to start, written before its leader record: no two replicators start the same. */
  readonly begun?: { readonly incarnation: number; readonly epoch: number };
}

interface CopyWire {
  readonly incarnation: number;
  readonly createdAt: string;
  readonly seq: number;
  readonly epoch: number;
  readonly lsn: string;
  readonly op: number;
  readonly progressLsn: string;
  readonly held: string;
}

const REPLICATORS = 'shapecast_replicators';

/** What the registries hold of a source between two replicators. Every write is conditional on what was read before. */
export class StoredSource {
  readonly #sources: Registry<SourceRecord>;
  readonly #replicators: Registry<ReplicatorRecord>;
  readonly #source: string;
  #record: RegistryEntry<SourceRecord> | undefined;
  #replicator: RegistryEntry<ReplicatorRecord> | undefined;

  private constructor(
    registries: { sources: Registry<SourceRecord>; replicators: Registry<ReplicatorRecord> },
    source: string,
  ) {
    this.#sources = registries.sources;
    this.#replicators = registries.replicators;
    this.#source = source;
  }

  /** Reads what is stored. Throws STREAM_UNAVAILABLE. */
  static async open(messaging: Messaging, source: string): Promise<StoredSource> {
    const sources = await messaging.registries.open<SourceRecord>(BUCKETS.sources.name);
    const replicators = await messaging.registries.open<ReplicatorRecord>(REPLICATORS);
    const stored = new StoredSource({ sources, replicators }, source);
    stored.#record = await sources.get(source);
    stored.#replicator = await replicators.get(source);
    return stored;
  }

  /** Undefined when the source was never set up. */
  get record(): SourceRecord | undefined {
    return this.#record?.value;
  }

  /** No incarnation above it was ever used; 0 when there was none. */
  get highestIncarnation(): number {
    return Math.max(this.#replicator?.value.allocated ?? 0, this.#record?.value.incarnation ?? 0);
  }

  /** Forgets all but that. False when a replicator writes as well. */
  async forget(): Promise<boolean> {
    return this.#write({ allocated: this.highestIncarnation });
  }

  get copy(): StreamCopy | undefined {
    const wire = this.#replicator?.value.copy;
    if (!wire) return undefined;
    const position = { lsn: decode(wire.lsn), op: wire.op };
    const { incarnation, createdAt, seq, epoch } = wire;
    return {
      incarnation,
      createdAt,
      seq,
      epoch,
      chain: { position, progressLsn: decode(wire.progressLsn) },
      held: decode(wire.held),
    };
  }

  get divergedIncarnation(): number | undefined {
    return this.#replicator?.value.diverged;
  }

  /** Remembers that the incarnation cannot go on. False when another replicator writes as well. */
  async markDiverged(incarnation: number): Promise<boolean> {
    const before = this.#replicator?.value;
    return this.#write({ allocated: incarnation, ...before, diverged: incarnation });
  }

  get unwantedIncarnation(): number | undefined {
    return this.#replicator?.value.unwanted;
  }

  /** Remembers that the incarnation is not to go on. False when another replicator writes as well. */
  async markUnwanted(incarnation: number): Promise<boolean> {
    const before = this.#replicator?.value;
    return this.#write({ allocated: incarnation, ...before, unwanted: incarnation });
  }

  /** The newest epoch of an incarnation that somebody meant to start; 0 when that is not known. */
  begunEpoch(incarnation: number): number {
    const begun = this.#replicator?.value.begun;
    return begun?.incarnation === incarnation ? begun.epoch : 0;
  }

  /** Remembers that an epoch is about to start. False when another replicator writes as well. */
  async begin(incarnation: number, epoch: number): Promise<boolean> {
    const before = this.#replicator?.value;
    return this.#write({ allocated: incarnation, ...before, begun: { incarnation, epoch } });
  }

  /** An incarnation that was never used. Undefined when another replicator writes as well. */
  async allocate(): Promise<number | undefined> {
    const before = this.#replicator?.value;
    const next = this.highestIncarnation + 1;
    return (await this.#write({ ...before, allocated: next })) ? next : undefined;
  }

  /** Makes an incarnation the current one: routers and API pods follow. False when another replicator writes as well. */
  async publish(record: SourceRecord): Promise<boolean> {
    const revision =
      this.#record === undefined
        ? await this.#sources.create(this.#source, record)
        : await this.#sources.update(this.#source, record, this.#record.revision);
    if (revision === undefined) return false;
    this.#record = { key: this.#source, value: record, revision };
    return true;
  }

  /** False when another replicator writes as well. */
  async writeCopy({ incarnation, createdAt, seq, epoch, chain, held }: StreamCopy): Promise<boolean> {
    const { position, progressLsn } = chain;
    const lsn = String(position.lsn);
    const ends = { progressLsn: String(progressLsn), held: String(held) };
    const copy = { incarnation, createdAt, seq, epoch, lsn, op: position.op, ...ends };
    const allocated = Math.max(this.#replicator?.value.allocated ?? 0, incarnation);
    return this.#write({ ...this.#replicator?.value, allocated, copy });
  }

  /** Writes the source record again when it is gone: somebody lost the registries, and this process still knows (spec O F97). */
  async keepPublished(): Promise<void> {
    if (this.#record === undefined || (await this.#sources.get(this.#source)) !== undefined) return;
    const { value } = this.#record;
    const revision = await this.#sources.create(this.#source, value);
    if (revision !== undefined) this.#record = { key: this.#source, value, revision };
  }

  async #write(value: ReplicatorRecord): Promise<boolean> {
    const revision =
      this.#replicator === undefined
        ? await this.#replicators.create(this.#source, value)
        : ((await this.#replicators.update(this.#source, value, this.#replicator.revision)) ??
          (await this.#writeAgain(value)));
    if (revision === undefined) return false;
    this.#replicator = { key: this.#source, value, revision };
    return true;
  }

  /** A record that is gone was taken by nobody: who writes it as well has it be there. */
  async #writeAgain(value: ReplicatorRecord): Promise<number | undefined> {
    if ((await this.#replicators.get(this.#source)) !== undefined) return undefined;
    return this.#replicators.create(this.#source, value);
  }
}

function decode(text: string): Lsn {
  return parseDecimalLsn(text) ?? ZERO_LSN;
}
