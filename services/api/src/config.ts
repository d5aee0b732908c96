import { ShapecastError } from '@shapecast/errors';
import {
  bytes,
  commonConfig,
  commonNames,
  count,
  flag,
  milliseconds,
  parseConfig,
  type Environment,
} from '@shapecast/service-kit';
import { z } from 'zod';
import type { ApiOptions } from './api.ts';

const DEFAULT_LIMITS = { initial: 300, existing: 10_000 };

/** Settings of the API service. */
export const apiConfig = z.object({
  ...commonConfig,
  natsUrl: z.string({ error: 'is required' }).describe('NATS server or servers, comma-separated.'),
  redisUrl: z.string({ error: 'is required' }).describe('Redis server of the shape store.'),
  port: count(3000, 'Port of the HTTP API.'),
  host: z.string().optional().describe('Address to listen on; every IPv4 address when unset.'),
  listenOnIpv6: flag(false, 'Listen on every IPv6 (and mapped IPv4) address.'),
  secrets: z
    .string()
    .optional()
    .transform((text) => (text ?? '').split(',').map((secret) => secret.trim()))
    .transform((secrets) => secrets.filter((secret) => secret !== ''))
    .describe('Shared secret that guards /v1/shape; several, comma-separated, while one is being replaced.'),
  insecure: flag(false, 'Serve without a secret. Excludes setting one.'),
  longPollTimeoutMs: milliseconds(20_000, 'How long a live request is held without news.'),
  cacheMaxAge: count(60, 'Seconds a cache may keep a catch-up answer.'),
  cacheStaleAge: count(300, 'Seconds a cache may serve it stale while it asks again.'),
  chunkBytes: bytes(10_485_760, 'JSON bytes at which a chunk of a new shape closes.'),
  chunkCacheBytes: bytes(
    134_217_728,
    'Memory for the bodies of chunks that are kept or being sent, shared by all who read them; 0: none.',
  ),
  limits: z
    .string()
    .optional()
    .transform((text, context) => parseLimits(text, context))
    .describe('Most requests in progress, as JSON: {"initial":300,"existing":10000}.'),
  allowDelete: flag(false, 'Answer DELETE /v1/shape, which drops a shape. For tests.'),
  sendTimeoutMs: milliseconds(30_000, 'A reader that takes nothing for this long is cut off.'),
  keepAliveTimeoutMs: milliseconds(75_000, 'How long an idle connection stays open; longer than any proxy in front.'),
  maxRequestsPerConnection: count(
    50,
    'Requests per connection before it is closed, which spreads clients; 0: no limit.',
  ),
  readyTimeoutMs: milliseconds(5_000, 'How long a request waits for the service to become ready.'),
  notifyPollMs: milliseconds(2_000, 'How often held requests look for news that no hint announced.'),
  sseKeepAliveMs: milliseconds(21_000, 'Silence on an event stream before a comment is sent.'),
  sseTimeoutMs: milliseconds(60_000, 'Lifetime of an event stream.'),
  prestopDelayMs: milliseconds(5_000, 'How long to keep accepting after SIGTERM, for load balancers that lag.'),
});

export const apiConfigNames = {
  ...commonNames,
  natsUrl: ['SHAPECAST_NATS_URL'],
  redisUrl: ['SHAPECAST_REDIS_URL'],
  port: ['ELECTRIC_PORT', 'PORT'],
  host: ['SHAPECAST_HOST'],
  listenOnIpv6: ['ELECTRIC_LISTEN_ON_IPV6'],
  secrets: ['ELECTRIC_SECRET'],
  insecure: ['ELECTRIC_INSECURE'],
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
  sseKeepAliveMs: ['SHAPECAST_SSE_KEEPALIVE'],
  sseTimeoutMs: ['SHAPECAST_SSE_TIMEOUT'],
  prestopDelayMs: ['SHAPECAST_PRESTOP_DELAY'],
} as const;

export type ApiConfig = z.output<typeof apiConfig>;

/** Parses the environment. Refuses to start unless exactly one of secret and insecure mode is chosen (AU-7). */
export function parseApiConfig(env: Environment): ApiConfig {
  const config = parseConfig(apiConfig, apiConfigNames, env);
  if (config.insecure && config.secrets.length > 0) {
    throw new ShapecastError(
      'INVALID_CONFIG',
      'ELECTRIC_SECRET and ELECTRIC_INSECURE=true exclude each other: set one of the two.',
    );
  }
  if (!config.insecure && config.secrets.length === 0) {
    throw new ShapecastError(
      'INVALID_CONFIG',
      'ELECTRIC_SECRET is required, unless ELECTRIC_INSECURE=true asks for an API without authentication.',
    );
  }
  return config;
}

function parseLimits(text: string | undefined, context: z.RefinementCtx): { initial: number; existing: number } {
  if (text === undefined) return DEFAULT_LIMITS;
  const limit = z.int().min(1);
  try {
    const given = z.object({ initial: limit.optional(), existing: limit.optional() }).parse(JSON.parse(text));
    return { initial: given.initial ?? DEFAULT_LIMITS.initial, existing: given.existing ?? DEFAULT_LIMITS.existing };
  } catch {
    context.addIssue({ code: 'custom', message: 'expected JSON such as {"initial":300,"existing":10000}' });
    return z.NEVER;
  }
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
