import net, { type AddressInfo, type Socket } from 'node:net';
import { inspect } from 'node:util';
import { networkInterfaces } from 'node:os';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { silentLogger, type Logger } from '@shapecast/service-kit';
import { enableTls, sharedPostgresUrl, startPostgres, type TestPostgres, type TlsFiles } from '@shapecast/testkit';
import { PgServer, type PgServerDeps, type PgServerOptions, type Purpose } from './server.ts';
import { warnUnsettable } from './tcp-liveness.ts';

const never = new AbortController().signal;
const DISABLE_WITH_CA =
  "When ELECTRIC_DATABASE_CA_CERTIFICATE_FILE is set, sslmode must be omitted or set to a value other than 'disable'";
const UNVERIFIED = 'SSL connection failed to verify server certificate: ';

/** Both kinds of connection the product opens. */
const KINDS: readonly (readonly [kind: string, purpose: Purpose])[] = [
  ['an ordinary connection', { applicationName: 'test' }],
  ['the replication connection', { applicationName: 'test', replication: 'database' }],
];

interface Warnings extends Logger {
  readonly lines: { readonly fields: object; readonly message: string }[];
}

function warnings(): Warnings {
  const lines: Warnings['lines'] = [];
  return { ...silentLogger, lines, warn: (fields, message) => void lines.push({ fields, message }) };
}

const open: pg.Client[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((client) => client.end().catch(() => {})));
});

function at(
  base: string,
  change: { readonly host?: string; readonly port?: number; readonly sslmode?: string },
): string {
  const url = new URL(base);
  if (change.host !== undefined) url.hostname = change.host;
  if (change.port !== undefined) url.port = String(change.port);
  if (change.sslmode !== undefined) url.searchParams.set('sslmode', change.sslmode);
  return url.href;
}

/** Connects as the product does and says whether the server sees TLS. */
async function connect(
  url: string,
  options: PgServerOptions = {},
  deps: PgServerDeps = {},
  purpose: Purpose = { applicationName: 'test' },
): Promise<'tls' | 'plain'> {
  return connectTo(new PgServer(url, options, deps), purpose);
}

async function connectTo(server: PgServer, purpose: Purpose = { applicationName: 'test' }): Promise<'tls' | 'plain'> {
  const client = await server.connect(purpose, never);
  open.push(client);
  const { rows } = await client.query<{ ssl: unknown }>('select ssl from pg_stat_ssl where pid = pg_backend_pid()');
  return String(rows[0]?.ssl).startsWith('t') ? 'tls' : 'plain';
}

interface Proxy {
  readonly port: number;
  /** Connections accepted so far. */
  count: number;
  /** What clients sent, as latin1. */
  sent: string;
}

/** Passes bytes to the server behind it. `onData` may end a connection. */
async function startProxy(
  target: string,
  host = '127.0.0.1',
  onData: (chunk: Buffer, client: Socket) => void = () => {},
): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server = net.createServer((client) => {
    proxy.count += 1;
    const upstream = net.connect(Number(new URL(target).port), '127.0.0.1');
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => {
          client.destroy();
          upstream.destroy();
        });
    }
    client.on('data', (chunk) => {
      proxy.sent += chunk.toString('latin1');
      onData(chunk, client);
    });
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, () => resolve()));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  const proxy: Proxy = { port: (server.address() as AddressInfo).port, count: 0, sent: '' };
  return proxy;
}

/** First byte of a TLS handshake record. */
const HANDSHAKE = 0x16;
/** First bytes of all TLS records. */
const FIRST_RECORD = 0x14;
const LAST_RECORD = 0x17;

