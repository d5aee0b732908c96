export { createDatabase, type TestDatabase } from './database.ts';
export { waitFor, type WaitOptions } from './wait-for.ts';
export { findChromium } from './install/chromium.ts';
export { withLock } from './install/lock.ts';
export { startEdge, type Edge, type EdgeKind, type EdgeOptions } from './servers/edge.ts';
export { startTcpProxy, type TcpProxy, type TcpProxyOptions } from './network/tcp-proxy.ts';
export { copyNatsStore, type NatsStoreCopy } from './servers/nats-store.ts';
export { startNats, type NatsOptions } from './servers/nats.ts';
export { startNatsCluster, type NatsCluster, type NatsClusterOptions } from './servers/nats-cluster.ts';
export { defaultPostgresMajor, startPostgres, type TestPostgres } from './servers/postgres.ts';
export { ageTo, resetWal, type ResetWalOptions } from './servers/reset-wal.ts';
export { startPgbouncer, type PgbouncerOptions } from './servers/pgbouncer.ts';
export { enableTls, type TlsFiles } from './servers/postgres-tls.ts';
export { startRedis, type RedisOptions } from './servers/redis.ts';
export { startRedisCluster, type RedisCluster, type RedisClusterOptions } from './servers/redis-cluster.ts';
export { startRedisSentinel, type RedisSentinel, type RedisSentinelOptions } from './servers/redis-sentinel.ts';
export { redisCommand, type Answer } from './servers/resp.ts';
export { startServer, type ServerSpec, type TestServer } from './servers/server-process.ts';
// Callable inside a vitest run only; importing them elsewhere does no harm.
export { sharedNatsUrl, sharedPostgresUrl, sharedRedisUrl } from './vitest/shared-servers.ts';
export { startCluster, type Cluster, type ClusterOptions } from './cluster/start-cluster.ts';
export type { ClusterSource, GivenSources } from './cluster/cluster-sources.ts';
export type { ClusterServer, RedisKind } from './cluster/cluster-servers.ts';
export type { LinkedService } from './cluster/links.ts';
export type { ClusterProcess, ServiceRole } from './cluster/service-process.ts';
export {
  startLoadBalancer,
  type LoadBalancer,
  type LoadBalancerOptions,
  type Traffic,
} from './cluster/load-balancer.ts';
