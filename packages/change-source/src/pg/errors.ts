import { ShapecastError, isShapecastError } from '@shapecast/errors';

/** What Postgres says about an error; every field may be missing, because drivers raise plain errors too. */
interface PgErrorFields {
  readonly code?: string;
  readonly message: string;
  readonly routine?: string;
}

export function sqlState(error: unknown): string | undefined {
  return fields(error).code;
}

export function pgMessage(error: unknown): string {
  return fields(error).message;
}

export const WAL_LEVEL_MESSAGE =
  'Shapecast requires wal_level >= logical: set wal_level = logical in the Postgres configuration and restart Postgres.';
export const STANDBY_MESSAGE =
  'The database server is a standby: point the database URL at the primary, which alone can be replicated from.';

/**
 * Wraps what a connection of ours failed with, in one sentence, by SQLSTATE first and message second (spec O 7.1). Errors
 * of ours pass unchanged. What an operator has to change is SOURCE_MISCONFIGURED; everything else, known or not, is worth
 * trying again and SOURCE_UNAVAILABLE. `details.type` is the spec's name of the condition.
 */
export function connectionError(error: unknown): ShapecastError {
  if (isShapecastError(error)) return error;
  const { code, message, routine } = fields(error);
  const wrap = (kind: 'SOURCE_MISCONFIGURED' | 'SOURCE_UNAVAILABLE', type: string, text: string) =>
    new ShapecastError(kind, text, { type, ...(code && { code }), ...(routine && { routine }) }, error);
  const wrong = (type: string, text: string) => wrap('SOURCE_MISCONFIGURED', type, text);
  const later = (type: string, text: string) => wrap('SOURCE_UNAVAILABLE', type, text);

  switch (code) {
    case '28P01':
      return wrong('invalid_username_or_password', 'The database rejected the user name or password: check both.');
    case '28000':
      if (message.startsWith('branch ')) return later('branch_does_not_exist', sentence(message));
      if (/^no pg_hba\.conf entry.*no encryption$/.test(message)) {
        return wrong('ssl_connection_required', 'The database requires TLS: remove sslmode=disable from the URL.');
      }
      return wrong('authorization_failure', `Connection rejected: ${message}`);
    case '3D000':
      return wrong('database_does_not_exist', `The database of the URL does not exist: ${message}`);
    case '42501':
      return isReplicationPrivilege(message, routine)
        ? wrong(
            'insufficient_privileges',
            'User does not have the REPLICATION attribute: grant it with ALTER ROLE ... WITH REPLICATION.',
          )
        : wrong('insufficient_privileges', `The database user lacks a privilege: ${message}`);
    case '42601':
      return wrong(
        'syntax_error',
        'The database did not understand a replication command: is this the URL of a connection pooler?',
      );
    case '55000':
      if (/wal_level/.test(message)) return wrong('wal_level_is_not_logical', WAL_LEVEL_MESSAGE);
      return later('database_slot_invalidated', `The replication slot cannot be used: ${message}`);
    case '55006':
      return later('replication_slot_in_use', `The replication slot is in use by another connection: ${message}`);
    case '42704':
      return message.startsWith('publication')
        ? later('missing_publication', `The publication is missing: ${message}`)
        : later('unknown', sentence(message));
    case '57P01':
    case '57P02':
      return later('database_server_shutting_down', 'The database is shutting down.');
    case '57P03':
      return later('database_server_unavailable', 'The database does not accept connections yet.');
    case '53300':
      return later('insufficient_resources', 'The database has no connection slots left.');
    case '53100':
      return later('disk_full', 'The disk of the database is full.');
    case '57014':
      return later('query_canceled', 'The database cancelled a query.');
    case 'ECONNREFUSED':
      return later('connection_refused', 'The database refused the connection: is it running at this address?');
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return later('nxdomain', 'The host name of the database cannot be resolved.');
    default:
      break;
  }
  if (message.startsWith('timeout exceeded when trying to connect')) {
    return later('pool_timeout', 'Timed out waiting for a database connection.');
  }
  if (/timeout expired|timed? ?out/i.test(message)) {
    return later('connection_timeout', 'Timed out connecting to the database.');
  }
  if (/self.signed|certificate|altnames/i.test(message)) {
    return wrong('ssl_connection_failed', `SSL connection failed to verify server certificate: ${message}`);
  }
  if (message === 'The server does not support SSL connections') {
    return wrong('connection_closed', 'Database server not configured to accept SSL connections.');
  }
  return /terminated|ECONNRESET|EPIPE|closed|not queryable/i.test(`${message} ${code ?? ''}`)
    ? later('connection_closed', 'The database closed the connection.')
    : later('unknown', `Unexpected database error: ${message}`);
}

/** 14 and 15 name superuser or replication role, 16 and later WAL senders; the routine survives translation. */
function isReplicationPrivilege(message: string, routine: string | undefined): boolean {
  return routine === 'InitPostgres' || routine === 'CheckSlotPermissions' || /replication|wal sender/i.test(message);
}

function fields(error: unknown): PgErrorFields {
  if (error instanceof AggregateError && error.errors.length > 0) return fields(error.errors[0]);
  if (error instanceof Error) return error;
  return { message: String(error) };
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * Why a clause cannot be evaluated for a row, without Postgres's own words: they would show the value, perhaps of a column that
 * the reader must not see.
 */
export function rowMessage(error: unknown): string {
  return ROW_MESSAGES.get(sqlState(error)) ?? 'the clause cannot be evaluated for a row';
}

const ROW_MESSAGES: ReadonlyMap<string | undefined, string> = new Map([
  ['22012', 'division by zero'],
  ['22003', 'a value computed for a row is out of range'],
  ['22008', 'a date or time computed for a row is out of range'],
]);
