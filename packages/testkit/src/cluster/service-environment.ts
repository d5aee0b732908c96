import { join } from 'node:path';
import { VARIABLES_OF_ONE_SOURCE } from '@shapecast/service-kit';
import { CACHE_DIR } from '../install/project-root.ts';
import type { ServiceRole } from './service-process.ts';

/** What only the cluster can know about one of its processes. */
export interface ServicePlace {
  readonly role: ServiceRole;
  readonly name: string;
  readonly port: number;
  /** Of an API pod, whose `port` is the API. */
  readonly healthPort?: number;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
  /** What the kind of servers demands; settings of the caller win. */
  readonly settings: Readonly<Record<string, string>>;
  /** With many sources: how they are found. Nothing is said of a single one then. */
  readonly sources?: Readonly<Record<string, string>> | undefined;
}

/** Of the caller's environment, what any program needs; everything else could make two runs differ. */
const BASIC = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'LANG'];

/** Compiled programs, for whoever starts the same ones again: without it a start is two thirds compiling. */
const COMPILE_CACHE = join(CACHE_DIR, 'compile-cache');

/**
 * The environment of one service process. SHAPECAST_*, ELECTRIC_* and OTEL_* of `given` are passed on and win over the
 * defaults for a throw-away cluster, but not over addresses, ports and names.
 */
export function serviceEnvironment(place: ServicePlace, given: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const passed = Object.entries(given).filter(([name]) => {
    if (name.startsWith('SHAPECAST_TEST_')) return false;
    return BASIC.includes(name) || /^(SHAPECAST|ELECTRIC|OTEL)_/.test(name);
  });
  const open = given['ELECTRIC_SECRET'] === undefined && given['ELECTRIC_INSECURE'] === undefined;
  const all = {
    NODE_COMPILE_CACHE: given['NODE_COMPILE_CACHE'] ?? COMPILE_CACHE,
    SHAPECAST_ALLOW_UNSAFE: 'true',
    SHAPECAST_STREAM_REPLICAS: '1',
    // A disk of a laptop, and a NATS server whose loss takes the rest of the cluster with it.
    // NATS reserves it for each of the streams.
    SHAPECAST_STREAM_MAX_BYTES: place.sources === undefined ? '4GiB' : '256MiB',
    SHAPECAST_CONFIRM_DELAY: '5s',
    // Twice what the load balancer needs to notice; a production load balancer gets more.
    SHAPECAST_PRESTOP_DELAY: '1s',
    SHAPECAST_DRAIN_SPREAD: '1s',
    ...(open ? { ELECTRIC_INSECURE: 'true' } : {}),
    ...place.settings,
    ...Object.fromEntries(passed),
    DATABASE_URL: place.databaseUrl,
    SHAPECAST_NATS_URL: place.natsUrl,
    SHAPECAST_REDIS_URL: place.redisUrl,
    SHAPECAST_INSTANCE_ID: place.name,
    ...(place.role === 'api'
      ? {
          ELECTRIC_PORT: String(place.port),
          SHAPECAST_HOST: '127.0.0.1',
          SHAPECAST_HEALTH_PORT: String(place.healthPort ?? 0),
        }
      : { SHAPECAST_HEALTH_PORT: String(place.port) }),
    SHAPECAST_HEALTH_HOST: '127.0.0.1',
  };
  if (place.sources === undefined) return all;
  const shared = Object.entries(all).filter(([name]) => !VARIABLES_OF_ONE_SOURCE.includes(name));
  return { ...Object.fromEntries(shared), ...place.sources };
}
