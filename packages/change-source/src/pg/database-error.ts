/**
 * What to do about a database error (spec O 7.1): `backoff` may be over in a moment; `slow` needs somebody to change something,
 * so it is tried about once a minute; `restore` means that slot or publication have to be made anew (R 6.2, 6.3), which trying
 * again does.
 */
export type RetryPolicy = 'backoff' | 'slow' | 'restore';

export type DatabaseErrorType =
  | 'authorization_failure'
  | 'branch_does_not_exist'
  | 'client_exit'
  | 'compute_node_unreachable'
  | 'compute_quota_exceeded'
  | 'config_error'
  | 'connection_closed'
  | 'connection_failure'
  | 'connection_pool_failed_to_populate'
  | 'connection_refused'
  | 'connection_timeout'
  | 'data_transfer_quota_exceeded'
  | 'database_does_not_exist'
  | 'database_server_shutting_down'
  | 'database_server_unavailable'
  | 'database_slot_exceeded_max_size'
  | 'database_slot_invalidated'
  | 'disk_full'
  | 'duplicate_slot_file'
  | 'endpoint_not_found'
  | 'insufficient_privileges'
  | 'insufficient_resources'
  | 'invalid_username_or_password'
  | 'missing_publication'
  | 'nxdomain'
  | 'pool_timeout'
  | 'pooler_login_failed'
  | 'query_canceled'
  | 'replication_slot_in_use'
  | 'server_connection_crashed'
  | 'ssl_connection_failed'
  | 'ssl_connection_required'
  | 'standby'
  | 'syntax_error'
  | 'unknown'
  | 'wal_level_is_not_logical';

export interface DatabaseErrorClass {
  readonly type: DatabaseErrorType;
  readonly retry: RetryPolicy;
  /** One sentence for people: what happened and what to do. */
  readonly message: string;
}

/** What Postgres, a pooler, the driver or the system say of an error; every field but the text may be missing. */
export interface DatabaseErrorFields {
  /** SQLSTATE, or the system's or TLS library's name of the error. */
  readonly code?: string | undefined;
  readonly message: string;
  readonly detail?: string | undefined;
  /** Function of Postgres that raised it; unlike the text it is never translated. */
  readonly routine?: string | undefined;
}

export const WAL_LEVEL_MESSAGE =
  'Shapecast requires wal_level >= logical: set wal_level = logical in the Postgres configuration and restart Postgres.';
export const STANDBY_MESSAGE =
  'The database server is a standby: point the database URL at the primary, which alone can be replicated from.';

type Answer = (fields: DatabaseErrorFields) => DatabaseErrorClass | undefined;

/** The type of what a connection of ours failed with, by SQLSTATE first and text second (spec O 7.1.1). Total: `unknown` at the worst. */
export function classifyDatabaseError(error: unknown): DatabaseErrorClass {
  const fields = fieldsOf(error);
  const { code, message } = fields;
  return (
    (code === undefined ? undefined : BY_CODE[code]?.(fields)) ??
    byText(fields) ??
    (code === undefined ? undefined : BY_CLASS[code.slice(0, 2)]?.(fields)) ??
    backoff('unknown', `Unexpected database error: ${message}`)
  );
}

/** The fields of whatever was thrown; of several errors at once, of the first. */
export function fieldsOf(error: unknown): DatabaseErrorFields {
  if (error instanceof AggregateError && error.errors.length > 0) return fieldsOf(error.errors[0]);
  if (!(error instanceof Error)) return { message: String(error) };
  const { code, detail, routine } = error as { code?: unknown; detail?: unknown; routine?: unknown };
  return { code: text(code), message: error.message, detail: text(detail), routine: text(routine) };
}

const closed = () => backoff('connection_closed', 'The database closed the connection.');
const refused = () =>
  backoff('connection_refused', 'The database refused the connection: is it running at this address?');
