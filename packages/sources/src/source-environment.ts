import { VARIABLES_OF_ONE_SOURCE, type Environment } from '@shapecast/service-kit';
import type { Source } from './source-entry.ts';

/** What stands for the database of every source where a process reads the settings that all of them share. */
const NO_DATABASE = 'postgresql://source@source.invalid/source';

/**
 * The environment as the settings of one source are read from it: what it says for itself wins over that of the process. The parsers
 * of a process with one source then serve for one with many.
 */
export function sourceEnvironment({ settings, database }: Source, base: Environment): Environment {
  return {
    ...shared(base),
    ...settings.environment,
    SHAPECAST_SOURCE_ID: settings.id,
    DATABASE_URL: database?.databaseUrl,
    ELECTRIC_POOLED_DATABASE_URL: database?.pooledDatabaseUrl,
    // Who is let in is not for the environment to say.
    ELECTRIC_INSECURE: 'true',
  };
}

/** The environment as the settings of the process itself are read from it. */
export function processEnvironment(base: Environment): Environment {
  return { ...shared(base), DATABASE_URL: NO_DATABASE, ELECTRIC_INSECURE: 'true' };
}

/** Which of the variables that are set have no meaning with many sources. */
export function variablesOfOneSource(base: Environment): readonly string[] {
  return VARIABLES_OF_ONE_SOURCE.filter((name) => base[name] !== undefined && base[name] !== '');
}

function shared(base: Environment): Environment {
  return Object.fromEntries(Object.entries(base).filter(([name]) => !VARIABLES_OF_ONE_SOURCE.includes(name)));
}
