import { describe, expect, test } from 'vitest';
import { ShapecastError } from '@shapecast/errors';
import {
  classifyDatabaseError,
  WAL_LEVEL_MESSAGE,
  type DatabaseErrorFields,
  type DatabaseErrorType,
  type RetryPolicy,
} from './database-error.ts';
import { connectionError } from './errors.ts';

interface Row extends DatabaseErrorFields {
  readonly retry: RetryPolicy;
  /** The text people read begins with it. */
  readonly says?: string;
}

const failure = ({ message, code, detail, routine }: DatabaseErrorFields): Error =>
  Object.assign(new Error(message), { code, detail, routine });

const RESERVED = 'remaining connection slots are reserved for roles with the SUPERUSER attribute';

/** Every type of the table, with what it is recognised by. `own` conditions never come from a driver. */
const ROWS: Readonly<Record<DatabaseErrorType, readonly Row[] | 'own'>> = {
  connection_closed: [
    { message: 'Connection terminated unexpectedly', retry: 'backoff', says: 'The database closed the connection.' },
    { message: 'read ECONNRESET', code: 'ECONNRESET', retry: 'backoff' },
    { message: 'write EPIPE', code: 'EPIPE', retry: 'backoff' },
    { message: 'Client network socket disconnected before secure TLS connection was established', retry: 'backoff' },
    { message: 'Client has encountered a connection error and is not queryable', retry: 'backoff' },
    {
      message: 'The server does not support SSL connections',
      retry: 'slow',
      says: 'Database server not configured to accept SSL connections',
    },
  ],
  connection_timeout: [
    { message: 'timeout expired', retry: 'backoff' },
    { message: 'Connection terminated due to connection timeout', retry: 'backoff' },
    { message: 'connect ETIMEDOUT 10.0.0.1:5432', code: 'ETIMEDOUT', retry: 'backoff' },
  ],
  pool_timeout: [{ message: 'timeout exceeded when trying to connect', retry: 'backoff' }],
  connection_refused: [
    { message: 'connect ECONNREFUSED 127.0.0.1:1', code: 'ECONNREFUSED', retry: 'backoff' },
    { message: 'failed to connect upstream: connection refused (econnrefused)', code: '08006', retry: 'backoff' },
  ],
  nxdomain: [
    { message: 'getaddrinfo ENOTFOUND db.invalid', code: 'ENOTFOUND', retry: 'backoff' },
    { message: 'getaddrinfo EAI_AGAIN db', code: 'EAI_AGAIN', retry: 'backoff' },
  ],
  ssl_connection_failed: [
    { message: 'certificate has expired', code: 'CERT_HAS_EXPIRED', retry: 'slow' },
    { message: 'self-signed certificate in certificate chain', code: 'SELF_SIGNED_CERT_IN_CHAIN', retry: 'slow' },
    {
      message: 'unable to verify the first certificate',
      code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
      retry: 'slow',
      says: 'SSL connection failed to verify server certificate: unable to verify the first certificate',
    },
    {
      message: "Hostname/IP does not match certificate's altnames: Host: db. is not in the cert's altnames",
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
      retry: 'slow',
    },
  ],
  ssl_connection_required: [
    {
      message: 'no pg_hba.conf entry for host "10.0.0.7", user "me", database "app", no encryption',
      code: '28000',
      retry: 'slow',
      says: 'The database requires TLS',
    },
    {
      message: 'no pg_hba.conf entry for host "10.0.0.7", user "me", database "app", SSL off',
      code: '28000',
      retry: 'slow',
    },
  ],
  authorization_failure: [
    {
      message: 'role "me" is not permitted to log in',
      code: '28000',
      retry: 'slow',
      says: 'Connection rejected: role',
    },
    {
      message: 'no pg_hba.conf entry for host "10.0.0.7", user "me", database "app", SSL encryption',
      code: '28000',
      retry: 'slow',
    },
    {
      message: 'Connection rejected: not on the allow list',
      code: 'XX000',
      retry: 'slow',
      says: 'Connection rejected: not',
    },
  ],
  invalid_username_or_password: [
    { message: 'password authentication failed for user "me"', code: '28P01', routine: 'auth_failed', retry: 'slow' },
    { message: 'Passwort-Authentifizierung für Benutzer »me« fehlgeschlagen', code: '28P01', retry: 'slow' },
    { message: 'password is required', code: '28000', retry: 'slow' },
    { message: "password authentication failed for user 'me'", code: 'XX000', retry: 'slow' },
  ],
  branch_does_not_exist: [
    { message: 'branch main does not exist', code: '28000', retry: 'backoff', says: 'Branch main' },
  ],
  insufficient_privileges: [
    {
      message: 'permission denied to start WAL sender',
      detail: 'Only roles with the REPLICATION attribute may start a WAL sender process.',
      code: '42501',
      routine: 'InitPostgres',
      retry: 'slow',
      says: 'User does not have the REPLICATION attribute',
    },
    {
      message: 'must be superuser or replication role to start walsender',
      code: '42501',
      retry: 'slow',
      says: 'User does',
    },
    {
      message: 'keine Berechtigung',
      code: '42501',
      routine: 'CheckSlotPermissions',
      retry: 'slow',
      says: 'User does not',
    },
    {
      message: 'permission denied for table items',
      code: '42501',
      routine: 'aclcheck_error',
      retry: 'slow',
      says: 'The database user',
    },
  ],
  wal_level_is_not_logical: [
    {
      message: 'logical decoding requires wal_level >= logical',
      code: '55000',
      retry: 'slow',
      says: WAL_LEVEL_MESSAGE,
    },
    { message: 'logical decoding requires "wal_level" >= "logical"', code: '55000', retry: 'slow' },
    { message: 'logische Dekodierung erfordert »wal_level« >= »logical«', code: '55000', retry: 'slow' },
  ],
  database_does_not_exist: [
    { message: 'database "app" does not exist', code: '3D000', retry: 'slow' },
    { message: 'Datenbank »app« existiert nicht', code: '3D000', retry: 'slow' },
    { message: 'database "app" does not exist', code: 'XX000', retry: 'slow' },
  ],
  endpoint_not_found: [
    {
      message:
        "The requested endpoint could not be found, or you don't have access to it. Please check the provided ID.",
      code: 'XX000',
      retry: 'slow',
    },
  ],
  compute_quota_exceeded: [
    {
      message: 'Your account or project has exceeded the compute time quota. Upgrade your plan.',
      code: 'XX000',
      retry: 'slow',
    },
  ],
  data_transfer_quota_exceeded: [
    { message: 'Your project has exceeded the data transfer quota. Upgrade your plan.', code: 'XX000', retry: 'slow' },
  ],
  syntax_error: [{ message: 'syntax error at or near "IDENTIFY_SYSTEM"', code: '42601', retry: 'slow' }],
  config_error: 'own',
  standby: [{ message: 'recovery is in progress', code: '55000', retry: 'slow' }],
  database_slot_exceeded_max_size: [
    {
      message: 'cannot read from logical replication slot "s"',
      detail: 'This slot has been invalidated because it exceeded the maximum reserved size.',
      code: '55000',
      retry: 'restore',
    },
  ],
  database_slot_invalidated: [
    {
      message: 'can no longer access replication slot "s"',
      detail: 'This replication slot has been invalidated due to "wal_removed".',
      code: '55000',
      retry: 'restore',
    },
  ],
  replication_slot_in_use: [{ message: 'replication slot "s" is active for PID 83', code: '55006', retry: 'backoff' }],
  missing_publication: [{ message: 'publication "p" does not exist', code: '42704', retry: 'restore' }],
  database_server_shutting_down: [
    { message: 'terminating connection due to administrator command', code: '57P01', retry: 'backoff' },
    { message: 'terminating connection because of crash of another server process', code: '57P02', retry: 'backoff' },
  ],
  database_server_unavailable: [{ message: 'the database system is starting up', code: '57P03', retry: 'backoff' }],
  insufficient_resources: [
    { message: 'sorry, too many clients already', code: '53300', retry: 'backoff' },
    { message: 'number of requested standby connections exceeds max_wal_senders', code: '53300', retry: 'backoff' },
    { message: RESERVED, code: 'XX000', retry: 'backoff' },
    { message: RESERVED, retry: 'backoff' },
  ],
  connection_failure: [
    { message: 'connection closed by upstream database', code: '08006', retry: 'backoff' },
    { message: 'connect EHOSTUNREACH 10.0.0.1:5432', code: 'EHOSTUNREACH', retry: 'backoff' },
    { message: 'connect ENETUNREACH ::1:5432', code: 'ENETUNREACH', retry: 'backoff' },
  ],
  server_connection_crashed: [{ message: 'server conn crashed?', code: '08P01', retry: 'backoff' }],
  query_canceled: [{ message: 'canceling statement due to user request', code: '57014', retry: 'backoff' }],
  pooler_login_failed: [
    {
      message: 'server login has been failing, cached error: connect failed (server_login_retry)',
      code: 'XX000',
      retry: 'backoff',
    },
    { message: 'server login has been failing, try again later (server_login_retry)', code: '08P01', retry: 'backoff' },
  ],
  compute_node_unreachable: [{ message: "Couldn't connect to compute node", code: 'XX000', retry: 'backoff' }],
  disk_full: [{ message: 'could not write init file: No space left on device', code: '53100', retry: 'backoff' }],
  duplicate_slot_file: [
    { message: 'could not rename file: File exists', code: '58P02', routine: 'SaveSlotToPath', retry: 'backoff' },
  ],
  connection_pool_failed_to_populate: 'own',
  client_exit: [{ message: 'client #7 exited', retry: 'backoff' }],
  unknown: [
    { message: 'odd', code: 'XX000', retry: 'backoff', says: 'Unexpected database error: odd' },
    { message: 'could not read block', code: '58P02', routine: 'mdread', retry: 'backoff' },
    { message: 'type "x" does not exist', code: '42704', retry: 'backoff' },
  ],
};

