import { pino } from 'pino';

/** Structured log with constant messages and searchable fields (style section 8). */
export interface Logger {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
  child(fields: object): Logger;
}

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

const SECRETS = [
  'password',
  'secret',
  'api_secret',
  'token',
  '*.password',
  '*.secret',
  'sourceUrl',
  '*.connectionString',
];

/** Writes JSON lines to stderr, so that stdout stays free for what a program was asked to print. */
export function createLogger(level: LogLevel, fields: object = {}): Logger {
  const options = {
    level,
    base: { ...fields },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: { paths: SECRETS, censor: '[REDACTED]' },
  };
  return pino(options, pino.destination({ fd: 2, sync: true }));
}

export const silentLogger: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => silentLogger,
};
