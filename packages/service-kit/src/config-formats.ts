import { accessSync, constants } from 'node:fs';
import { z } from 'zod';

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|msec|s|sec|m|min|h)?$/;
const DURATION_MS = { ms: 1, msec: 1, s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000 } as const;
/** What a timer can hold; one that is set to more goes off at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|KiB|MB|MiB|GB|GiB)?$/;
const SIZE_BYTES = { B: 1, KB: 1e3, KiB: 1024, MB: 1e6, MiB: 1024 ** 2, GB: 1e9, GiB: 1024 ** 3 } as const;

/** One form of setting (spec O 5.1): text to value, undefined where the text does not have the form. */
function form<T, D>(accepted: string, fallback: D, description: string, parse: (text: string) => T | undefined) {
  return z
    .string()
    .optional()
    .transform((text, context): T | D => {
      if (text === undefined) return fallback;
      const value = parse(text.trim());
      if (value !== undefined) return value;
      context.addIssue({ code: 'custom', message: accepted });
      return z.NEVER;
    })
    .describe(description);
}

export interface DurationOptions {
  /** Whether 0 is accepted; what it means belongs into the description. */
  readonly zero?: boolean;
  /** 24.8 days unless given, which is what timers take. */
  readonly maxMs?: number;
}

/** A duration such as `500`, `500ms`, `10s`, `2min`; a bare number is milliseconds. Result in whole milliseconds. */
export function milliseconds<D extends number | undefined>(
  defaultMs: D,
  description: string,
  options: DurationOptions = {},
) {
  const { zero = false, maxMs = MAX_TIMER_MS } = options;
  const accepted = `expected a duration such as 500ms, 10s or 2min${zero ? ', or 0' : ' that is more than 0'}`;
  return form(accepted, defaultMs, description, (text): number | undefined => {
    const ms = scaled(DURATION.exec(text), DURATION_MS, 'ms');
    if (ms === undefined || ms > maxMs) return undefined;
    // Rounded to nothing it would mean something else.
    if (Math.round(ms) === 0) return zero && ms === 0 ? 0 : undefined;
    return Math.round(ms);
  });
}

/** A size such as `1048576`, `512KiB`, `20GB`. Result in bytes. */
export function bytes<D extends number | undefined>(defaultBytes: D, description: string) {
  return form('expected a size such as 1048576, 512KiB or 20GB', defaultBytes, description, (text) => {
    const size = scaled(SIZE.exec(text), SIZE_BYTES, 'B');
    return size === undefined || size > Number.MAX_SAFE_INTEGER ? undefined : Math.floor(size);
  });
}

function scaled<U extends string>(
  match: RegExpExecArray | null,
  units: Readonly<Record<U, number>>,
  bare: U,
): number | undefined {
  return match === null ? undefined : Number(match[1]) * units[(match[2] ?? bare) as U];
}

/** A whole number of at least `min`. */
export function count<D extends number | undefined>(
  defaultCount: D,
  description: string,
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
) {
  const upTo = max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`;
  return form(`expected a whole number of at least ${min}${upTo}`, defaultCount, description, (text) => {
    const value = Number(text);
    return /^\d+$/.test(text) && value >= min && value <= max ? value : undefined;
  });
}

/** A share of the whole, from 0 to 1. */
export function ratio<D extends number | undefined>(defaultRatio: D, description: string) {
  return form('expected a number from 0 to 1 such as 0.8', defaultRatio, description, (text) => {
    const value = Number(text);
    return /^\d*\.?\d+$/.test(text) && value <= 1 ? value : undefined;
  });
}

/** A TCP port; 0 takes any free one. */
export function port(defaultPort: number, description: string) {
  const kubernetes = 'expected a port and not an address, which Kubernetes sets here for a service of that name';
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return defaultPort;
      const value = Number(text.trim());
      if (/^\d+$/.test(text.trim()) && value <= 65_535) return value;
      const linked = /^tcp:\/\//.test(text);
      const message = linked ? `${kubernetes}: set enableServiceLinks: false` : 'expected a port from 0 to 65535';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    })
    .describe(description);
}

/** `true` or `false`. */
export function flag(defaultValue: boolean, description: string) {
  return form('expected true or false', defaultValue, description, (text) =>
    text === 'true' ? true : text === 'false' ? false : undefined,
  );
}

/** Texts separated by commas, without the blanks around them; empty ones are left out. */
export function list(description: string) {
  return form('expected a list separated by commas', [] as readonly string[], description, split);
}

function split(text: string): readonly string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** JSON of the given shape. `accepted` is an example. */
export function json<T, D>(type: z.ZodType<T>, accepted: string, fallback: D, description: string) {
  return form(`expected JSON such as ${accepted}`, fallback, description, (text): T | undefined => {
    try {
      return type.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  });
}

/** Path of a file that can be read when the process starts. */
export function file(description: string) {
  return form('expected the path of a file that can be read', undefined, description, (path) => {
    try {
      accessSync(path, constants.R_OK);
      return path;
    } catch {
      return undefined;
    }
  });
}

/** One or several server addresses, separated by commas. They may hold passwords. */
export function serverUrls(schemes: readonly [string, ...string[]], port: number, description: string) {
  const example = schemes.map((scheme) => `${scheme}://host:${port}`).join(' or ');
  return z
    .string({ error: 'is required' })
    .refine(
      (text) => split(text).length > 0 && split(text).every((part) => isServerUrl(part, schemes)),
      `expected ${example}`,
    )
    .describe(description);
}

function isServerUrl(text: string, schemes: readonly [string, ...string[]]): boolean {
  const url = URL.parse(text.includes('://') ? text : `${schemes[0]}://${text}`);
  return url !== null && schemes.includes(url.protocol.slice(0, -1)) && url.hostname !== '';
}
