import {
  aliases,
  bytes,
  commonConfig,
  commonNames,
  count,
  file,
  flag,
  healthConfig,
  healthNames,
  json,
  list,
  milliseconds,
  natsConfig,
  natsNames,
  parseConfig,
  port,
  redisConfig,
  redisNames,
  redisProblems,
  type Environment,
} from '@shapecast/service-kit';
import { telemetryConfig, telemetryNames } from '@shapecast/telemetry';
import { z } from 'zod';
import type { ApiOptions } from './api.ts';
import { accessFileProblems } from './access/access-file.ts';
import { readSecretsFile } from './secrets-file.ts';

const DEFAULT_LIMITS = { initial: 300, existing: 10_000 };
const limit = z.int().min(1);
const limits = z.object({
  initial: limit.default(DEFAULT_LIMITS.initial),
  existing: limit.default(DEFAULT_LIMITS.existing),
});

/** Settings of the API service. */
export const apiConfig = z.object({
  ...commonConfig,
  ...natsConfig,
  ...redisConfig,
  ...healthConfig,
  ...telemetryConfig,
  port: port(3000, 'Port of the HTTP API; 0 takes any free one.'),
  host: z.string().optional().describe('Address to listen on; every IPv4 address when unset.'),
  listenOnIpv6: flag(false, 'Listen on every IPv6 (and mapped IPv4) address.'),
  secrets: list('Shared secret that guards /v1/shape; several, separated by commas, while one is being replaced.'),
  secretsFile: file('File with one secret per line, read again when it changes; valid beside the others.').refine(
    (path) => path === undefined || readSecretsFile(path).length > 0,
    'expected at least one secret in the file',
  ),
  accessFile: file(
    'JSON file that says which signed tokens are taken and what they allow, read again when it changes.',
  ).superRefine((path, context) => {
    for (const message of path === undefined ? [] : accessFileProblems(path))
      context.addIssue({ code: 'custom', message });
  }),
  insecure: flag(false, 'Serve without a secret. Excludes setting one.'),
  edgeSecrets: list(
    'With SHAPECAST_SOURCES=registry: secret that opens every source, for an edge that asks /v1/authorize before it looks into its cache; several, with commas, while one is being replaced.',
  ),
  sourceIdleMs: milliseconds(
    600_000,
    'With SHAPECAST_SOURCES=registry: after how long without a request what serves a source is taken apart, until somebody asks again.',
  ),
  longPollTimeoutMs: milliseconds(20_000, 'How long a live request is held without news.'),
  cacheMaxAge: count(60, 'Seconds a cache may keep a catch-up answer.'),
  cacheStaleAge: count(300, 'Seconds a cache may serve it stale while it asks again.'),
  chunkBytes: bytes(10_485_760, 'JSON bytes at which a chunk of a new shape closes.'),
  chunkCacheBytes: bytes(
    134_217_728,
    'Memory for the bodies of chunks that are kept or being sent, shared by all who read them; 0: none.',
  ),
  limits: json(limits, '{"initial":300,"existing":10000}', DEFAULT_LIMITS, 'Most requests in progress.'),
  allowDelete: flag(false, 'Answer DELETE /v1/shape, which drops a shape. For tests.'),
  sendTimeoutMs: milliseconds(30_000, 'A reader that takes nothing for this long is cut off.'),
  keepAliveTimeoutMs: milliseconds(75_000, 'How long an idle connection stays open; longer than any proxy in front.'),
  maxRequestsPerConnection: count(
    50,
    'Requests per connection before it is closed, which spreads clients; 0: no limit.',
  ),
  readyTimeoutMs: milliseconds(5_000, 'How long a request waits for the service to become ready.'),
  notifyPollMs: milliseconds(2_000, 'How often held requests look for news that no hint announced.'),
  lagHeader: flag(
    false,
    'Live answers with news say in server-timing how many milliseconds these took, by stage. A cache gives all readers the same numbers.',
  ),
  readTimesMs: milliseconds(10_000, 'How often Redis is told which shapes were read, at least; at most 10s.', {
    maxMs: 10_000,
  }),
  sseKeepAliveMs: milliseconds(21_000, 'Silence on an event stream before a comment is sent.'),
  sseTimeoutMs: milliseconds(60_000, 'Lifetime of an event stream.'),
  prestopDelayMs: milliseconds(
    5_000,
    'How long to keep accepting after SIGTERM, for load balancers that lag; at most 30s.',
    { zero: true, maxMs: 30_000 },
  ),
  drainSpreadMs: milliseconds(
    10_000,
    'After that, over how long the early answers to held requests are spread, so that their clients do not come back all at once; at most 10s.',
    { zero: true, maxMs: 10_000 },
  ),
});