describe('A19 TLS', () => {
  let plain: string;
  let secure: TestPostgres;
  let strict: TestPostgres;
  let files: TlsFiles;

  beforeAll(async () => {
    plain = at(sharedPostgresUrl(), { host: 'localhost' });
    [secure, strict] = await Promise.all([startPostgres(), startPostgres()]);
    files = await enableTls(secure);
    await enableTls(strict, { required: true });
  });
  afterAll(async () => {
    await Promise.all([secure?.stop(), strict?.stop()]);
  });

  const secureUrl = (sslmode?: string) => at(secure.url, { host: 'localhost', ...(sslmode && { sslmode }) });

  describe.each(KINDS)('of %s', (_kind, purpose) => {
    test.each([
      [undefined, 'tls', 'plain'],
      ['allow', 'tls', 'plain'],
      ['prefer', 'tls', 'plain'],
      ['disable', 'plain', 'plain'],
      ['require', 'tls', 'Database server not configured to accept SSL connections.'],
    ])('without a CA file, sslmode %s: %s where the server can, else %s', async (sslmode, can, cannot) => {
      const log = warnings();
      expect(await connect(secureUrl(sslmode), {}, { log }, purpose)).toBe(can);
      expect(log.lines).toEqual([]);
      const result = connect(at(plain, sslmode === undefined ? {} : { sslmode }), {}, { log }, purpose);
      if (cannot === 'plain') expect(await result).toBe('plain');
      else await expect(result).rejects.toMatchObject({ code: 'SOURCE_MISCONFIGURED', message: cannot });
      const fellBack = sslmode === 'allow' || sslmode === 'prefer';
      expect(log.lines).toEqual(
        fellBack
          ? [
              {
                fields: { host: 'localhost', sslmode },
                message: 'the database does not speak TLS, connected without it',
              },
            ]
          : [],
      );
    });

    test.each([undefined, 'allow', 'prefer', 'require'])('with a CA file, sslmode %s: verified', async (sslmode) => {
      const caCertificate = files.ca;
      expect(await connect(secureUrl(sslmode), { caCertificate }, {}, purpose)).toBe('tls');
      const failed = { code: 'SOURCE_MISCONFIGURED', details: { type: 'ssl_connection_failed' } };
      const wrong = connect(secureUrl(sslmode), { caCertificate: files.wrongCa }, {}, purpose);
      await expect(wrong).rejects.toMatchObject({
        ...failed,
        message: expect.stringMatching(`^${UNVERIFIED}`) as string,
      });
      // The certificate is for the name, not for the address.
      const misnamed = connect(at(secureUrl(sslmode), { host: '127.0.0.1' }), { caCertificate }, {}, purpose);
      await expect(misnamed).rejects.toMatchObject({
        ...failed,
        message: expect.stringMatching(`^${UNVERIFIED}.*altnames`) as string,
      });
      await expect(
        connect(at(plain, sslmode === undefined ? {} : { sslmode }), { caCertificate }, {}, purpose),
      ).rejects.toMatchObject({
        code: 'SOURCE_MISCONFIGURED',
        message: 'Database server not configured to accept SSL connections.',
      });
    });

    test('that the server demands and the URL forbids is said so', async () => {
      await expect(connect(at(strict.url, { sslmode: 'disable' }), {}, {}, purpose)).rejects.toMatchObject({
        code: 'SOURCE_MISCONFIGURED',
        details: { type: 'ssl_connection_required', code: '28000' },
      });
      expect(await connect(strict.url, {}, {}, purpose)).toBe('tls');
    });
  });

  test('and a CA file exclude sslmode=disable', () => {
    expect(() => new PgServer(secureUrl('disable'), { caCertificate: files.ca })).toThrow(DISABLE_WITH_CA);
  });

  test('names the host in its greeting, verified or not', async () => {
    for (const options of [{}, { caCertificate: files.ca }]) {
      const proxy = await startProxy(secure.url);
      const url = at(secureUrl(), { port: proxy.port });
      expect(await connect(url, options)).toBe('tls');
      // The name is the only readable text of the first message (RFC 6066, section 3).
      expect(proxy.sent.slice(0, 600)).toContain('localhost');
    }
  });

  test('is given up for good when the server hangs up on its handshake, unless it is required', async () => {
    const hangUp = (chunk: Buffer, client: Socket) => {
      if (chunk[0] === HANDSHAKE) client.destroy();
    };
    const proxy = await startProxy(secure.url, '127.0.0.1', hangUp);
    const log = warnings();
    const server = new PgServer(at(secureUrl('prefer'), { port: proxy.port }), {}, { log });
    expect(await connectTo(server)).toBe('plain');
    expect(proxy.count).toBe(2);
    expect(await connectTo(server)).toBe('plain');
    expect(proxy.count).toBe(3);
    expect(log.lines).toHaveLength(1);
    await expect(connect(at(secureUrl('require'), { port: proxy.port }))).rejects.toMatchObject({
      code: 'SOURCE_UNAVAILABLE',
      details: { type: 'connection_closed' },
    });
    expect(proxy.count).toBe(4);
  });

  test('is tried again when going without it fails three times in a row', async () => {
    let refuseTls = true;
    let refusePlain = false;
    const proxy = await startProxy(secure.url, '127.0.0.1', (chunk, client) => {
      const encrypted = (chunk[0] ?? 0) >= FIRST_RECORD && (chunk[0] ?? 0) <= LAST_RECORD;
      if (encrypted ? refuseTls : refusePlain && !isSslRequest(chunk)) client.destroy();
    });
    const server = new PgServer(at(secureUrl(), { port: proxy.port }));
    expect(await connectTo(server)).toBe('plain');
    refuseTls = false;
    expect(await connectTo(server)).toBe('plain');
    refusePlain = true;
    for (let failures = 0; failures < 3; failures += 1) await expect(connectTo(server)).rejects.toThrow();
    expect(await connectTo(server)).toBe('tls');
  });

  test('stays as it is when a server that was reached refuses us', async () => {
    const proxy = await startProxy(secure.url);
    const url = new URL(at(secureUrl(), { port: proxy.port }));
    url.pathname = '/nowhere';
    const server = new PgServer(url.href);
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      await expect(connectTo(server)).rejects.toMatchObject({ details: { type: 'database_does_not_exist' } });
      expect(proxy.count).toBe(attempt);
    }
  });
});

