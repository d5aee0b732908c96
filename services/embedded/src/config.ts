import {
  aliases,
  commonConfig,
  commonNames,
  flag,
  list,
  parseConfig,
  port,
  postgresUrl,
  streamId,
  type Environment,
} from '@shapecast/service-kit';
import { z } from 'zod';

/** Settings of embedded mode: few, because it is for trying things out and for tests of applications. */
export const embeddedConfig = z.object({
  ...commonConfig,
  sourceUrl: postgresUrl('').optional().describe('Your database; a Postgres of its own with a demo table when unset.'),
  port: port(3000, 'Port of the HTTP API; 0 takes any free one.'),
  host: z.string().default('127.0.0.1').describe('Address to listen on.'),
  streamId: streamId(),
  secrets: list('Shared secret that guards /v1/shape; several, separated by commas, while one is being replaced.'),
  allowDelete: flag(false, 'Answer DELETE /v1/shape, which drops a shape. For tests.'),
});

export const embeddedConfigNames = {
  ...commonNames,
  sourceUrl: ['DATABASE_URL'],
  port: ['PORT', 'ELECTRIC_PORT'],
  host: ['SHAPECAST_HOST'],
  streamId: ['ELECTRIC_REPLICATION_STREAM_ID'],
  secrets: ['ELECTRIC_SECRET'],
  allowDelete: ['ELECTRIC_ENABLE_INTEGRATION_TESTING'],
} as const;

export type EmbeddedConfig = z.output<typeof embeddedConfig>;

/** Quieter than the services unless asked: what people look for here is the lines it prints. */
export function parseEmbeddedConfig(env: Environment): EmbeddedConfig {
  const level = aliases(env, ...embeddedConfigNames.logLevel) ?? 'warning';
  return parseConfig(embeddedConfig, embeddedConfigNames, { ...env, SHAPECAST_LOG_LEVEL: level });
}
