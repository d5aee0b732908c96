import { parsePolicy } from '@shapecast/access';
import { bytes, milliseconds, parsePostgresUrl, postgresUrl } from '@shapecast/service-kit';
import { z } from 'zod';
import { sourceLimits, type SourceLimits } from './source-limits.ts';

/** Also the rule of DNS labels, so that an id can be part of a host name. */
const ID = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])$/;

/** Why a text is no id of a source; nothing when it is one. */
function idProblem(id: string): string | undefined {
  return ID.test(id) ? undefined : 'expected 2 to 40 lower case letters, digits and -, without - at the ends';
}

const from = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ env: z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable') }),
]);

/** Variables of the reference, and ours, that one source may have other values for than the rest. */
const SETTINGS = [
  'ELECTRIC_DATABASE_USE_IPV6',
  'ELECTRIC_DATABASE_CA_CERTIFICATE_FILE',
  'ELECTRIC_DB_POOL_SIZE',
  'SHAPECAST_DB_POOL_SIZE',
  'ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE',
  'ELECTRIC_DATABASE_TCP_KEEPALIVE_INTERVAL',
  'ELECTRIC_DATABASE_TCP_KEEPALIVE_COUNT',
  'ELECTRIC_REPLICATION_IDLE_TIMEOUT',
  'ELECTRIC_PUBLICATION_ALTER_DEBOUNCE_TIME',
  'ELECTRIC_TWEAKS_PUBLICATION_REFRESH_PERIOD',
  'SHAPECAST_WAL_SENDER_TIMEOUT',
  'SHAPECAST_LOCK_BREAKER',
  'SHAPECAST_DDL_LOCK_TIMEOUT',
  'SHAPECAST_PUBLICATION_GAP_TIMEOUT',
  'SHAPECAST_UNPUBLISH_LINGER',
  'SHAPECAST_MAX_ROW_BYTES',
  'SHAPECAST_WAL_BUDGET',
  'SHAPECAST_WAL_BUDGET_AGE',
  'SHAPECAST_WAL_GUARD',
  'SHAPECAST_WAL_GUARD_PAUSE',
] as const;

const text = z.union([z.string(), z.number().transform(String), z.boolean().transform(String)]);

const schema = z.strictObject({
  displayName: z.string().max(200).optional(),
  labels: z.record(z.string().regex(/^[\w./-]{1,63}$/), z.string().max(200)).default({}),
  state: z
    .enum(['active', 'paused', 'draining', 'removed'], { error: 'expected active, paused, draining or removed' })
    .default('active'),
  databaseUrl: postgresUrl('').optional(),
  databaseUrlFrom: from.optional(),
  pooledDatabaseUrl: postgresUrl('').optional(),
  pooledDatabaseUrlFrom: from.optional(),
  replicationStreamId: z
    .string()
    .regex(/^[a-z0-9_]{1,40}$/, 'expected 1 to 40 lower case letters, digits or _')
    .optional(),
  publication: z.strictObject({ manage: z.boolean().default(true) }).prefault({}),
  slot: z.strictObject({ failover: z.boolean().default(false), temporary: z.boolean().default(false) }).prefault({}),
  partitions: z
    .int()
    .min(1)
    .max(256)
    .refine((n) => Number.isInteger(Math.log2(n)), 'expected a power of two up to 256')
    .optional(),
  secrets: z.array(z.string().min(1)).max(2, 'expected at most two: the one in use and its successor').optional(),
  secretFrom: from.optional(),
  insecure: z.boolean().default(false),
  access: z.unknown().optional(),
  limits: sourceLimits.prefault({}),
  retention: z
    .strictObject({
      maxAge: text.optional().pipe(milliseconds(undefined, '', { maxMs: 315_360_000_000 })),
      maxBytes: text.optional().pipe(bytes(undefined, '')),
    })
    .prefault({}),
  settings: z.partialRecord(z.enum(SETTINGS), text).default({}),
});

/** A source as it was declared, complete and checked. Holds passwords. */
export interface SourceSpec {
  readonly id: string;
  readonly displayName: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  /**
   * `active`; `paused`: nothing is replicated or answered, and Postgres keeps WAL; `draining`: what exists goes on, nothing new begins;
   * `removed`: slot, publication and all data go.
   */
  readonly state: 'active' | 'paused' | 'draining' | 'removed';
  readonly databaseUrl: string;
  readonly pooledDatabaseUrl: string | undefined;
  /** Any of these lets a request in. */
  readonly secrets: readonly string[];
  /** Everybody is let in. */
  readonly insecure: boolean;
  /** Checked by `parsePolicy`; which tokens are taken, and what they allow. */
  readonly access: unknown;
  readonly limits: SourceLimits;
  /** Variables that the source's processes read instead of those of their environment; none is confidential. */
  readonly environment: Readonly<Record<string, string>>;
}

export type ParsedSource =
  | { readonly ok: true; readonly source: SourceSpec }
  /** Each begins with the field that is wrong. */
  | { readonly ok: false; readonly problems: readonly string[] };

