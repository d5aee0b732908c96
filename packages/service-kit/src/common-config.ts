import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { file, flag, milliseconds, port, ratio, serverUrls } from './config-formats.ts';
import type { LogLevel } from './logger.ts';
import { parsePostgresUrl } from './postgres-url.ts';
import { parseRedisUrl, REDIS_URL_FORM } from './redis-url.ts';

/** Settings that every service reads, with the names of the reference as aliases (spec O 5.2). */
export const commonConfig = {
  sourceId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -')
    .default('single_stack')
    .describe('Name of the source; part of every key and subject.'),
  instanceId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, _ or -')
    .optional()
    .describe('Name of this process in logs and registries; random when unset.'),
  serviceName: z
    .string()
    .regex(/^[\x20-\x7e]{1,128}$/, 'expected 1 to 128 printable characters')
    .optional()
    .describe('Name of the service in logs, for platforms that collect those of many.'),
  logLevel: z
    .enum(['error', 'warning', 'warn', 'notice', 'info', 'debug'], {
      error: 'expected error, warning, notice, info or debug',
    })
    .default('info')
    .transform((level): LogLevel => (level === 'warning' ? 'warn' : level))
    .describe('Least important log lines to write.'),
  logColors: flag(true, 'Colours for log lines that go to a terminal.'),
};

export const commonNames = {
  sourceId: ['SHAPECAST_SOURCE_ID', 'ELECTRIC_DATABASE_ID'],
  instanceId: ['SHAPECAST_INSTANCE_ID', 'ELECTRIC_INSTANCE_ID'],
  serviceName: ['ELECTRIC_SERVICE_NAME'],
  logLevel: ['SHAPECAST_LOG_LEVEL', 'ELECTRIC_LOG_LEVEL'],
  logColors: ['ELECTRIC_LOG_COLORS'],
} as const;

/** Settings of whoever connects to NATS. */
export const natsConfig = {
  natsUrl: serverUrls(['nats', 'tls'], 4222, 'NATS server, or several separated by commas.'),
  natsCredsFile: file('NATS credentials file.'),
  natsCaFile: file('PEM file that the certificates of NATS are verified against.'),
  replicatorLeaseMs: lease(
    10_000,
    'Silence after which a replicator does not count as leading. Same for all services.',
  ),
  routerLeaseMs: lease(3_000, 'Silence after which a router does not count as living. Same for all services.'),
};

export const natsNames = {
  natsUrl: ['SHAPECAST_NATS_URL'],
  natsCredsFile: ['SHAPECAST_NATS_CREDS_FILE'],
  natsCaFile: ['SHAPECAST_NATS_CA_FILE'],
  replicatorLeaseMs: ['SHAPECAST_LEASE_REPLICATOR'],
  routerLeaseMs: ['SHAPECAST_LEASE_ROUTER'],
} as const;

/** Where to connect and as whom, as `openNatsMessaging` wants it. */
export function natsConnection(config: {
  readonly natsUrl: string;
  readonly natsCredsFile: string | undefined;
  readonly natsCaFile: string | undefined;
  readonly replicatorLeaseMs: number;
  readonly routerLeaseMs: number;
}): NatsConnection {
  const { natsUrl: url, natsCredsFile: credsFile, natsCaFile: caFile } = config;
  return {
    url,
    ...(credsFile === undefined ? {} : { credsFile }),
    ...(caFile === undefined ? {} : { caFile }),
    leasesMs: { leaders: config.replicatorLeaseMs, routers: config.routerLeaseMs },
  };
}

interface NatsConnection {
  readonly url: string;
  readonly credsFile?: string;
  readonly caFile?: string;
  readonly leasesMs: { readonly leaders: number; readonly routers: number };
}

/** Servers look for what has expired once a second. */
const MIN_LEASE_MS = 2_000;

