import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import pg from 'pg';
import { parse } from 'yaml';
import type { ServiceRole } from './service-process.ts';

/**
 * Sources by id, each as it stands in `sources.yaml`: one without a database gets one of its own, one that says nothing of who may read
 * gets a random secret. Or the path of such a file.
 */
export type GivenSources = Readonly<Record<string, object | null>> | string;

/** A source of a cluster. */
export interface ClusterSource {
  readonly id: string;
  /** Undefined where the file names a variable or a file for it. */
  readonly databaseUrl: string;
  /** The first that lets a request in; undefined where it is not in the file itself, or nobody needs one. */
  readonly secret: string | undefined;
}

type Entry = Readonly<Record<string, unknown>>;

/** Lines of `sources.yaml` name files relative to where it is. */
const FROM = ['databaseUrlFrom', 'pooledDatabaseUrlFrom', 'secretFrom'] as const;

/** The sources file of a cluster, and what else its processes have to know to find their sources. */
export class ClusterSources {
  readonly adminToken = randomBytes(24).toString('base64url');
  readonly #keys = { database: randomBytes(32).toString('base64'), api: randomBytes(32).toString('base64') };
  readonly #secrets = new Map<string, string>();
  readonly #variables = new Set<string>();
  readonly #folder: string;
  #sources: readonly ClusterSource[] = [];
  #expected: readonly string[] = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** `parent`: an existing folder; one is made where there is none, and goes with `remove`. */
  static async create(parent: string | undefined): Promise<ClusterSources> {
    const folder = parent === undefined ? await mkdtemp(join(tmpdir(), 'shapecast-sources-')) : join(parent, 'sources');
    await mkdir(folder, { recursive: true });
    return new ClusterSources(folder);
  }

  get folder(): string {
    return this.#folder;
  }

  get file(): string {
    return join(this.#folder, 'sources.yaml');
  }

  get list(): readonly ClusterSource[] {
    return this.#sources;
  }

  /** Ids of those that are to answer: the active ones. */
  get expected(): readonly string[] {
    return this.#expected;
  }

  /**
   * Replaces the sources file, once there is a database for each source without one. What is no map of sources is written as it is, for
   * the replicators to say what is wrong with it.
   */
  async write(given: GivenSources, adminDatabaseUrl: string): Promise<void> {
    const text = typeof given === 'string' ? await readFile(given, 'utf8') : undefined;
    const declared = typeof given === 'string' ? sourcesOf(text ?? '') : given;
    if (declared === undefined) return this.#replace(text ?? '');
    const base = typeof given === 'string' ? dirname(resolve(given)) : this.#folder;
    const entries: Record<string, unknown> = {};
    const sources: ClusterSource[] = [];
    const expected: string[] = [];
    for (const [id, value] of Object.entries(declared)) {
      const entry = isEntry(value ?? {})
        ? await this.#complete(id, (value ?? {}) as Entry, base, adminDatabaseUrl)
        : undefined;
      entries[id] = entry ?? value;
      if (entry === undefined) continue;
      sources.push({ id, databaseUrl: textOf(entry['databaseUrl']) ?? '', secret: firstSecret(entry) });
      if ((entry['state'] ?? 'active') === 'active') expected.push(id);
    }
    this.#sources = sources;
    this.#expected = expected;
    await this.#replace(`${JSON.stringify({ sources: entries }, undefined, 2)}\n`);
  }

  /** What a process of that role reads instead of the variables of a single source. */
  environment(role: ServiceRole, adminPort: number): Readonly<Record<string, string>> {
    const { database, api } = this.#keys;
    const variables = [...this.#variables].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    });
    return {
      SHAPECAST_SOURCES: 'registry',
      ...(role === 'api' ? {} : { SHAPECAST_SOURCES_KEY: database }),
      ...(role === 'router' ? {} : { SHAPECAST_SOURCES_API_KEY: api }),
      ...(role === 'replicator'
        ? {
            SHAPECAST_SOURCES_FILE: this.file,
            SHAPECAST_ADMIN_PORT: String(adminPort),
            SHAPECAST_ADMIN_HOST: '127.0.0.1',
            SHAPECAST_ADMIN_TOKEN: this.adminToken,
            ...(Object.fromEntries(variables) as Record<string, string>),
          }
        : {}),
    };
  }

  async remove(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #complete(id: string, given: Entry, base: string, adminDatabaseUrl: string): Promise<Entry> {
    const entry: Record<string, unknown> = { ...given };
    for (const field of FROM) {
      const from = entry[field];
      if (!isEntry(from)) continue;
      if (typeof from['file'] === 'string') entry[field] = { file: resolve(base, from['file']) };
      if (typeof from['env'] === 'string') this.#variables.add(from['env']);
    }
    if (entry['databaseUrl'] === undefined && entry['databaseUrlFrom'] === undefined && entry['state'] !== 'removed') {
      entry['databaseUrl'] = await ownDatabase(id, adminDatabaseUrl);
      // Slots are named by it, and a server has one of a name.
      entry['replicationStreamId'] ??= streamIdOf(id);
    }
    if (['secrets', 'secretFrom', 'access', 'insecure'].every((field) => entry[field] === undefined)) {
      const secret = this.#secrets.get(id) ?? randomBytes(16).toString('hex');
      this.#secrets.set(id, secret);
      entry['secrets'] = [secret];
    }
    return entry;
  }

  /** As a whole: nobody reads half of it. */
  async #replace(text: string): Promise<void> {
    const draft = `${this.file}.tmp`;
    await writeFile(draft, text, { mode: 0o600 });
    await rename(draft, this.file);
  }
}

/** Room for more sources than one machine runs; a standby has connections of its own while it takes one over. */
export const POSTGRES_FOR_SOURCES = {
  max_connections: '1500',
  max_wal_senders: '250',
  max_replication_slots: '250',
} as const;

function sourcesOf(text: string): Readonly<Record<string, unknown>> | undefined {
  let content: unknown;
  try {
    content = parse(text);
  } catch {
    return undefined;
  }
  const declared = isEntry(content) ? (content['sources'] ?? {}) : undefined;
  return isEntry(content) && Object.keys(content).every((key) => key === 'sources') && isEntry(declared)
    ? declared
    : undefined;
}

/** Makes a database named after the source where there is none yet. */
async function ownDatabase(id: string, adminUrl: string): Promise<string> {
  const name = id.replaceAll(/[^a-z0-9_]/g, '_');
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE "${name}" TEMPLATE template0`).catch((error: { readonly code?: string }) => {
      if (error.code !== '42P04') throw error as Error;
    });
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  return url.href;
}

function streamIdOf(id: string): string {
  const name = id.replaceAll(/[^a-z0-9_]/g, '_');
  if (name.length <= 32) return name;
  return `${name.slice(0, 23)}_${createHash('sha256').update(id).digest('hex').slice(0, 8)}`;
}

function firstSecret(entry: Entry): string | undefined {
  const { secrets, secretFrom } = entry;
  if (Array.isArray(secrets)) return textOf(secrets[0]);
  const file = isEntry(secretFrom) ? textOf(secretFrom['file']) : undefined;
  if (file === undefined || !existsSync(file)) return undefined;
  return readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .find((line) => line.trim() !== '')
    ?.trim();
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