function isSslRequest(chunk: Buffer): boolean {
  return chunk.length === 8 && chunk.readInt32BE(4) === 80_877_103;
}

describe('A8 addresses', () => {
  // One attempt per address: without TLS there is nothing to try twice.
  const url = () => at(sharedPostgresUrl(), { host: 'db.test', sslmode: 'disable' });
  const ipv6Loopback = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

  function resolver(ipv6: readonly string[] | Error, ipv4: readonly string[] = ['127.0.0.1']) {
    const asked: number[] = [];
    const resolve = async (_host: string, family: 4 | 6) => {
      asked.push(family);
      const answer = family === 6 ? ipv6 : ipv4;
      if (answer instanceof Error) throw answer;
      return answer;
    };
    return { asked, resolve };
  }

  test('are of IPv4 unless asked otherwise', async () => {
    const { asked, resolve } = resolver(['::1']);
    await connect(url(), {}, { resolve });
    expect(asked).toEqual([4]);
  });

  test.each<[string, readonly string[] | Error]>([
    ['the name has none', Object.assign(new Error('getaddrinfo ENOTFOUND db.test'), { code: 'ENOTFOUND' })],
    ['the answer is empty', []],
    // A prefix kept for examples, to which nobody has a way (RFC 3849).
    ['there is no way to it', ['2001:db8::1']],
  ])('of IPv6 that cannot be used are left for IPv4, with one warning: %s', async (_why, ipv6) => {
    const { asked, resolve } = resolver(ipv6);
    const log = warnings();
    // Where such packets vanish instead of coming back, half of this passes.
    const server = new PgServer(url(), { useIpv6: true, connectTimeoutMs: 10_000 }, { log, resolve });
    await connectTo(server);
    await connectTo(server);
    expect(asked).toEqual([6, 4, 4]);
    expect(log.lines).toEqual([
      {
        fields: { host: 'db.test', type: expect.any(String) as string },
        message: 'the database cannot be reached over IPv6, connected over IPv4',
      },
    ]);
  });

  // Machines without IPv6 have no address to listen on.
  test.skipIf(!ipv6Loopback)('of IPv6 are used where they work', async () => {
    const { asked, resolve } = resolver(['::1'], []);
    const proxy = await startProxy(sharedPostgresUrl(), '::1');
    const log = warnings();
    const wanted = at(url(), { port: proxy.port });
    const server = new PgServer(wanted, { useIpv6: true }, { log, resolve });
    await connectTo(server);
    await connect(at(wanted, { host: '[::1]' }));
    expect({ asked, warnings: log.lines, connections: proxy.count > 0 }).toEqual({
      asked: [6],
      warnings: [],
      connections: true,
    });
  });

  test('are tried one after the other', async () => {
    const proxy = await startProxy(sharedPostgresUrl());
    const { resolve } = resolver([], ['127.0.0.2', '127.0.0.1']);
    await connect(at(url(), { port: proxy.port }), {}, { resolve });
    expect(proxy.count).toBeGreaterThan(0);
  });

  test('that were good stay in use while the resolver is down', async () => {
    let down = false;
    const resolve = async () => {
      if (down) throw Object.assign(new Error('getaddrinfo EAI_AGAIN db.test'), { code: 'EAI_AGAIN' });
      return ['127.0.0.1'];
    };
    const server = new PgServer(url(), {}, { resolve });
    await connectTo(server);
    down = true;
    await connectTo(server);
    const fresh = connect(url(), {}, { resolve });
    await expect(fresh).rejects.toMatchObject({ code: 'SOURCE_UNAVAILABLE', details: { type: 'nxdomain' } });
  });
});

