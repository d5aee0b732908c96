import {
  parseConfig,
  redisConfig,
  redisConnection,
  redisNames,
  redisProblems,
  systemClock,
  type Environment,
  type Logger,
} from '@shapecast/service-kit';
import { openRedisShapeStore, type ShapeStore } from '@shapecast/shape-store';
import { z } from 'zod';

/** The store, for removals and for who looks at shapes: replicating has nothing to do with it, so its address need not be there. */
export function openOptionalStore(env: Environment, log: Logger): ShapeStore | undefined {
  if (!env['SHAPECAST_REDIS_URL']) return undefined;
  const config = parseConfig(z.object(redisConfig), redisNames, env, redisProblems);
  return openRedisShapeStore(redisConnection(config), { clock: systemClock, log });
}
