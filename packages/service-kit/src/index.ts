export { abortReason, systemClock, type Clock } from './clock.ts';
export { Backoff, type BackoffOptions } from './backoff.ts';
export type { Component } from './component.ts';
export { createLogger, silentLogger, type LogLevel, type Logger } from './logger.ts';
export { runProcess } from './process.ts';
export { aliases, bytes, count, flag, milliseconds, parseConfig, type Environment } from './config.ts';
export { HealthServer, type HealthReport } from './health-server.ts';
export { commonConfig, commonNames, postgresUrl } from './common-config.ts';
export { whenNpmGone } from './launcher.ts';
