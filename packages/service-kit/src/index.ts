export { abortReason, systemClock, wallTime, type Clock } from './clock.ts';
export { clockOffset, type ClockOffset } from './clock-offset.ts';
export { Complaints } from './complaints.ts';
export { Backoff, type BackoffOptions } from './backoff.ts';
export type { Component } from './component.ts';
export { createLogger, silentLogger, type LogLevel, type Logger } from './logger.ts';
export { runProcess } from './process.ts';
export { aliases, parseConfig, type Environment } from './config.ts';
export { bytes, count, file, flag, json, list, milliseconds, port, ratio, serverUrls } from './config-formats.ts';
export { GROUPS, VARIABLES, VARIABLES_OF_ONE_SOURCE, type Variable } from './config-variables.ts';
export { configOrExit, openProcessLog, type ProcessLog } from './composition.ts';
export { configNotices, type ConfigNotice } from './config-notices.ts';
export { CONDITIONS, ConditionBoard, type Condition, type ConditionName, type Conditions } from './conditions.ts';
export { HealthServer, METRICS_TYPE, type HealthReport } from './health-server.ts';
export {
  commonConfig,
  commonNames,
  healthConfig,
  healthNames,
  natsConfig,
  natsConnection,
  natsNames,
  postgresUrl,
  redisConfig,
  redisConnection,
  redisNames,
  redisProblems,
  streamId,
} from './common-config.ts';
export { databaseConfig, databaseConnection, databaseNames, databaseProblems } from './database-config.ts';
export { parsePostgresUrl, type PostgresUrl } from './postgres-url.ts';
export { parseRedisUrl, type RedisPlace } from './redis-url.ts';
export { whenNpmGone } from './launcher.ts';
export { emitEvent, StateEventTap, type StateEventName, type StateEvents } from './state-events.ts';
export { withoutCredentials } from './without-credentials.ts';
