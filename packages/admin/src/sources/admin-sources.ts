import type { Registries } from '@shapecast/messaging';
import { parsePostgresUrl, type Clock, type Logger } from '@shapecast/service-kit';
import {
  DeclaredSources,
  openEntry,
  SOURCES_BUCKET,
  type AllSeals,
  type Source,
  type SourceEntry,
  type SourceLimits,
  type SourceState,
} from '@shapecast/sources';
import { AdminError, unknownSource } from '../admin-error.ts';
import type { RecordsView } from '../records/records-view.ts';

/** Where the sources come from: one from the environment of the process, or any number from the registry. */
export type SourcesMode =
  { readonly mode: 'environment'; readonly id: string } | { readonly mode: 'registry'; readonly seals: AllSeals };

/** What was declared of a source, without anything confidential. */
export interface DeclaredSource {
  readonly id: string;
  readonly origin: 'file' | 'admin' | 'environment';
  readonly state: SourceState;
  readonly displayName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: SourceLimits;
  /** Variables that its processes read instead of those of their environment. */
  readonly settings: Readonly<Record<string, string>>;
  /** ISO time; absent with the environment. */
  readonly changedAt?: string;
  readonly database?: DatabasePlace;
  readonly access?: { readonly secrets: number; readonly tokens: boolean; readonly insecure: boolean };
  /** Why it cannot be read: it was sealed with another key. */
  readonly unreadable?: string;
}

interface DatabasePlace {
  readonly host: string;
  readonly port: number;
  readonly database: string;
  /** Queries go another way. */
  readonly pooled: boolean;
}

interface SourcesDeps {
  readonly registries: Registries;
  readonly view: RecordsView;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The sources as they were declared, and how that is changed. */
export class AdminSources {
  readonly #deps: SourcesDeps;
  readonly #mode: SourcesMode;
  /** What entries say that were opened: a list of a thousand sources is asked for every few seconds. */
  readonly #opened = new WeakMap<SourceEntry, DeclaredSource>();

  constructor(deps: SourcesDeps, mode: SourcesMode) {
    this.#deps = deps;
    this.#mode = mode;
  }

  get mode(): SourcesMode['mode'] {
    return this.#mode.mode;
  }

  /** By id. */
  async all(): Promise<readonly DeclaredSource[]> {
    const mode = this.#mode;
    if (mode.mode === 'environment') return [ofEnvironment(mode.id)];
    const entries = await this.#deps.view.all<SourceEntry>({ name: SOURCES_BUCKET });
    return [...entries]
      .map(([id, entry]) => this.#describe(id, entry, mode.seals))
      .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  }

  /** As it is now, also right after it was changed. Throws when there is none. */
  async get(id: string): Promise<DeclaredSource> {
    const mode = this.#mode;
    if (mode.mode === 'environment') {
      if (mode.id !== id) throw unknownSource();
      return ofEnvironment(id);
    }
    // Ids of sources are narrower than keys; what is no key cannot be asked for.
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) throw unknownSource();
    const registry = await this.#deps.registries.open<SourceEntry>(SOURCES_BUCKET);
    const entry = await registry.get(id);
    if (entry === undefined) throw unknownSource();
    return describe(id, entry.value, mode.seals);
  }

  /** `value` is what a file would say of it. */
  async declare(id: string, value: unknown): Promise<'added' | 'changed' | 'same'> {
    const declared = this.#declared();
    const before = await this.get(id).catch(() => undefined);
    if (before?.origin === 'file') throw ofFile();
    return declared.declare(id, value);
  }

  async setState(id: string, state: Exclude<SourceState, 'gone'>): Promise<void> {
    const declared = this.#declared();
    const before = await this.get(id);
    if (before.origin === 'file' && !(before.state === 'gone' && state === 'removing')) throw ofFile();
    if (before.state === 'gone' && state !== 'removing') {
      throw new AdminError({ status: 409, code: 'source_gone', message: 'The source is no longer declared.' });
    }
    if (!(await declared.setState(id, state))) throw unknownSource();
  }

  #describe(id: string, entry: SourceEntry, seals: AllSeals): DeclaredSource {
    const known = this.#opened.get(entry) ?? describe(id, entry, seals);
    this.#opened.set(entry, known);
    return known;
  }

  #declared(): DeclaredSources {
    const mode = this.#mode;
    if (mode.mode === 'environment') {
      throw new AdminError({
        status: 409,
        code: 'read_only',
        message:
          'The source comes from the environment of the processes: change it there, or set SHAPECAST_SOURCES=registry.',
      });
    }
    return new DeclaredSources({ ...this.#deps, seals: mode.seals });
  }
}

function ofFile(): AdminError {
  const message = 'The source is declared in the sources file: change it there.';
  return new AdminError({ status: 409, code: 'declared_in_file', message });
}

function ofEnvironment(id: string): DeclaredSource {
  return { id, origin: 'environment', state: 'active', labels: {}, limits: {} as SourceLimits, settings: {} };
}

function describe(id: string, entry: SourceEntry, seals: AllSeals): DeclaredSource {
  const { state, origin, displayName, labels, limits, environment, changedAt } = entry;
  const open = {
    ...{ id, origin, state, labels, limits, settings: environment },
    ...(displayName === undefined ? {} : { displayName }),
    changedAt: new Date(changedAt).toISOString(),
  };
  try {
    const { database, api } = openEntry(id, entry, seals);
    return { ...open, ...placeOf(database), ...accessOf(api) };
  } catch (err) {
    return { ...open, unreadable: (err as Error).message };
  }
}

/** Where it is, without user and password. */
function placeOf(part: Source['database']): Pick<DeclaredSource, 'database'> {
  const url = part && parsePostgresUrl(part.databaseUrl);
  if (url === undefined || 'problem' in url) return {};
  const { host, port, database } = url;
  return { database: { host, port, database, pooled: part?.pooledDatabaseUrl !== undefined } };
}

function accessOf(part: Source['api']): Pick<DeclaredSource, 'access'> {
  if (part === undefined) return {};
  return { access: { secrets: part.secrets.length, tokens: part.access !== undefined, insecure: part.insecure } };
}
