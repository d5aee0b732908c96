import { randomUUID } from 'node:crypto';
import { ShapecastError } from '@shapecast/errors';
import type { Clock, Logger } from '@shapecast/service-kit';
import { followRegistry, LazyRegistry, type Following } from './lazy-registry.ts';
import { BUCKETS, type RotationRecord } from './records.ts';
import type { Registries, RegistryEntry } from './registry.ts';

/** Why a shape ended. */
export interface RotationFailure {
  readonly code: string;
  readonly message: string;
}

interface JournalDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Batch {
  readonly ended: (readonly [handle: string, failure: RotationFailure])[];
  readonly done: Promise<void>;
}

/** Handles in one entry of the registry, which is written again with each one that is added. */
const ENTRY_HANDLES = 500;
const ENTRY_BYTES = 64 * 1024;
/** About 100 bytes each. Beyond it the oldest are forgotten here, which costs what the journal is for and no more. */
const MAX_KNOWN = 500_000;
const CURRENT_TIMEOUT_MS = 5_000;

/**
 * Handles that were ended for reasons that the tx stream does not tell (spec R 12.5.7), outside of the store: a store that
 * goes back may bring such a handle to life again, of which its readers know that it is dead. Whoever ends a shape records it
 * here first; owners of shards end what comes to life, and readers take it for dead meanwhile.
 *
 * Every process keeps its own entries and knows those of all, for as long as the registry keeps them (48 h).
 */
export class RotationJournal {
  readonly #deps: JournalDeps;
  readonly #source: string;
  readonly #registry: LazyRegistry<RotationRecord>;
  readonly #holder = randomUUID();
  readonly #known = new Map<string, RotationFailure>();
  readonly #handlesOf = new Map<string, readonly string[]>();
  readonly #listeners = new Set<(handles: readonly string[]) => void>();
  readonly #following = Promise.withResolvers<void>();
  readonly #syncs = new Map<number, () => void>();
  #writing: Promise<void> = Promise.resolve();
  #next: Batch | undefined;
  #entry = { number: 0, ended: [] as (readonly [string, RotationFailure])[], bytes: 0 };
  #syncNumber = 0;
  #overflown = false;

  constructor(deps: JournalDeps, source: string) {
    this.#deps = deps;
    this.#source = source;
    const { name } = BUCKETS.rotations;
    this.#registry = new LazyRegistry(() => deps.registries.open<RotationRecord>(name, BUCKETS.rotations));
  }

  /** Follows what others record, until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const following: Following<RotationRecord> = {
      prefix: `${this.#source}.`,
      onChange: (key, entry) => this.#told(key, entry),
      onBegun: () => this.#following.resolve(),
      complaint: 'the journal of ended shapes cannot be read, retrying',
    };
    await followRegistry(this.#deps, this.#registry, following, signal);
  }

  /** Resolves once what others have recorded was read for the first time. */
  get followed(): Promise<void> {
    return this.#following.promise;
  }

  /** Why the handle was ended, if it is in the journal. */
  failureOf(handle: string): RotationFailure | undefined {
    return this.#known.get(handle);
  }

  get size(): number {
    return this.#known.size;
  }

