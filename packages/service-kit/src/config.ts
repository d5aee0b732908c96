import { ShapecastError } from '@shapecast/errors';
import { z } from 'zod';

/** Environment as given to a process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Variable names of the reference that mean the same here (spec O 5.2): the first that is set wins. */
export function aliases(env: Environment, ...names: readonly string[]): string | undefined {
  for (const name of names) {
    const value = env[name];
    if (value !== undefined && value !== '') return value;
  }
  return undefined;
}

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|msec|s|sec|m|min|h)?$/;
const DURATION_MS = { ms: 1, msec: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000 } as const;
const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?$/;
const SIZE_BYTES = { B: 1, KB: 1e3, KiB: 1024, MB: 1e6, MiB: 1024 ** 2, GB: 1e9, GiB: 1024 ** 3 } as const;

/** A duration such as `500`, `500ms`, `10s`, `2min`; a bare number is milliseconds. Result in milliseconds. */
export function milliseconds(defaultMs: number, description: string) {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return defaultMs;
      const match = DURATION.exec(text.trim());
      if (match) return Number(match[1]) * DURATION_MS[(match[2] ?? 'ms') as keyof typeof DURATION_MS];
      context.addIssue({ code: 'custom', message: 'expected a duration such as 500ms, 10s or 2min' });
      return z.NEVER;
    })
    .describe(description);
}

/** A size such as `1048576`, `512KiB`, `20GB`. Result in bytes. */
export function bytes(defaultBytes: number, description: string) {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return defaultBytes;
      const match = SIZE.exec(text.trim());
      if (match) return Math.floor(Number(match[1]) * SIZE_BYTES[(match[2] ?? 'B') as keyof typeof SIZE_BYTES]);
      context.addIssue({ code: 'custom', message: 'expected a size such as 1048576, 512KiB or 20GB' });
      return z.NEVER;
    })
    .describe(description);
}

/** A whole number of at least `min`. */
export function count(defaultCount: number, description: string, min = 0) {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return defaultCount;
      const value = Number(text.trim());
      if (/^\d+$/.test(text.trim()) && value >= min) return value;
      context.addIssue({ code: 'custom', message: `expected a whole number of at least ${min}` });
      return z.NEVER;
    })
    .describe(description);
}

/** `true` or `false`. */
export function flag(defaultValue: boolean, description: string) {
  return z
    .enum(['true', 'false'], { error: 'expected true or false' })
    .optional()
    .transform((text) => (text === undefined ? defaultValue : text === 'true'))
    .describe(description);
}

/**
 * Parses one configuration object. `names` maps each field to the environment variables it is read from, most specific
 * first. A bad value throws INVALID_CONFIG that names every variable that is wrong and the accepted form, never a value.
 */
export function parseConfig<S extends z.ZodObject>(
  schema: S,
  names: { readonly [K in keyof S['shape']]: readonly string[] },
  env: Environment,
): z.output<S> {
  const input: Record<string, string | undefined> = {};
  for (const [field, variables] of Object.entries<readonly string[]>(names)) input[field] = aliases(env, ...variables);
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => {
    const field = String(issue.path[0]);
    const variable = (names as Record<string, readonly string[]>)[field]?.[0] ?? field;
    return `${variable}: ${issue.message}`;
  });
  throw new ShapecastError('INVALID_CONFIG', `Invalid configuration. ${problems.join('; ')}`, { problems });
}