const timedOut = () => backoff('connection_timeout', 'Timed out connecting to the database.');
const unknownHost = () => backoff('nxdomain', 'The host name of the database cannot be resolved.');
const unreachable = () => backoff('connection_failure', 'The host of the database cannot be reached from here.');
const noSlots = () => backoff('insufficient_resources', 'The database has no connection slots left.');
const badPassword = () =>
  slow('invalid_username_or_password', 'The database rejected the user name or password: check both.');
const noDatabase: Answer = ({ message }) =>
  slow('database_does_not_exist', `The database of the URL does not exist: ${message}`);
const unverified: Answer = ({ message }) =>
  slow('ssl_connection_failed', `SSL connection failed to verify server certificate: ${message}`);

const BY_CODE: Readonly<Record<string, Answer>> = {
  '08006': ({ message }) =>
    /econn?refused|connection refused/i.test(message)
      ? refused()
      : backoff('connection_failure', `The connection to the database failed: ${message}`),
  '08P01': ({ message }) =>
    message.startsWith('server conn crashed')
      ? backoff('server_connection_crashed', 'The connection from the pooler to the database crashed.')
      : undefined,
  '28P01': badPassword,
  '28000': ({ message }) => {
    if (message.startsWith('branch ')) return backoff('branch_does_not_exist', sentence(message));
    // Newer servers put a comma before it, older ones "SSL off" in its place.
    if (/^no pg_hba\.conf entry for host .*(no encryption|SSL off)$/.test(message)) {
      return slow('ssl_connection_required', 'The database requires TLS: remove sslmode=disable from the URL.');
    }
    if (/password|^role ".*" does not exist$/i.test(message)) return badPassword();
    return slow('authorization_failure', `Connection rejected: ${message}`);
  },
  '3D000': noDatabase,
  '42501': (fields) =>
    isReplicationPrivilege(fields)
      ? slow(
          'insufficient_privileges',
          'User does not have the REPLICATION attribute: grant it with ALTER ROLE ... WITH REPLICATION.',
        )
      : slow('insufficient_privileges', `The database user lacks a privilege: ${fields.message}`),
  '42601': () => slow('syntax_error', 'The database did not understand a replication command: is this a pooled URL?'),
  '42704': ({ message }) =>
    message.startsWith('publication')
      ? restore('missing_publication', `The publication is missing: ${message}`)
      : backoff('unknown', sentence(message)),
  '53100': () => backoff('disk_full', 'The disk of the database is full.'),
  '53300': noSlots,
  '55000': ({ message, detail = '' }) => {
    // The setting's name stays what it is in every language.
    if (message.includes('wal_level')) return slow('wal_level_is_not_logical', WAL_LEVEL_MESSAGE);
    if (/recovery is in progress/.test(message)) return slow('standby', STANDBY_MESSAGE);
    const why = detail === '' ? message : detail;
    return /exceeded the maximum reserved size/.test(detail)
      ? restore('database_slot_exceeded_max_size', `The replication slot cannot be used: ${why}`)
      : restore('database_slot_invalidated', `The replication slot cannot be used: ${why}`);
  },
  '55006': ({ message }) =>
    backoff('replication_slot_in_use', `The replication slot is in use by another connection: ${message}`),
  '57014': () => backoff('query_canceled', 'The database cancelled a query.'),
  '57P01': () => backoff('database_server_shutting_down', 'The database is shutting down.'),
  '57P02': () => backoff('database_server_shutting_down', 'The database is shutting down.'),
  '57P03': () => backoff('database_server_unavailable', 'The database does not accept connections yet.'),
  '58P02': ({ message, routine }) =>
    routine === 'SaveSlotToPath'
      ? backoff('duplicate_slot_file', `The database could not save its replication slot: ${message}`)
      : undefined,
  ECONNREFUSED: refused,
  ECONNRESET: closed,
  EPIPE: closed,
  ETIMEDOUT: timedOut,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ENOTFOUND: unknownHost,
  EAI_AGAIN: unknownHost,
  ENODATA: unknownHost,
  DEPTH_ZERO_SELF_SIGNED_CERT: unverified,
  SELF_SIGNED_CERT_IN_CHAIN: unverified,
  UNABLE_TO_GET_ISSUER_CERT: unverified,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: unverified,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: unverified,
  CERT_HAS_EXPIRED: unverified,
  CERT_NOT_YET_VALID: unverified,
  CERT_REVOKED: unverified,
  ERR_TLS_CERT_ALTNAME_INVALID: unverified,
};

