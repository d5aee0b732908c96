/** What a NATS URL says: where to connect and as whom. Credentials stay out of logs: print `display`. */
export interface NatsServers {
  /** `host:port`, one per server. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly tls: boolean;
  /** The URL without credentials. */
  readonly display: string;
}

const SCHEMES = ['nats:', 'tls:'];

/**
 * Parses one NATS URL or several separated by commas (`nats://user:pass@a:4222,nats://b:4222`; a user without a password is
 * a token). The driver reads neither credentials nor the `tls` scheme from URLs, so it is done here.
 */
export function parseNatsUrl(text: string): NatsServers {
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseOne);
  if (urls.length === 0) throw new Error('the NATS URL is empty: give nats://host:4222');
  const withUser = urls.find((url) => url.username !== '');
  const user = withUser && decodeURIComponent(withUser.username);
  const pass = withUser && decodeURIComponent(withUser.password);
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port || '4222'}`),
    ...(user === undefined ? {} : pass ? { user, pass } : { token: user }),
    tls: urls.some((url) => url.protocol === 'tls:'),
    display: urls.map((url) => `${url.protocol}//${url.hostname}:${url.port || '4222'}`).join(','),
  };
}

function parseOne(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text.includes('://') ? text : `nats://${text}`);
  } catch {
    // Falls through. The text may hold a password, so it is not repeated.
  }
  if (!url || !SCHEMES.includes(url.protocol) || url.hostname === '') {
    throw new Error('a NATS URL cannot be read: give nats://host:4222 or tls://host:4222, several separated by commas');
  }
  return url;
}
