import { apiConfigNames, apiConfig } from '@shapecast/api';
import { isShapecastError } from '@shapecast/errors';
import { replicatorConfig } from '@shapecast/replicator';
import {
  aliases,
  databaseProblems,
  natsNames,
  parseConfig,
  redisNames,
  redisProblems,
  type Environment,
} from '@shapecast/service-kit';

/** The settings that the services reach Postgres by, and what they call their things there. */
const postgresSchema = replicatorConfig.schema.pick({
  databaseUrl: true,
  queryUrl: true,
  caFile: true,
  useIpv6: true,
  keepaliveIdleS: true,
  keepaliveIntervalS: true,
  keepaliveCount: true,
  tcpUserTimeoutMs: true,
  poolSize: true,
  streamId: true,
  manualPublishing: true,
});

const natsSchema = replicatorConfig.schema.pick({
  sourceId: true,
  natsUrl: true,
  natsCredsFile: true,
  natsCaFile: true,
  replicatorLeaseMs: true,
  routerLeaseMs: true,
  streamReplicas: true,
});

const redisSchema = apiConfig.pick({
  redisUrl: true,
  redisCluster: true,
  redisCaFile: true,
  redisHighWater: true,
});

/** What became of the settings of one server: not given, wrong, or read. */
export type Settings<T> =
  | { readonly kind: 'unset'; readonly variable: string }
  | { readonly kind: 'wrong'; readonly problems: readonly string[] }
  | { readonly kind: 'read'; readonly config: T };

export function postgresSettings(env: Environment) {
  return settings(env, 'DATABASE_URL', () => {
    const config = parseConfig(postgresSchema, replicatorConfig.names, env, databaseProblems);
    const { streamId } = config;
    return {
      ...config,
      slotName: `electric_slot_${streamId}`,
      publicationName: `electric_publication_${streamId}`,
    };
  });
}

export function natsSettings(env: Environment) {
  return settings(env, natsNames.natsUrl[0], () => parseConfig(natsSchema, replicatorConfig.names, env));
}

export function redisSettings(env: Environment) {
  return settings(env, redisNames.redisUrl[0], () => parseConfig(redisSchema, apiConfigNames, env, redisProblems));
}

function settings<T>(env: Environment, variable: string, read: () => T): Settings<T> {
  if (aliases(env, variable) === undefined) return { kind: 'unset', variable };
  try {
    return { kind: 'read', config: read() };
  } catch (error) {
    if (!isShapecastError(error, 'INVALID_CONFIG')) throw error;
    return { kind: 'wrong', problems: error.details['problems'] as readonly string[] };
  }
}
