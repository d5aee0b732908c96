import { parseRedisUrl, type RedisPlace } from '@shapecast/service-kit';
import type { ShapeStoreLimits } from '../../limits.ts';
import type { RedisAddress, RedisConnectionOptions } from '../connection.ts';
import { ClusterNodes } from './cluster-nodes.ts';
import { SingleNode, StoreNode, type NodeDeps, type StoreNodes } from './node.ts';

export interface RedisPlaceOptions extends RedisConnectionOptions {
  /** As `parseRedisUrl` reads it: a server, nodes of a cluster separated by commas, or sentinels. */
  readonly url: string;
  /** The servers are nodes of a cluster. */
  readonly cluster?: boolean;
}

const REDIS_PORT = 6_379;

/** The nodes that a URL leads to. Nothing is connected yet. */
export function openNodes(
  deps: NodeDeps,
  options: RedisPlaceOptions & { readonly limits: ShapeStoreLimits },
): StoreNodes {
  const place = parseRedisUrl(options.url);
  if ('problem' in place) throw new Error(`the URL of redis is wrong: ${place.problem}`);
  if (place.kind === 'sentinel') {
    return new SingleNode(new StoreNode(deps, place.name, sentinelAddress(place, options.caCertificate), options));
  }
  if (options.cluster) return new ClusterNodes(deps, place.urls.map(serverAddress), options);
  return new SingleNode(new StoreNode(deps, 'redis', place.urls[0], options));
}

export function serverAddress(text: string): RedisAddress {
  const url = new URL(text);
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? REDIS_PORT : Number(url.port),
    ...credentials(decodeURIComponent(url.username), decodeURIComponent(url.password)),
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
  };
}

export function sentinelAddress(
  place: RedisPlace & { readonly kind: 'sentinel' },
  ca: string | undefined,
): RedisAddress {
  const { user, password, sentinelUser, sentinelPassword, tls } = place;
  const secure = ca === undefined ? {} : { ca };
  return {
    sentinels: [...place.sentinels],
    name: place.name,
    db: place.database,
    ...credentials(user, password),
    ...(sentinelUser === '' ? {} : { sentinelUsername: sentinelUser }),
    ...(sentinelPassword === '' ? {} : { sentinelPassword }),
    ...(tls || ca !== undefined ? { tls: secure, sentinelTLS: secure, enableTLSForSentinelMode: true } : {}),
  };
}

function credentials(username: string, password: string): Pick<RedisAddress, 'username' | 'password'> {
  return { ...(username === '' ? {} : { username }), ...(password === '' ? {} : { password }) };
}