/** Where the code says little: the two digits every SQLSTATE of a class begins with. */
const BY_CLASS: Readonly<Record<string, Answer>> = {
  '08': ({ message }) => backoff('connection_failure', `The connection to the database failed: ${message}`),
  '53': noSlots,
};

/**
 * Texts of poolers and hosted databases, most of them under XX000, and of the driver, which has no codes. Providers say the same
 * with other codes too, so the code is not asked for.
 */
const BY_TEXT: readonly (readonly [RegExp, Answer])[] = [
  [/^password authentication failed/i, badPassword],
  [/^database ".*" does not exist$/, noDatabase],
  [/^remaining connection slots are reserved|^too many clients|^sorry, too many clients/i, noSlots],
  [
    /^The requested endpoint could not be found, or you don't have access to it|^Failed to identify your database/,
    ({ message }) => slow('endpoint_not_found', sentence(message)),
  ],
  [
    /^Your account or project has exceeded the compute time quota/,
    ({ message }) => slow('compute_quota_exceeded', sentence(message)),
  ],
  [
    /^Your project has exceeded the data transfer quota\./,
    ({ message }) => slow('data_transfer_quota_exceeded', sentence(message)),
  ],
  [/^Couldn't connect to compute node/, ({ message }) => backoff('compute_node_unreachable', sentence(message))],
  [
    /server_login_retry|^server login has been failing/,
    ({ message }) => backoff('pooler_login_failed', sentence(message)),
  ],
  [/^Connection rejected: /, ({ message }) => slow('authorization_failure', message)],
  [
    /^The server does not support SSL connections$/,
    () => slow('connection_closed', 'Database server not configured to accept SSL connections.'),
  ],
  [
    /^timeout exceeded when trying to connect/,
    () => backoff('pool_timeout', 'Timed out waiting for a database connection.'),
  ],
  [/econn?refused|connection refused/i, refused],
  [
    /self.signed certificate|unable to (get|verify) .*(certificate|issuer)|certificate has expired|altnames/i,
    unverified,
  ],
  [/timeout expired|timed? ?out/i, timedOut],
  [/^client .* exited$/, () => backoff('client_exit', 'The user of a database connection ended.')],
  [
    /terminated|ECONNRESET|EPIPE|closed|disconnected|hang ?up|not queryable|error establishing an SSL connection/i,
    closed,
  ],
];

function byText(fields: DatabaseErrorFields): DatabaseErrorClass | undefined {
  return BY_TEXT.find(([pattern]) => pattern.test(fields.message))?.[1](fields);
}

/** 14 and 15 name superuser or replication role, 16 and later WAL senders; the routine survives translation. */
function isReplicationPrivilege({ message, detail = '', routine }: DatabaseErrorFields): boolean {
  const known = routine === 'InitPostgres' || routine === 'CheckSlotPermissions';
  return known || /replication|wal sender/i.test(`${message} ${detail}`);
}

function backoff(type: DatabaseErrorType, message: string): DatabaseErrorClass {
  return { type, retry: 'backoff', message };
}

function slow(type: DatabaseErrorType, message: string): DatabaseErrorClass {
  return { type, retry: 'slow', message };
}

function restore(type: DatabaseErrorType, message: string): DatabaseErrorClass {
  return { type, retry: 'restore', message };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function sentence(words: string): string {
  return words.charAt(0).toUpperCase() + words.slice(1);
}