/** Gets what `...From` names; throws an error whose message can be shown when it is not there. */
export type Lookup = (from: { readonly file: string } | { readonly env: string }) => string;

/** Checks one source as it stands in `sources.yaml` or came to the admin API. Problems never repeat a value. */
export function parseSource(id: string, value: unknown, lookup: Lookup): ParsedSource {
  const wrongId = idProblem(id);
  if (wrongId !== undefined) return { ok: false, problems: [`id: ${wrongId}`] };
  const parsed = schema.safeParse(value ?? {});
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.map(problemOf) };
  const given = parsed.data;
  const problems: string[] = [];
  const one = (field: string, inline: string | undefined, place: z.output<typeof from> | undefined) => {
    if (inline !== undefined && place !== undefined)
      problems.push(`${field}: excludes ${field}From, set one of the two`);
    if (place === undefined) return inline;
    try {
      return lookup(place).trim();
    } catch (err) {
      problems.push(`${field}From: ${(err as Error).message}`);
      return undefined;
    }
  };
  const urlOf = (field: string, inline: string | undefined, place: z.output<typeof from> | undefined) => {
    const url = one(field, inline, place);
    const looked = url === undefined ? undefined : parsePostgresUrl(url);
    if (place !== undefined && looked !== undefined && 'problem' in looked)
      problems.push(`${field}From: ${looked.problem}`);
    return url;
  };
  const databaseUrl = urlOf('databaseUrl', given.databaseUrl, given.databaseUrlFrom);
  const pooledDatabaseUrl = urlOf('pooledDatabaseUrl', given.pooledDatabaseUrl, given.pooledDatabaseUrlFrom);
  if (given.databaseUrl === undefined && given.databaseUrlFrom === undefined) problems.push('databaseUrl: is required');
  if (given.secrets !== undefined && given.secretFrom !== undefined) {
    problems.push('secrets: excludes secretFrom, set one of the two');
  }
  const listed = given.secretFrom === undefined ? undefined : one('secret', undefined, given.secretFrom);
  const secrets = given.secrets ?? lines(listed ?? '');
  if (listed !== undefined && secrets.length === 0) problems.push('secretFrom: expected at least one line');
  if (secrets.length > 2) problems.push('secretFrom: expected at most two lines: the one in use and its successor');
  const hasAccess = given.access !== undefined;
  if (hasAccess) {
    const policy = parsePolicy(given.access);
    if (!policy.ok) problems.push(...policy.problems.map((problem) => `access.${problem}`));
  }
  const guarded = secrets.length > 0 || hasAccess || given.secretFrom !== undefined;
  if (given.insecure && guarded) problems.push('insecure: excludes secrets and access');
  if (!given.insecure && !guarded) problems.push('secrets: is required, unless there is access or insecure is true');
  if (problems.length > 0) return { ok: false, problems };
  const { displayName, labels, state, insecure, access, limits } = given;
  return {
    ok: true,
    source: {
      ...{ id, displayName, labels, state, pooledDatabaseUrl, secrets, insecure, access, limits },
      databaseUrl: databaseUrl as string,
      environment: environmentOf(id, given),
    },
  };
}

/** One per line; blanks around it, and empty lines, are no part of it. */
function lines(all: string): readonly string[] {
  return all
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function environmentOf(id: string, given: z.output<typeof schema>): Readonly<Record<string, string>> {
  const { publication, slot, retention, limits, partitions } = given;
  const all: Record<string, string | number | boolean | undefined> = {
    ...given.settings,
    // Names of slots are those of a server: two of its databases must not have the same.
    ELECTRIC_REPLICATION_STREAM_ID: given.replicationStreamId ?? id.replaceAll('-', '_'),
    ELECTRIC_MANUAL_TABLE_PUBLISHING: !publication.manage,
    SHAPECAST_SLOT_FAILOVER: slot.failover,
    CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN: slot.temporary,
    SHAPECAST_SHARDS: partitions,
    SHAPECAST_STREAM_MAX_AGE: retention.maxAge,
    SHAPECAST_STREAM_MAX_BYTES: retention.maxBytes,
    SHAPECAST_SNAPSHOT_CONCURRENCY: limits.snapshotSlots,
    SHAPECAST_SUBSET_CONCURRENCY: limits.subsetSlots,
    SHAPECAST_SNAPSHOT_MAX_BYTES: limits.snapshotBytes,
    SHAPECAST_SNAPSHOT_MAX_BYTES_PER_S: limits.snapshotBytesPerSecond,
    SHAPECAST_MAX_LOG_BYTES: limits.logBytes,
    SHAPECAST_MAX_SCANNED_CLAUSES: limits.unindexableClauses,
    ELECTRIC_MAX_SHAPES: limits.maxShapes,
  };
  return Object.fromEntries(
    Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  );
}

function problemOf({ path, message, ...issue }: z.core.$ZodIssue): string {
  const field = path.map(String).join('.');
  const unknown = issue.code === 'unrecognized_keys' ? issue.keys : [];
  if (unknown.length > 0) return `${[field, unknown[0]].filter(Boolean).join('.')}: is no field of a source`;
  return `${field === '' ? 'source' : field}: ${message}`;
}
