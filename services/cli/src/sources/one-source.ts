import type { Environment } from '@shapecast/service-kit';
import { sourceEnvironment, type SourceSettings } from '@shapecast/sources';
import { textOf, WrongUsage, type Flags, type Values, type World } from '../command.ts';
import { readSources } from './source-file.ts';

/** Which of several sources is meant. */
export const SOURCE_FLAG = {
  'source-id': { type: 'string', value: 'ID', about: 'The source; needed when there are several.' },
} as const satisfies Flags;

/** Where a command that looks at servers finds what it has to know of a source. */
export const SOURCES_FLAGS = {
  ...SOURCE_FLAG,
  sources: {
    type: 'string',
    value: 'FILE',
    about: 'Sources file to find its database in; SHAPECAST_SOURCES_FILE unless given.',
  },
} as const satisfies Flags;

/** The world as the settings of one of several sources are read from it; as it is when none is named. Throws WrongUsage. */
export function worldOfSource(values: Values, world: World): World {
  const id = textOf(values, 'source-id');
  if (id === undefined) return world;
  const { env } = world;
  const flag = textOf(values, 'sources');
  const path = flag ?? (env['SHAPECAST_SOURCES_FILE'] || undefined);
  return { ...world, env: path === undefined ? named(id, env) : ofFile(id, path, env) };
}

/** Nothing is known of it but its name: what is in NATS and Redis can be looked at. */
function named(id: string, env: Environment): Environment {
  const many = env['SHAPECAST_SOURCES'] === 'registry';
  return { ...env, SHAPECAST_SOURCE_ID: id, ...(many ? { DATABASE_URL: undefined } : {}) };
}

function ofFile(id: string, path: string, env: Environment): Environment {
  const parsed = readSources(path, env, 'sources');
  if (!parsed.ok) throw new WrongUsage(`The sources file has problems: ${parsed.problems.join('; ')}.`);
  const source = parsed.sources.get(id);
  if (source === undefined) throw new WrongUsage('The sources file has no source of this id.');
  const { databaseUrl, pooledDatabaseUrl, environment } = source;
  const settings = { id, environment } as SourceSettings;
  const pooled = pooledDatabaseUrl === undefined ? {} : { pooledDatabaseUrl };
  return sourceEnvironment({ settings, database: { databaseUrl, ...pooled } }, env);
}
