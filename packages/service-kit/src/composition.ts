import { isShapecastError } from '@shapecast/errors';
import type { Clock } from './clock.ts';
import { logConfigNotices } from './config-notices.ts';
import type { Environment } from './config.ts';
import { createLogger, type LogLevel, type Logger } from './logger.ts';
import { StateEventTap } from './state-events.ts';

/** The configuration of a process; where it is wrong, the one message that says all of it, and the end (spec O 2.1). */
export function configOrExit<T>(parse: (env: Environment) => T, env: Environment): T {
  try {
    return parse(env);
  } catch (err) {
    if (!isShapecastError(err, 'INVALID_CONFIG')) throw err;
    process.stderr.write(`${err.message}\n`);
    process.exit(1);
  }
}

export interface ProcessLog {
  readonly log: Logger;
  /** Hears the state events of the log and of its children. */
  readonly events: StateEventTap;
}

/** The log of a process, bound to `fields`. Says at once what is worth saying about the environment. */
export function openProcessLog(
  config: { readonly logLevel: LogLevel; readonly logColors: boolean; readonly serviceName?: string | undefined },
  fields: object,
  parts: { readonly env: Environment; readonly clock: Clock },
): ProcessLog {
  const { logLevel, logColors: colors, serviceName } = config;
  const all = serviceName === undefined ? fields : { ...fields, serviceName };
  const log = createLogger(logLevel, all, { colors });
  logConfigNotices(parts.env, log);
  const events = new StateEventTap(parts.clock);
  return { log: events.tap(log, all), events };
}
