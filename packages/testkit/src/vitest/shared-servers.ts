import { inject } from 'vitest';

/** Servers that one vitest run shares, or why there are none. Tests keep apart by database, source id and key prefix. */
export interface SharedServers {
  readonly postgres: SharedServer;
  readonly nats: SharedServer;
  readonly redis: SharedServer;
}

export type SharedServer = { readonly url: string } | { readonly missing: string };

declare module 'vitest' {
  export interface ProvidedContext {
    shapecastServers: SharedServers;
  }
}

/** Superuser on the run's Postgres; use createDatabase() for a database of your own. */
export function sharedPostgresUrl(): string {
  return urlOf('postgres');
}

/** The run's NATS server with JetStream; use a random source id. */
export function sharedNatsUrl(): string {
  return urlOf('nats');
}

/** The run's Redis server; use a random source id. Never flush it. */
export function sharedRedisUrl(): string {
  return urlOf('redis');
}

function urlOf(name: keyof SharedServers): string {
  const server = inject('shapecastServers')[name];
  if ('missing' in server) throw new Error(`no ${name} for this test run: ${server.missing}`);
  return server.url;
}
