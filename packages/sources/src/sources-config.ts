import { aliases, list, parseConfig, type Environment } from '@shapecast/service-kit';
import { z } from 'zod';
import { keyProblem, sealWith } from './seal.ts';
import type { Seals } from './source-entry.ts';
import { variablesOfOneSource } from './source-environment.ts';

const keys = (description: string) =>
  list(description).superRefine((given, context) => {
    const problem = given.length === 0 ? undefined : keyProblem(given);
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem });
  });

/** Where a process finds its sources. */
export const sourcesConfig = z.object({
  sources: z
    .enum(['environment', 'registry'], { error: 'expected environment or registry' })
    .default('environment')
    .describe('Where sources are declared: one by the environment, or any number in NATS, by a file or the admin API.'),
  sourcesKeys: keys(
    'Key that the database URLs of sources are sealed with in NATS: 32 bytes in base64. Several, with commas, while one is being replaced: the first one seals. For replicators and routers.',
  ),
  sourcesApiKeys: keys(
    'The same for what says who may read: digests of secrets, keys that tokens are verified with. For replicators and API pods.',
  ),
});

export const sourcesNames = {
  sources: ['SHAPECAST_SOURCES'],
  sourcesKeys: ['SHAPECAST_SOURCES_KEY'],
  sourcesApiKeys: ['SHAPECAST_SOURCES_API_KEY'],
} as const;

const NEEDS = {
  replicator: ['SHAPECAST_SOURCES_KEY', 'SHAPECAST_SOURCES_API_KEY'],
  router: ['SHAPECAST_SOURCES_KEY'],
  api: ['SHAPECAST_SOURCES_API_KEY'],
} as const;

/**
 * The keys of a process whose sources are in the registry; nothing when it has one source, from its environment. Throws INVALID_CONFIG
 * with everything that is wrong.
 */
export function registrySources(role: keyof typeof NEEDS, env: Environment): Seals | undefined {
  const config = parseConfig(sourcesConfig, sourcesNames, env, ({ sources }) =>
    sources === 'registry' ? problems(role, env) : [],
  );
  if (config.sources === 'environment') return undefined;
  const { sourcesKeys, sourcesApiKeys } = config;
  return {
    ...(role !== 'api' && sourcesKeys.length > 0 ? { database: sealWith(sourcesKeys) } : {}),
    ...(role !== 'router' && sourcesApiKeys.length > 0 ? { api: sealWith(sourcesApiKeys) } : {}),
  };
}

function problems(role: keyof typeof NEEDS, env: Environment): readonly string[] {
  return [
    ...NEEDS[role]
      .filter((name) => aliases(env, name) === undefined)
      .map((name) => `${name}: is required with SHAPECAST_SOURCES=registry`),
    ...variablesOfOneSource(env).map(
      (name) => `${name}: says something of one source; with SHAPECAST_SOURCES=registry sources say it themselves`,
    ),
  ];
}