describe('connecting', () => {
  test('ends in time when nobody answers', async () => {
    const server = net.createServer((socket) => socket.on('error', () => {}));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    for (const sslmode of ['prefer', 'disable']) {
      const url = at(sharedPostgresUrl(), { port, sslmode });
      await expect(connect(url, { connectTimeoutMs: 100 })).rejects.toMatchObject({
        code: 'SOURCE_UNAVAILABLE',
        details: { type: 'connection_timeout' },
      });
    }
  });

  test('can be abandoned', async () => {
    const stop = new AbortController();
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      stop.abort(new Error('enough'));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    onTestFinished(() => void server.close());
    const url = at(sharedPostgresUrl(), { port: (server.address() as AddressInfo).port });
    await expect(new PgServer(url).connect({ applicationName: 'test' }, stop.signal)).rejects.toThrow('enough');
  });

  test('shows the password to nobody', async () => {
    const url = new URL(sharedPostgresUrl());
    url.password = 'hunter2';
    const server = new PgServer(url.href);
    const client = await server.connect({ applicationName: 'test' }, never);
    open.push(client);
    const error = await new PgServer(at(url.href, { port: 1 })).connect({ applicationName: 'x' }, never).catch(String);
    expect(inspect([server, client, error], { depth: 12, showHidden: false })).not.toContain('hunter2');
  });

  test('is not held to what a role is set to for applications, where the session is ours', async () => {
    const admin = new pg.Client({ connectionString: sharedPostgresUrl() });
    await admin.connect();
    open.push(admin);
    await admin.query('create role restricted_speaker login');
    onTestFinished(async () => {
      const cleaner = new pg.Client({ connectionString: sharedPostgresUrl() });
      await cleaner.connect();
      await cleaner.query('drop role restricted_speaker');
      await cleaner.end();
    });
    for (const setting of [
      'default_transaction_read_only = on',
      `lock_timeout = '1s'`,
      `idle_session_timeout = '1min'`,
    ])
      await admin.query(`alter role restricted_speaker set ${setting}`);
    const url = new URL(sharedPostgresUrl());
    url.username = 'restricted_speaker';
    const settings = async (purpose: Purpose) => {
      const client = await new PgServer(url.href).connect(purpose, never);
      open.push(client);
      const names = ['transaction_read_only', 'lock_timeout', 'idle_session_timeout'];
      const { rows } = await client.query<{ all: string }>(
        `select ${names.map((name) => `current_setting('${name}')`).join(` || ' ' || `)} as all`,
      );
      return rows[0]?.all;
    };
    expect(await settings({ applicationName: 'test', ownSession: true })).toBe('off 0 0');
    expect(await settings({ applicationName: 'test' })).toBe('on 1s 1min');
  });

  test('speaks English where the session is ours and the role may choose', async () => {
    const superuser = new PgServer(sharedPostgresUrl());
    const language = async (purpose: Purpose) => {
      const client = await superuser.connect(purpose, never);
      open.push(client);
      const { rows } = await client.query<{ lc_messages: string; source: string }>(
        `select setting, source from pg_settings where name = 'lc_messages'`,
      );
      return rows[0]?.source;
    };
    expect(await language({ applicationName: 'test', ownSession: true })).toBe('session');
    expect(await language({ applicationName: 'test' })).not.toBe('session');
    const [admin] = open;
    await admin?.query('create role plain_speaker login');
    onTestFinished(async () => {
      const cleaner = new pg.Client({ connectionString: sharedPostgresUrl() });
      await cleaner.connect();
      await cleaner.query('drop role plain_speaker');
      await cleaner.end();
    });
    const url = new URL(sharedPostgresUrl());
    url.username = 'plain_speaker';
    const server = new PgServer(url.href);
    for (let count = 0; count < 2; count += 1) {
      const client = await server.connect({ applicationName: 'test', ownSession: true }, never);
      open.push(client);
      expect((await client.query('select 1')).rowCount).toBe(1);
    }
  });
});

describe('settings of TCP', () => {
  test('that Node cannot make are named in one warning', () => {
    const log = warnings();
    warnUnsettable(
      { keepaliveIdleS: 10, keepaliveIntervalS: 5, keepaliveCount: 3, userTimeoutMs: 1_000 },
      log,
      'linux',
    );
    warnUnsettable({ keepaliveIdleS: 10 }, log, 'darwin');
    warnUnsettable({}, log, 'linux');
    expect(log.lines.map(({ fields }) => fields)).toEqual([
      { ignored: ['userTimeoutMs'], platform: 'linux' },
      { ignored: ['keepaliveIdleS'], platform: 'darwin' },
    ]);
  });
});
