import { ShapecastError } from '@shapecast/errors';
import type { z } from 'zod';

/** Environment as given to a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment variables that each field is read from; the first that is set wins. */
export type ConfigNames<S extends z.ZodObject> = { readonly [K in keyof S['shape']]: readonly string[] };

/** The first of the variables that is set. Set to nothing is not set: that is how orchestrators leave things out. */
export function aliases(env: Environment, ...names: readonly string[]): string | undefined {
  const name = firstSet(env, names);
  return name === undefined ? undefined : env[name];
}

function firstSet(env: Environment, names: readonly string[]): string | undefined {
  return names.find((name) => env[name] !== undefined && env[name] !== '');
}

/**
 * Parses one configuration object. Throws INVALID_CONFIG with everything that is wrong in one message (spec O 2.1): each
 * variable that was set, or the first that could have been, with the form it accepts and never with its value.
 *
 * `check` looks at fields together and returns its complaints, which name their variables themselves. It gets the fields that
 * are fine, so that its complaints join the others.
 */
export function parseConfig<S extends z.ZodObject>(
  schema: S,
  names: ConfigNames<S>,
  env: Environment,
  check: (config: Partial<z.output<S>>) => readonly string[] = () => [],
): z.output<S> {
  const config: Record<string, unknown> = {};
  const problems: string[] = [];
  for (const [field, type] of Object.entries<z.ZodType>(schema.shape)) {
    const variables: readonly string[] = names[field] ?? [field];
    const variable = firstSet(env, variables);
    const result = type.safeParse(variable === undefined ? undefined : env[variable]);
    if (result.success) config[field] = result.data;
    else problems.push(...result.error.issues.map(({ message }) => `${variable ?? variables[0]}: ${message}`));
  }
  problems.push(...check(config as Partial<z.output<S>>));
  if (problems.length === 0) return config as z.output<S>;
  throw new ShapecastError('INVALID_CONFIG', `Invalid configuration. ${problems.join('; ')}`, { problems });
}