function lease(defaultMs: number, description: string) {
  return milliseconds(defaultMs, description).refine((ms) => ms >= MIN_LEASE_MS, 'expected a duration of at least 2s');
}

/** Settings of whoever connects to Redis. */
export const redisConfig = {
  redisUrl: z
    .string({ error: 'is required' })
    .superRefine((text, context) => {
      const place = parseRedisUrl(text);
      if ('problem' in place) context.addIssue({ code: 'custom', message: place.problem });
    })
    .meta({ form: REDIS_URL_FORM })
    .describe(
      'Redis of the shape store: a server, several nodes of a cluster with commas, or its sentinels. rediss is TLS.',
    ),
  redisCluster: flag(false, 'Redis is a cluster; SHAPECAST_REDIS_URL names some of its nodes.'),
  redisCaFile: file('PEM file that the certificate of Redis is verified against.'),
  redisHighWater: ratio(
    0.8,
    'Share of maxmemory beyond which no shape is created and the least recently read ones rotate; the rest is for changes.',
  ),
};

/** What does not go together in these settings. */
export function redisProblems(config: {
  readonly redisUrl?: string | undefined;
  readonly redisCluster?: boolean | undefined;
}): readonly string[] {
  if (config.redisUrl === undefined) return [];
  const place = parseRedisUrl(config.redisUrl);
  if ('problem' in place) return [];
  if (place.kind === 'sentinel') {
    return config.redisCluster
      ? ['SHAPECAST_REDIS_CLUSTER: a cluster has no sentinels; expected URLs of its nodes']
      : [];
  }
  if (place.urls.length === 1 || config.redisCluster) return [];
  return ['SHAPECAST_REDIS_URL: several servers are expected only with SHAPECAST_REDIS_CLUSTER=true'];
}

/** The servers, and who vouches for them, as `openRedisShapeStore` wants it. */
export function redisConnection(config: {
  readonly redisUrl: string;
  readonly redisCluster: boolean;
  readonly redisCaFile: string | undefined;
}): {
  readonly url: string;
  readonly cluster: boolean;
  readonly caCertificate?: string;
} {
  const { redisUrl: url, redisCluster: cluster, redisCaFile } = config;
  return { url, cluster, ...(redisCaFile === undefined ? {} : { caCertificate: readFileSync(redisCaFile, 'utf8') }) };
}

export const redisNames = {
  redisUrl: ['SHAPECAST_REDIS_URL'],
  redisCluster: ['SHAPECAST_REDIS_CLUSTER'],
  redisCaFile: ['SHAPECAST_REDIS_CA_FILE'],
  redisHighWater: ['SHAPECAST_REDIS_HIGH_WATER'],
} as const;

/** Settings of the port that orchestrators ask. */
export const healthConfig = {
  healthPort: port(3001, 'Port of /live, /ready and /health.'),
  healthHost: z.string().default('0.0.0.0').describe('Address of the health port.'),
};

export const healthNames = {
  healthPort: ['SHAPECAST_HEALTH_PORT', 'SHAPECAST_ADMIN_PORT'],
  healthHost: ['SHAPECAST_HEALTH_HOST'],
} as const;

/** A Postgres URL (spec R 3.1). The value is never repeated in an error. */
export function postgresUrl(description: string) {
  return z
    .string({ error: 'is required' })
    .superRefine((text, context) => {
      const url = parsePostgresUrl(text);
      if ('problem' in url) context.addIssue({ code: 'custom', message: url.problem });
    })
    .meta({ form: 'postgresql://user:password@host:port/database' })
    .describe(description);
}

/** Read as an unquoted SQL identifier is: in lower case (spec R 5.4). */
export function streamId() {
  return z
    .string()
    .default('default')
    .transform((id) => id.toLowerCase())
    .pipe(z.string().regex(/^[a-z0-9_]{1,40}$/, 'expected 1 to 40 letters, digits or _'))
    .describe('Names the slot electric_slot_<id> and the publication electric_publication_<id>.');
}
