import { readFileSync } from 'node:fs';
import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type ConnectionOptions, type NatsConnection } from '@nats-io/transport-node';
import { ShapecastError } from '@shapecast/errors';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { Messaging } from '../messaging.ts';
import { BUCKETS } from '../records.ts';
import { NatsLink, NO_JETSTREAM, NO_JETSTREAM_FOR_ACCOUNT } from './link.ts';
import { NatsHints } from './nats-hints.ts';
import { NatsRegistries } from './nats-registry.ts';
import { NatsRpc } from './nats-rpc.ts';
import { NatsTxStreams } from './nats-tx-stream.ts';
import { parseNatsUrl, type NatsServers } from './servers.ts';

export interface NatsMessagingOptions {
  /** `nats://[user:pass@]host:4222` or `tls://...`, several separated by commas. */
  readonly url: string;
  /** Copies of each tx stream and registry; 3 on a NATS cluster and 1 on a single server unless given (spec R 9.1.1). */
  readonly streamReplicas?: number;
  /** 72 h unless given; at least 24 h in production. */
  readonly streamMaxAgeMs?: number;
  /** Per tx stream, reserved by the server; 20 GiB unless given. */
  readonly streamMaxBytes?: number;
  /** How long a repeated message id is recognised; 2 min unless given. */
  readonly duplicateWindowMs?: number;
  /** Expiry of the records of leaders and of routers, where it is not the usual one. The same for all who share the servers. */
  readonly leasesMs?: { readonly leaders: number; readonly routers: number };
  /** Name of the connection in NATS's monitoring. */
  readonly name?: string;
  /** NATS credentials file (JWT and seed); read again at every reconnect. */
  readonly credsFile?: string;
  /** PEM file of the authority that signed the servers' certificates; implies TLS. */
  readonly caFile?: string;
}

const HOUR_MS = 3_600_000;
const GIB = 1024 ** 3;

/**
 * Connects, however long that takes: a server that is not there yet is logged and tried again until `signal` aborts. Throws
 * STREAM_UNAVAILABLE when the server runs without JetStream, which no waiting cures. Once connected it stays so by itself.
 */
export async function openNatsMessaging(
  options: NatsMessagingOptions,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<Messaging> {
  const servers = parseNatsUrl(options.url);
  const log = parts.log.child({ component: 'messaging' });
  const nc = await connectPatiently(servers, options, { clock: parts.clock, log }, signal);
  const info = nc.info;
  if (!info) throw new Error('a connected NATS client has no server info');
  const link = new NatsLink(nc, info, { clock: parts.clock, log });
  log.info({ servers: servers.display, version: info.version }, 'connected to NATS');
  const replicas = options.streamReplicas ?? (link.clustered ? 3 : 1);
  const stopping = new AbortController();
  return {
    txStreams: new NatsTxStreams(link, {
      replicas,
      maxAgeMs: options.streamMaxAgeMs ?? 72 * HOUR_MS,
      maxBytes: options.streamMaxBytes ?? 20 * GIB,
      duplicateWindowMs: options.duplicateWindowMs ?? 120_000,
    }),
    hints: new NatsHints(link),
    rpc: new NatsRpc(link),
    registries: new NatsRegistries(link, { replicas, ttlsMs: ttlsOf(options) }, stopping.signal),
    connected: () => link.connected,
    async close() {
      stopping.abort(new Error('messaging was closed'));
      await link.close();
    },
  };
}

function ttlsOf({ leasesMs }: NatsMessagingOptions): ReadonlyMap<string, number> {
  if (leasesMs === undefined) return new Map();
  return new Map([
    [BUCKETS.leaders.name, leasesMs.leaders],
    [BUCKETS.processes.name, leasesMs.routers],
  ]);
}

async function connectPatiently(
  servers: NatsServers,
  options: NatsMessagingOptions,
  parts: { readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<NatsConnection> {
  const backoff = new Backoff(parts.clock, { minMs: 250, maxMs: 5_000 });
  for (;;) {
    signal.throwIfAborted();
    let nc: NatsConnection | undefined;
    try {
      nc = await connect(connectionOptions(servers, options));
      await requireJetStream(nc);
      return nc;
    } catch (err) {
      await nc?.close();
      if (err instanceof ShapecastError) throw err;
      parts.log.warn({ err, servers: servers.display }, 'NATS is not reachable, retrying');
      await backoff.wait(signal);
    }
  }
}

/** Spec N3 of deployment.md; reconnecting never gives up. */
export function connectionOptions(servers: NatsServers, options: NatsMessagingOptions): ConnectionOptions {
  const { credsFile, caFile, name } = options;
  const { user, pass, token } = servers;
  return {
    servers: [...servers.servers],
    ...(name === undefined ? {} : { name }),
    ...(user === undefined ? {} : { user }),
    ...(pass === undefined ? {} : { pass }),
    ...(token === undefined ? {} : { token }),
    ...(credsFile === undefined
      ? {}
      : { authenticator: (nonce?: string) => credsAuthenticator(new Uint8Array(readFileSync(credsFile)))(nonce) }),
    ...(caFile !== undefined ? { tls: { caFile } } : servers.tls ? { tls: {} } : {}),
    timeout: 5_000,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 1_000,
    reconnectJitter: 500,
    reconnectJitterTLS: 1_000,
    pingInterval: 20_000,
    maxPingOut: 2,
    // Credentials may be rotated under us: a refusal is tried again like any other failure.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  };
}

const ACCOUNT_WITHOUT_JETSTREAM = 10039;

/** Throws STREAM_UNAVAILABLE when there is none to be had. */
export async function requireJetStream(nc: NatsConnection): Promise<void> {
  try {
    await jetstreamManager(nc, { timeout: 5_000 });
  } catch (error) {
    const { name = '', message = '' } = error instanceof Error ? error : {};
    // The driver reports both under one name, and only the server's sentence tells them apart.
    const forAccount =
      (error instanceof JetStreamApiError && error.code === ACCOUNT_WITHOUT_JETSTREAM) || /account/i.test(message);
    if (forAccount)
      throw new ShapecastError('STREAM_UNAVAILABLE', NO_JETSTREAM_FOR_ACCOUNT, { reason: 'no-jetstream' }, error);
    if (name !== 'JetStreamNotEnabled' || nc.info?.jetstream === true) throw error;
    throw new ShapecastError('STREAM_UNAVAILABLE', NO_JETSTREAM, { reason: 'no-jetstream' }, error);
  }
}
