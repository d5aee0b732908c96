import { pino } from 'pino';

/** Structured log with constant messages and searchable fields (style section 8). */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  child(fields: object): Logger;
}

/** `notice` lies between `warn` and `info`: what happens once and is normal, yet worth knowing. */
export type LogLevel = 'error' | 'warn' | 'notice' | 'info' | 'debug';

/** The log of a process as its composition root has it. */
export interface ProcessLogger extends Logger {
  notice(fields: object, message: string): void;
}

export interface LoggerOptions {
  /** A colour per level where lines go to a terminal; never in what is collected. */
  readonly colors?: boolean;
}

const NOTICE = 35;

const SECRETS = [
  'password',
  'secret',
  'api_secret',
  'token',
  '*.password',
  '*.secret',
  'sourceUrl',
  'databaseUrl',
  'queryUrl',
  '*.databaseUrl',
  '*.queryUrl',
  '*.connectionString',
];

/** Writes JSON lines to stderr, so that stdout stays free for what a program was asked to print. */
export function createLogger(level: LogLevel, fields: object = {}, options: LoggerOptions = {}): ProcessLogger {
  const destination = pino.destination({ fd: 2, sync: true });
  return pino(
    {
      level,
      customLevels: { notice: NOTICE },
      base: { ...fields },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
      redact: { paths: SECRETS, censor: '[REDACTED]' },
    },
    options.colors === true && process.stderr.isTTY ? colored(destination) : destination,
  );
}

const RED = 31;
const YELLOW = 33;
const CYAN = 36;
const GREY = 90;

function colored(destination: { write(line: string): unknown }): { write(line: string): void } {
  const colors: Readonly<Record<string, number>> = { error: RED, warn: YELLOW, notice: CYAN, debug: GREY };
  return {
    write(line) {
      const color = colors[/^\{"level":"([a-z]+)"/.exec(line)?.[1] ?? ''];
      destination.write(color === undefined ? line : `\u001b[${color}m${line.trimEnd()}\u001b[0m\n`);
    },
  };
}

export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
};