  /** Resolves once all are stored; only then may they be ended. Throws STREAM_UNAVAILABLE. */
  async record(ended: Iterable<readonly [handle: string, failure: RotationFailure]>): Promise<void> {
    const fresh = [...ended].filter(([handle]) => !this.#known.has(handle));
    if (fresh.length === 0) return;
    if (this.#next === undefined) {
      const batch: Batch['ended'] = [];
      // What comes while a write is on its way shares the next one.
      const done = this.#writing
        .catch(() => undefined)
        .then(() => {
          this.#next = undefined;
          return this.#write(batch);
        });
      this.#next = { ended: batch, done };
      this.#writing = done;
    }
    const { done } = this.#next;
    for (const one of fresh) this.#next.ended.push(one);
    await done;
  }

  /** Resolves once everything that was recorded before the call is known here. Throws STREAM_UNAVAILABLE. */
  async current(): Promise<void> {
    const { clock } = this.#deps;
    const late = Promise.withResolvers<never>();
    const cancel = clock.after(CURRENT_TIMEOUT_MS, () => {
      late.reject(new ShapecastError('STREAM_UNAVAILABLE', 'The journal of ended shapes cannot be read. Retrying.'));
    });
    this.#syncNumber += 1;
    const number = this.#syncNumber;
    try {
      await Promise.race([this.#following.promise, late.promise]);
      const seen = new Promise<void>((resolve) => this.#syncs.set(number, resolve));
      const registry = await this.#registry.get();
      await registry.put(`${this.#source}.sync-${this.#holder}`, { v: 1, ended: [], sync: number });
      // Entries are told in the order in which they were written.
      await Promise.race([seen, late.promise]);
    } finally {
      cancel();
      this.#syncs.delete(number);
    }
  }

  /** Calls back with handles that have come into the journal, whoever recorded them. The returned function stops. */
  onRecorded(listener: (handles: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #write(ended: Batch['ended']): Promise<void> {
    const registry = await this.#registry.get();
    for (let i = 0; i < ended.length; i += ENTRY_HANDLES) {
      const slice = ended.slice(i, i + ENTRY_HANDLES);
      const bytes = slice.reduce((sum, [handle, { message }]) => sum + handle.length + message.length, 0);
      const { number, ended: before, bytes: held } = this.#entry;
      const full = before.length + slice.length > ENTRY_HANDLES || held + bytes > ENTRY_BYTES;
      const entry = full
        ? { number: number + 1, ended: slice, bytes }
        : { number, ended: [...before, ...slice], bytes: held + bytes };
      // Whatever becomes of the write, nothing that is stored may be overwritten without it.
      this.#entry = { number: entry.number + 1, ended: [], bytes: 0 };
      await registry.put(`${this.#source}.${this.#holder}.${entry.number}`, encode(entry.ended));
      this.#entry = entry;
      for (const [handle, failure] of slice) this.#learn(handle, failure);
      this.#tell(slice.map(([handle]) => handle));
    }
  }

  #told(key: string, entry: RegistryEntry<RotationRecord> | undefined): void {
    if (entry === undefined) {
      for (const handle of this.#handlesOf.get(key) ?? []) this.#known.delete(handle);
      this.#handlesOf.delete(key);
      return;
    }
    const { sync, ended } = entry.value;
    if (sync !== undefined) {
      if (key.endsWith(this.#holder)) for (const [number, seen] of this.#syncs) if (number <= sync) seen();
      return;
    }
    const handles: string[] = [];
    const fresh: string[] = [];
    for (const [code, message, some] of ended) {
      for (const handle of some) {
        handles.push(handle);
        if (this.#known.has(handle)) continue;
        this.#learn(handle, { code, message });
        fresh.push(handle);
      }
    }
    this.#handlesOf.set(key, handles);
    this.#tell(fresh);
  }

  #learn(handle: string, failure: RotationFailure): void {
    this.#known.set(handle, failure);
    if (this.#known.size <= MAX_KNOWN) return;
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest);
      break;
    }
    if (!this.#overflown)
      this.#deps.log.warn({ handles: MAX_KNOWN }, 'the journal of ended shapes is not kept in full');
    this.#overflown = true;
  }

  #tell(handles: readonly string[]): void {
    if (handles.length === 0) return;
    for (const listener of this.#listeners) listener(handles);
  }
}

function encode(ended: readonly (readonly [string, RotationFailure])[]): RotationRecord {
  const groups = new Map<string, [code: string, message: string, handles: string[]]>();
  for (const [handle, { code, message }] of ended) {
    const key = `${code} ${message}`;
    const group = groups.get(key);
    if (group) group[2].push(handle);
    else groups.set(key, [code, message, [handle]]);
  }
  return { v: 1, ended: [...groups.values()] };
}
