import { ShapecastError } from '@shapecast/errors';
import type { Registries, Registry, RegistryEntry } from '@shapecast/messaging';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { conflicts } from './sources-file.ts';
import {
  entryOf,
  openEntry,
  resealed,
  sameSource,
  SOURCES_BUCKET,
  type AllSeals,
  type Source,
  type SourceEntry,
  type SourceState,
} from './source-entry.ts';
import { parseSource, type SourceSpec } from './source-spec.ts';

interface DeclaringDeps {
  readonly registries: Registries;
  readonly seals: AllSeals;
  readonly clock: Clock;
  readonly log: Logger;
}

const ATTEMPTS = 20;

type StoredSource = RegistryEntry<SourceEntry>;

/** Writes the sources of an installation: what a file says, and what comes through the admin API. */
export class DeclaredSources {
  readonly #deps: DeclaringDeps;

  constructor(deps: DeclaringDeps) {
    this.#deps = deps;
  }

  /**
   * Makes the sources of the file those that are declared: new ones and changed ones are written, those that are not in it any more
   * are `gone`. Throws INVALID_CONFIG, and changes nothing, when one of them conflicts with what came through the admin API.
   * Returns the ids of those that changed.
   */
  async declareFile(sources: ReadonlyMap<string, SourceSpec>): Promise<readonly string[]> {
    const registry = await this.#open();
    const stored = await this.#stored(registry);
    const problems = [...sources.keys()].flatMap((id) =>
      stored.get(id)?.value.origin === 'admin'
        ? [`sources.${id}: there is one of this id that came through the admin API`]
        : [],
    );
    const others = [...stored].flatMap(([id, entry]) =>
      entry.value.origin === 'admin' ? this.#specOf(id, entry) : [],
    );
    problems.push(...conflicts([...others, ...sources.values()]).map(({ id, problem }) => `sources.${id}.${problem}`));
    if (problems.length > 0) throw invalid(problems);
    const changed: string[] = [];
    for (const [id, spec] of sources) {
      // What has been removed is not there; it does not come back to be removed again.
      if (spec.state === 'removed' && !stored.has(id)) continue;
      if (await this.#write(registry, spec, 'file')) changed.push(id);
    }
    for (const [id, { value }] of stored) {
      if (value.origin !== 'file' || sources.has(id) || value.state === 'gone' || value.state === 'removing') continue;
      await this.#setState(registry, id, 'gone');
      changed.push(id);
    }
    return changed;
  }

  /** Adds a source, or changes it. `value` is what a file would say of it. Throws INVALID_CONFIG with what is wrong. */
  async declare(id: string, value: unknown): Promise<'added' | 'changed' | 'same'> {
    const parsed = parseSource(id, value, () => {
      throw new Error('files and variables are those of other machines; give the value itself');
    });
    if (!parsed.ok) throw invalid(parsed.problems);
    if (parsed.source.state === 'removed')
      throw invalid(['state: a source is removed by DELETE, which asks for a confirmation']);
    const registry = await this.#open();
    const stored = await this.#stored(registry);
    const before = stored.get(id)?.value;
    if (before?.origin === 'file') throw ofFile(id);
    if (before?.state === 'removing') throw new ShapecastError('NOT_READY', `Source ${id} is being removed.`);
    const others = [...stored].flatMap(([other, entry]) => (other === id ? [] : this.#specOf(other, entry)));
    const problems = conflicts([...others, parsed.source]).map(({ problem }) => problem);
    if (problems.length > 0) throw invalid(problems);
    const written = await this.#write(registry, parsed.source, 'admin');
    return !written ? 'same' : before === undefined ? 'added' : 'changed';
  }

  /**
   * Changes the state of a source. That of one in a file is changed there, except that it can be removed once it is gone from it.
   * Returns false when there is no such source.
   */
  async setState(id: string, state: Exclude<SourceState, 'gone'>): Promise<boolean> {
    const registry = await this.#open();
    const before = (await registry.get(id))?.value;
    if (before === undefined) return false;
    if (before.origin === 'file' && !(before.state === 'gone' && state === 'removing')) throw ofFile(id);
    if (before.state === 'removing' && state !== 'removing') {
      throw new ShapecastError('NOT_READY', `Source ${id} is being removed.`);
    }
    await this.#setState(registry, id, state);
    return true;
  }

  /** Seals with the current keys what is sealed with older ones, so that those can go. Returns how many that were. */
  async reseal(): Promise<number> {
    const registry = await this.#open();
    let count = 0;
    for (const { key: id, value, revision } of await registry.list('')) {
      try {
        const entry = resealed(id, value, this.#deps.seals);
        if (entry !== undefined && (await registry.update(id, entry, revision)) !== undefined) count += 1;
      } catch (err) {
        this.#deps.log.error({ err, source: id }, 'source cannot be read');
      }
    }
    return count;
  }

  /** The last step of a removal. */
  async forget(id: string): Promise<void> {
    const registry = await this.#open();
    if ((await registry.get(id))?.value.state === 'removing') await registry.delete(id);
  }

  #open(): Promise<Registry<SourceEntry>> {
    return this.#deps.registries.open<SourceEntry>(SOURCES_BUCKET);
  }

  async #stored(registry: Registry<SourceEntry>): Promise<ReadonlyMap<string, StoredSource>> {
    return new Map((await registry.list('')).map((entry) => [entry.key, entry]));
  }

  /** As far as conflicts are concerned; one that cannot be read has none. */
  #specOf(
    id: string,
    { value }: StoredSource,
  ): readonly Pick<SourceSpec, 'id' | 'databaseUrl' | 'state' | 'environment'>[] {
    const state = value.state === 'removing' || value.state === 'gone' ? 'removed' : value.state;
    try {
      const { database } = this.#read(id, value);
      return database ? [{ id, state, databaseUrl: database.databaseUrl, environment: value.environment }] : [];
    } catch (err) {
      this.#deps.log.warn({ err, source: id }, 'source cannot be read');
      return [];
    }
  }

  #read(id: string, entry: SourceEntry): Source {
    return openEntry(id, entry, this.#deps.seals);
  }

  /** False when it says that already. */
  async #write(registry: Registry<SourceEntry>, spec: SourceSpec, origin: SourceEntry['origin']): Promise<boolean> {
    const { seals, clock } = this.#deps;
    const entry = entryOf(spec, origin, seals, wallTime(clock));
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await registry.get(spec.id);
      if (before !== undefined && this.#says(before.value, spec.id, entry)) return false;
      const written =
        before === undefined
          ? await registry.create(spec.id, entry)
          : await registry.update(spec.id, entry, before.revision);
      if (written !== undefined) return true;
    }
    throw contended(spec.id);
  }

  /** One that cannot be read, after the keys were changed, says something else. */
  #says(stored: SourceEntry, id: string, entry: SourceEntry): boolean {
    try {
      return sameSource(this.#read(id, stored), this.#read(id, entry));
    } catch {
      return false;
    }
  }

  async #setState(registry: Registry<SourceEntry>, id: string, state: SourceState): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const before = await registry.get(id);
      if (before === undefined || before.value.state === state) return;
      const entry = { ...before.value, state, changedAt: wallTime(this.#deps.clock) };
      if ((await registry.update(id, entry, before.revision)) !== undefined) return;
    }
    throw contended(id);
  }
}

function invalid(problems: readonly string[]): ShapecastError {
  return new ShapecastError('INVALID_CONFIG', problems.join('; '), { problems });
}

function ofFile(id: string): ShapecastError {
  return invalid([`id: source ${id} is declared in the sources file; change it there`]);
}

function contended(id: string): ShapecastError {
  return new ShapecastError('NOT_READY', `Source ${id} is being changed by others all the time. Please try again.`);
}