const cases = Object.entries(ROWS).flatMap(([type, rows]) =>
  rows === 'own' ? [] : rows.map((row) => [type, row.code ?? 'no code', row.message, row] as const),
);

describe('a database error', () => {
  test.each(cases)('is %s for %s %s', (type, _code, _message, row) => {
    const found = classifyDatabaseError(failure(row));
    expect(found).toMatchObject({ type, retry: row.retry });
    if (row.says !== undefined) expect(found.message.startsWith(row.says) ? row.says : found.message).toBe(row.says);
  });

  test('is named by the first of several attempts', () => {
    const refused = failure({ message: 'connect ECONNREFUSED ::1:5432', code: 'ECONNREFUSED' });
    expect(classifyDatabaseError(new AggregateError([refused, new Error('odd')])).type).toBe('connection_refused');
  });

  test.each([undefined, null, 'text', 7, new AggregateError([]), Object.assign(new Error(''), { code: 7 })])(
    'T55 may be anything at all: %s',
    (thrown) => expect(classifyDatabaseError(thrown)).toMatchObject({ type: 'unknown', retry: 'backoff' }),
  );

  test('T55 of an unknown kind is retried, and told with its code and routine', () => {
    const error = connectionError(failure({ message: 'odd', code: 'ZZ123', routine: 'SomeFunction' }));
    expect(error).toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { type: 'unknown', code: 'ZZ123', routine: 'SomeFunction' },
    });
  });

  test('that somebody has to cure is told apart from one that passes', () => {
    const wrong = connectionError(failure({ message: 'x', code: '28P01' }));
    const later = connectionError(failure({ message: 'x', code: '53300' }));
    expect([wrong.code, later.code]).toEqual(['SOURCE_MISCONFIGURED', 'SOURCE_UNAVAILABLE']);
    const ours = new ShapecastError('SNAPSHOT_FAILED', 'ours');
    expect(connectionError(ours)).toBe(ours);
  });
});
