/** Where the Redis of the shape store is, as its URL says. Host names without brackets. */
export type RedisPlace =
  /** One server, or several that are asked for the rest of their cluster; URLs with scheme. */
  { readonly kind: 'servers'; readonly urls: readonly [string, ...string[]] } | RedisSentinels;

/** The sentinels that know which server is the primary at the moment. */
interface RedisSentinels {
  readonly kind: 'sentinel';
  readonly sentinels: readonly { readonly host: string; readonly port: number }[];
  /** What the sentinels call the primary. */
  readonly name: string;
  readonly database: number;
  readonly tls: boolean;
  /** Of the servers; empty: none. */
  readonly user: string;
  readonly password: string;
  /** Of the sentinels, which have users of their own; empty: none. */
  readonly sentinelUser: string;
  readonly sentinelPassword: string;
}

const SENTINEL = /^(redis|rediss)\+sentinel:\/\/(?:([^@/]*)@)?([^@/?]+)\/([^/?]+)(?:\/(\d+))?(?:\?(.*))?$/;
const SENTINEL_PORT = 26_379;

/** Why a text is none; never repeats any part of it, because a part may be the password. */
interface RedisUrlProblem {
  readonly problem: string;
}

export const REDIS_URL_FORM = 'redis://host:6379, rediss://host:6379 or redis+sentinel://host:26379,host:26379/name';

/**
 * `redis://user:password@host:port/database`, several of them with commas for a cluster, or
 * `redis+sentinel://user:password@host:port,host:port/name/database`, where `?sentinel_user=` and `?sentinel_password=` are of the
 * sentinels. With `rediss` the connections are TLS.
 */
export function parseRedisUrl(text: string): RedisPlace | RedisUrlProblem {
  if (/^rediss?\+/.test(text)) return parseSentinels(text);
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part) => (part.includes('://') ? part : `redis://${part}`));
  const [first, ...others] = urls;
  if (first === undefined || !urls.every(isServer)) return { problem: `expected ${REDIS_URL_FORM}` };
  return { kind: 'servers', urls: [first, ...others] };
}

function isServer(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.protocol === 'redis:' || url.protocol === 'rediss:') && url.hostname !== '';
}

function parseSentinels(text: string): RedisSentinels | RedisUrlProblem {
  const problem = { problem: `expected ${REDIS_URL_FORM}` };
  const [, scheme, login = '', hosts = '', name = '', database = '0', query = ''] = SENTINEL.exec(text) ?? [];
  if (scheme === undefined) return problem;
  const sentinels = hosts.split(',').map((host) => URL.parse(`redis://${host.trim()}`));
  if (!sentinels.every((url) => url !== null && url.hostname !== '')) return problem;
  const colon = login.indexOf(':');
  const options = new URLSearchParams(query);
  try {
    return {
      kind: 'sentinel',
      sentinels: sentinels.map((url) => ({
        host: (url as URL).hostname.replace(/^\[(.*)\]$/, '$1'),
        port: (url as URL).port === '' ? SENTINEL_PORT : Number((url as URL).port),
      })),
      name: decodeURIComponent(name),
      database: Number(database),
      tls: scheme === 'rediss',
      user: colon < 0 ? '' : decodeURIComponent(login.slice(0, colon)),
      password: decodeURIComponent(colon < 0 ? login : login.slice(colon + 1)),
      sentinelUser: options.get('sentinel_user') ?? '',
      sentinelPassword: options.get('sentinel_password') ?? '',
    };
  } catch {
    return { problem: 'a % must be followed by two hexadecimal digits; write a literal one as %25' };
  }
}
