import type { ParseArgsConfig } from 'node:util';
import type { Clock, Environment } from '@shapecast/service-kit';

/** What a command has of the world. */
export interface World {
  readonly env: Environment;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
  /** Aborts when the operator has had enough. */
  readonly signal: AbortSignal;
  /** The output goes to a terminal that shows colours. */
  readonly colours: boolean;
  /** The result, a line or several. */
  readonly out: (text: string) => void;
  /** What went wrong. */
  readonly err: (text: string) => void;
}

/** `ok`: also with warnings. `failed`: something is wrong. `usage`: what was asked for makes no sense. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Flags as `parseArgs` takes them, each with what it is for. */
export type Flags = Readonly<
  Record<string, NonNullable<ParseArgsConfig['options']>[string] & { readonly about: string; readonly value?: string }>
>;

export type Values = Readonly<Record<string, string | boolean | undefined>>;

export interface Command {
  readonly flags: Flags;
  /** Name of the argument without a flag, if it takes one; it is among the values under this name. */
  readonly argument?: string;
  /** Throws `WrongUsage`. */
  run(values: Values, world: World): Promise<ExitCode>;
}

/** What was asked for makes no sense; the message says why. */
export class WrongUsage extends Error {}

/** The text of a flag; undefined when it is not given. */
export function textOf(values: Values, flag: string): string | undefined {
  const value = values[flag];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function requiredText(values: Values, flag: string): string {
  const text = textOf(values, flag);
  if (text === undefined) throw new WrongUsage(`--${flag} is required.`);
  return text;
}

/** The argument without a flag. */
export function requiredArgument(values: Values, name: string): string {
  const text = textOf(values, name);
  if (text === undefined) throw new WrongUsage(`${name} is required.`);
  return text;
}

/** A number of seconds, in milliseconds. */
export function secondsOf(values: Values, flag: string, fallbackMs: number): number {
  const text = textOf(values, flag);
  if (text === undefined) return fallbackMs;
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > MAX_SECONDS)
    throw new WrongUsage(`--${flag} expects seconds, up to a day.`);
  return Math.round(seconds * 1_000);
}

const MAX_SECONDS = 86_400;

/** The address of an HTTP server without a slash at its end. A wrong one is not repeated: it may have a password. */
export function urlOf(values: Values, flag: string): string | undefined {
  const text = textOf(values, flag);
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new WrongUsage(`--${flag} expects an address such as http://localhost:3000.`);
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '');
}