export const apiConfigNames = {
  ...commonNames,
  ...natsNames,
  ...redisNames,
  ...healthNames,
  ...telemetryNames,
  port: ['ELECTRIC_PORT', 'PORT'],
  host: ['SHAPECAST_HOST'],
  listenOnIpv6: ['ELECTRIC_LISTEN_ON_IPV6'],
  secrets: ['ELECTRIC_SECRET'],
  secretsFile: ['SHAPECAST_SECRETS_FILE'],
  accessFile: ['SHAPECAST_ACCESS_FILE'],
  insecure: ['ELECTRIC_INSECURE'],
  edgeSecrets: ['SHAPECAST_EDGE_SECRETS'],
  sourceIdleMs: ['SHAPECAST_SOURCE_IDLE'],
  longPollTimeoutMs: ['ELECTRIC_LONG_POLL_TIMEOUT'],
  cacheMaxAge: ['ELECTRIC_CACHE_MAX_AGE'],
  cacheStaleAge: ['ELECTRIC_CACHE_STALE_AGE'],
  chunkBytes: ['ELECTRIC_SHAPE_CHUNK_BYTES_THRESHOLD'],
  chunkCacheBytes: ['SHAPECAST_CHUNK_CACHE_BYTES'],
  limits: ['SHAPECAST_MAX_CONCURRENT_REQUESTS', 'ELECTRIC_MAX_CONCURRENT_REQUESTS'],
  allowDelete: ['ELECTRIC_ENABLE_INTEGRATION_TESTING'],
  sendTimeoutMs: ['ELECTRIC_TCP_SEND_TIMEOUT'],
  keepAliveTimeoutMs: ['ELECTRIC_TCP_READ_TIMEOUT'],
  maxRequestsPerConnection: ['ELECTRIC_TWEAKS_CONN_MAX_REQUESTS'],
  readyTimeoutMs: ['SHAPECAST_READY_TIMEOUT'],
  notifyPollMs: ['SHAPECAST_NOTIFY_POLL'],
  lagHeader: ['SHAPECAST_LAG_HEADER'],
  readTimesMs: ['SHAPECAST_READ_TIMES_INTERVAL'],
  sseKeepAliveMs: ['SHAPECAST_SSE_KEEPALIVE'],
  sseTimeoutMs: ['SHAPECAST_SSE_TIMEOUT'],
  prestopDelayMs: ['SHAPECAST_PRESTOP_DELAY'],
  drainSpreadMs: ['SHAPECAST_DRAIN_SPREAD'],
} as const;

export type ApiConfig = z.output<typeof apiConfig>;

/** Parses the environment. Refuses to start unless exactly one of secret and insecure mode is chosen (AU-7). */
export function parseApiConfig(env: Environment): ApiConfig {
  return parseConfig(apiConfig, apiConfigNames, env, (config) => [
    ...secretProblems(config, env),
    ...redisProblems(config),
  ]);
}

function secretProblems({ insecure, secrets, secretsFile }: Partial<ApiConfig>, env: Environment): readonly string[] {
  // One that is wrong is told of already.
  if (insecure === undefined || secrets === undefined) return [];
  const given = secrets.length > 0 || secretsFile !== undefined || isSet(env, 'SHAPECAST_SECRETS_FILE');
  if (insecure && given) return [BOTH];
  return insecure || given ? [] : [NEITHER];
}

const BOTH =
  'ELECTRIC_SECRET (or SHAPECAST_SECRETS_FILE, or SHAPECAST_ACCESS_FILE) and ELECTRIC_INSECURE=true exclude each other: set one of the two';
const NEITHER = 'ELECTRIC_SECRET is required, unless ELECTRIC_INSECURE=true asks for an API without authentication';

function isSet(env: Environment, variable: string): boolean {
  return aliases(env, variable) !== undefined;
}

/** The options of the API service as the environment sets them. */
export function apiOptions(config: ApiConfig): ApiOptions {
  const { sourceId, host, listenOnIpv6, logLevel, ...options } = config;
  return {
    ...options,
    logRequests: logLevel === 'debug',
    source: sourceId,
    host: host ?? (listenOnIpv6 ? '::' : '0.0.0.0'),
  };
}
