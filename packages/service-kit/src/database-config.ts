import { readFileSync } from 'node:fs';
import { postgresUrl } from './common-config.ts';
import { count, file, flag, milliseconds } from './config-formats.ts';
import { parsePostgresUrl } from './postgres-url.ts';

/** Settings of whoever connects to the source database (spec R 3, O 5.2). */
export const databaseConfig = {
  databaseUrl: postgresUrl('Source database, not behind a pooler; for the replicator the role needs REPLICATION.'),
  queryUrl: postgresUrl('').optional().describe('The same database for queries; may go through a pooler.'),
  caFile: file('PEM file that the certificate of Postgres is verified against.'),
  useIpv6: flag(false, 'Try to reach Postgres over IPv6 first.'),
  keepaliveIdleS: count(
    undefined,
    'Seconds without traffic after which a connection to Postgres is probed.',
    1,
    32_767,
  ),
  keepaliveIntervalS: count(undefined, 'Seconds between the probes of a connection to Postgres.', 1, 32_767),
  keepaliveCount: count(undefined, 'Unanswered probes after which a connection to Postgres is dead.', 1, 127),
  tcpUserTimeoutMs: milliseconds(
    undefined,
    'How long data sent to Postgres may stay unacknowledged. Node.js cannot set it: a warning says so.',
  ),
  poolSize: count(
    20,
    'Connections to Postgres for snapshots, catalog and administration, of all processes of the source together.',
    1,
  ),
};

export const databaseNames = {
  databaseUrl: ['DATABASE_URL'],
  queryUrl: ['ELECTRIC_POOLED_DATABASE_URL', 'ELECTRIC_QUERY_DATABASE_URL'],
  caFile: ['ELECTRIC_DATABASE_CA_CERTIFICATE_FILE'],
  useIpv6: ['ELECTRIC_DATABASE_USE_IPV6'],
  keepaliveIdleS: ['ELECTRIC_DATABASE_TCP_KEEPALIVE_IDLE'],
  keepaliveIntervalS: ['ELECTRIC_DATABASE_TCP_KEEPALIVE_INTERVAL'],
  keepaliveCount: ['ELECTRIC_DATABASE_TCP_KEEPALIVE_COUNT'],
  tcpUserTimeoutMs: ['ELECTRIC_DATABASE_TCP_USER_TIMEOUT'],
  poolSize: ['SHAPECAST_DB_POOL_SIZE', 'ELECTRIC_DB_POOL_SIZE'],
} as const;

const CA_WITHOUT_TLS =
  "When ELECTRIC_DATABASE_CA_CERTIFICATE_FILE is set, sslmode must be omitted or set to a value other than 'disable'";

/** What no setting alone can tell; the `check` of `parseConfig`. */
export function databaseProblems(config: {
  readonly databaseUrl?: string | undefined;
  readonly queryUrl?: string | undefined;
  readonly caFile?: string | undefined;
}): readonly string[] {
  if (config.caFile === undefined) return [];
  const plain = [config.databaseUrl, config.queryUrl].some(
    (url) => url !== undefined && isPlain(parsePostgresUrl(url)),
  );
  return plain ? [CA_WITHOUT_TLS] : [];
}

function isPlain(url: ReturnType<typeof parsePostgresUrl>): boolean {
  return !('problem' in url) && url.sslMode === 'disable';
}

/** How the servers of both URLs are reached, as the change source wants it. Reads the CA file. */
export function databaseConnection(config: {
  readonly caFile: string | undefined;
  readonly useIpv6: boolean;
  readonly keepaliveIdleS: number | undefined;
  readonly keepaliveIntervalS: number | undefined;
  readonly keepaliveCount: number | undefined;
  readonly tcpUserTimeoutMs: number | undefined;
}) {
  const { caFile, useIpv6, keepaliveIdleS, keepaliveIntervalS, keepaliveCount, tcpUserTimeoutMs } = config;
  return {
    useIpv6,
    tcp: { keepaliveIdleS, keepaliveIntervalS, keepaliveCount, userTimeoutMs: tcpUserTimeoutMs },
    ...(caFile !== undefined && { caCertificate: readFileSync(caFile, 'utf8') }),
  };
}
