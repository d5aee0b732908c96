export { startLocalPostgres, type LocalPostgres, type LocalPostgresOptions } from './local-postgres.ts';
export { DEFAULT_MAJOR, hydrateSymlinks, type PostgresBinaries } from './binaries.ts';
export { freePort } from './free-port.ts';
export { guardProcess, type Guard, type GuardOptions } from './guard.ts';
export { childrenOf, isRunning, signalAll, waitGone } from './processes.ts';
