import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Seal } from './seal.ts';
import type { SourceLimits } from './source-limits.ts';
import type { SourceSpec } from './source-spec.ts';

/** Registry bucket: key is the source id. Written by whoever declares sources, with compare-and-set. */
export const SOURCES_BUCKET = 'shapecast_source_settings';

/**
 * - `active`, `paused`, `draining`: as of `SourceSpec`.
 * - `gone`: no longer declared. Nothing is replicated or answered; its slot stays until somebody removes it.
 * - `removing`: slot, publication and data are being removed; the entry goes last.
 */
export type SourceState = 'active' | 'paused' | 'draining' | 'gone' | 'removing';

/** What of a source is no secret. */
export interface SourceSettings {
  readonly id: string;
  readonly state: SourceState;
  /** By whom it was declared: a source of the file is not changed through the admin API, and the other way round. */
  readonly origin: 'file' | 'admin';
  readonly displayName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: SourceLimits;
  /** Variables that its processes read instead of those of their environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly changedAt: number;
}

/** As it is stored. */
export interface SourceEntry extends Omit<SourceSettings, 'id'> {
  readonly v: 1;
  /** Sealed `DatabasePart`, for replicators and routers. */
  readonly database: string;
  /** Sealed `ApiPart`, for API pods. */
  readonly api: string;
}

export interface DatabasePart {
  readonly databaseUrl: string;
  readonly pooledDatabaseUrl?: string;
}

export interface ApiPart {
  /** Hexadecimal SHA-256 of each secret that lets a request in. */
  readonly secrets: readonly string[];
  readonly insecure: boolean;
  /** For `parsePolicy`. */
  readonly access?: unknown;
}

/** The keys that a process has: replicators both, routers `database`, API pods `api`. */
export interface Seals {
  readonly database?: Seal | undefined;
  readonly api?: Seal | undefined;
}

/** What whoever declares sources has: all of them. */
export type AllSeals = Required<{ [K in keyof Seals]: NonNullable<Seals[K]> }>;

/** A source as a process sees it: `database` and `api` are there if it has the key. */
export interface Source {
  readonly settings: SourceSettings;
  readonly database?: DatabasePart;
  readonly api?: ApiPart;
}

export function entryOf(
  spec: SourceSpec,
  origin: SourceSettings['origin'],
  seals: AllSeals,
  changedAt: number,
): SourceEntry {
  const { id, displayName, labels, limits, environment, databaseUrl, pooledDatabaseUrl, insecure, access } = spec;
  const database: DatabasePart = { databaseUrl, ...(pooledDatabaseUrl === undefined ? {} : { pooledDatabaseUrl }) };
  const secrets = spec.secrets.map((secret) => createHash('sha256').update(secret).digest('hex'));
  const api: ApiPart = { secrets, insecure, ...(access === undefined ? {} : { access }) };
  return {
    v: 1,
    state: spec.state === 'removed' ? 'removing' : spec.state,
    origin,
    ...(displayName === undefined ? {} : { displayName }),
    ...{ labels, limits, environment, changedAt },
    database: seals.database.seal(database, placeOf(id, 'database')),
    api: seals.api.seal(api, placeOf(id, 'api')),
  };
}

/** Throws INVALID_CONFIG when it was sealed with other keys. */
export function openEntry(id: string, entry: SourceEntry, seals: Seals): Source {
  const { v: _, database, api, ...settings } = entry;
  return {
    settings: { id, ...settings },
    ...(seals.database ? { database: seals.database.open(database, placeOf(id, 'database')) as DatabasePart } : {}),
    ...(seals.api ? { api: seals.api.open(api, placeOf(id, 'api')) as ApiPart } : {}),
  };
}

/** The same, sealed with the current keys; undefined when it is already. Throws INVALID_CONFIG as `openEntry` does. */
export function resealed(id: string, entry: SourceEntry, { database, api }: AllSeals): SourceEntry | undefined {
  const places = { database: placeOf(id, 'database'), api: placeOf(id, 'api') };
  if (database.isCurrent(entry.database, places.database) && api.isCurrent(entry.api, places.api)) return undefined;
  return {
    ...entry,
    database: database.seal(database.open(entry.database, places.database), places.database),
    api: api.seal(api.open(entry.api, places.api), places.api),
  };
}

/** Whether they say the same, however they are sealed and whenever they were written. */
export function sameSource(a: Source, b: Source): boolean {
  const plain = ({ settings: { changedAt: _, ...settings }, ...rest }: Source) => ({ settings, ...rest });
  // As JSON: an absent field is one that is undefined.
  const json = (source: Source) => JSON.parse(JSON.stringify(plain(source))) as unknown;
  return isDeepStrictEqual(json(a), json(b));
}

function placeOf(id: string, part: keyof Seals): string {
  return `${id}/${part}`;
}
