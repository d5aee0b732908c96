import { lookup } from 'node:dns/promises';
import net from 'node:net';
import pg from 'pg';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import {
  abortReason,
  parsePostgresUrl,
  silentLogger,
  systemClock,
  type Clock,
  type Logger,
  type PostgresUrl,
} from '@shapecast/service-kit';
import { classifyDatabaseError } from './database-error.ts';
import { connectionError, sqlState } from './errors.ts';
import { destroyClient } from './replication/replication-link.ts';
import { applyLiveness, warnUnsettable, type TcpLiveness } from './tcp-liveness.ts';

/** Spec R 3.5.2: for everything from the name to the end of the log-in, whatever is tried on the way. */
const CONNECT_TIMEOUT_MS = 30_000;
/** So many failures in a row make us look for another way (spec R 3.3.2). */
const MAX_FAILURES = 3;

/** How a server is reached, beside its URL. */
export interface PgServerOptions {
  /** PEM; verifies the server when given (spec R 3.3). */
  readonly caCertificate?: string | undefined;
  /** Try IPv6 first (spec R 3.4). */
  readonly useIpv6?: boolean | undefined;
  readonly tcp?: TcpLiveness | undefined;
  readonly connectTimeoutMs?: number | undefined;
}

export interface PgServerDeps {
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Addresses of a name in one family, best first; the system's resolver when unset. Rejects or is empty when there is none. */
  readonly resolve?: (host: string, family: Family) => Promise<readonly string[]>;
}

/** What a connection is for. */
export interface Purpose {
  readonly applicationName: string;
  /** A walsender of the URL's database. */
  readonly replication?: 'database';
  /**
   * The session is ours alone, so it may have settings of its own: messages in English, and nothing of what `overrule` names.
   * Never through a pooler (spec R 3.2.1).
   */
  readonly ownSession?: boolean;
  /** Shorter than the timeout of all connections. */
  readonly timeoutMs?: number;
}

type Family = 4 | 6;

/** One way to reach the server. */
interface Variant {
  readonly family: Family;
  readonly tls: boolean;
}

/** Every value cell stays the text Postgres sent: no dates, numbers or booleans are made of it. */
const TEXT_ONLY: pg.CustomTypesConfig = { getTypeParser: () => (value: string | Buffer) => value };

/**
 * One Postgres, and how it is reached: which address family (spec R 3.4), with TLS or without (3.3). The first connection finds
 * out; the others go the same way, until it fails three times in a row.
 */
export class PgServer {
  readonly #url: PostgresUrl;
  readonly #options: PgServerOptions;
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #resolve: (host: string, family: Family) => Promise<readonly string[]>;
  /** Stay usable while the resolver is down (spec O 9.1 F19). */
  readonly #addresses = new Map<Family, readonly string[]>();
  #variant: Variant | undefined;
  #failures = 0;
  #mayChooseLanguage = true;
  readonly #warned = new Set<string>();

  /** Throws INVALID_CONFIG, which never repeats the URL: it carries the password. */
  constructor(url: string, options: PgServerOptions = {}, deps: PgServerDeps = {}) {
    const parsed = parsePostgresUrl(url);
    if ('problem' in parsed) throw new ShapecastError('INVALID_CONFIG', `Database URL: ${parsed.problem}`);
    if (options.caCertificate !== undefined && parsed.sslMode === 'disable') {
      const message =
        "When ELECTRIC_DATABASE_CA_CERTIFICATE_FILE is set, sslmode must be omitted or set to a value other than 'disable'";
      throw new ShapecastError('INVALID_CONFIG', message);
    }
    this.#url = parsed;
    this.#options = options;
    this.#log = deps.log ?? silentLogger;
    this.#clock = deps.clock ?? systemClock;
    this.#resolve = deps.resolve ?? systemResolver;
    if (options.tcp) warnUnsettable(options.tcp, this.#log);
  }

  /** Opens a connection. Throws SOURCE_UNAVAILABLE or SOURCE_MISCONFIGURED. The caller ends it and listens to its errors. */
  async connect(purpose: Purpose, signal: AbortSignal): Promise<pg.Client> {
    signal.throwIfAborted();
    const limitMs = Math.min(purpose.timeoutMs ?? Infinity, this.#options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS);
    const attempt = { purpose, signal, deadlineMs: this.#clock.now() + limitMs };
    try {
      const client = await (this.#variant ? this.#again(this.#variant, attempt) : this.#find(attempt));
      if (purpose.ownSession === true) {
        await overrule(client);
        await this.#speakEnglish(client);
      }
      return client;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      throw connectionError(error instanceof ConnectFailure ? error.cause : error);
    }
  }

  /** The way that worked before. */
  async #again(variant: Variant, attempt: Attempt): Promise<pg.Client> {
    try {
      const client = await this.#open(variant, attempt);
      this.#failures = 0;
      return client;
    } catch (error) {
      if (wasAnswered(error)) this.#failures = 0;
      else if (!attempt.signal.aborted) this.#failures += 1;
      if (this.#failures >= MAX_FAILURES) {
        this.#variant = undefined;
        this.#failures = 0;
      }
      throw error;
    }
  }

  /** IPv6 first where that is wanted, then IPv4. */
  async #find(attempt: Attempt): Promise<pg.Client> {
    const literal = net.isIP(this.#url.host);
    if (literal !== 0) return this.#findEncryption(literal as Family, attempt);
    if (this.#options.useIpv6 !== true) return this.#findEncryption(4, attempt);
    try {
      return await this.#findEncryption(6, { ...attempt, deadlineMs: this.#halfway(attempt.deadlineMs) });
    } catch (error) {
      if (!hasNoRoute(error) || attempt.signal.aborted) throw error;
      const client = await this.#findEncryption(4, attempt);
      const fields = { host: this.#url.host, type: typeOf(error) };
      this.#warnOnce(fields, 'the database cannot be reached over IPv6, connected over IPv4');
      return client;
    }
  }

  /** The table of spec R 3.3. */
  async #findEncryption(family: Family, attempt: Attempt): Promise<pg.Client> {
    const { sslMode } = this.#url;
    const encrypted = { family, tls: true };
    const plain = { family, tls: false };
    if (sslMode === 'disable') return this.#openAndKeep(plain, attempt);
    const mustEncrypt = sslMode === 'require' || this.#options.caCertificate !== undefined;
    try {
      return await this.#openAndKeep(encrypted, attempt);
    } catch (error) {
      if (mustEncrypt || !hasNoTls(error) || attempt.signal.aborted) throw error;
    }
    const client = await this.#openAndKeep(plain, attempt);
    if (sslMode !== undefined) {
      this.#warnOnce(
        { host: this.#url.host, sslmode: sslMode },
        'the database does not speak TLS, connected without it',
      );
    }
    return client;
  }

  /** A server that answers, even to refuse us, was reached: that way is kept. */
  async #openAndKeep(variant: Variant, attempt: Attempt): Promise<pg.Client> {
    try {
      const client = await this.#open(variant, attempt);
      this.#variant = variant;
      return client;
    } catch (error) {
      if (wasAnswered(error)) this.#variant = variant;
      throw error;
    }
  }

  /** One address after the other until one lets us connect. Throws ConnectFailure. */
  async #open(variant: Variant, attempt: Attempt): Promise<pg.Client> {
    const addresses = await this.#addressesOf(variant.family, attempt);
    for (const [index, address] of addresses.entries()) {
      const last = index === addresses.length - 1;
      const deadlineMs = last ? attempt.deadlineMs : this.#halfway(attempt.deadlineMs);
      try {
        return await this.#openAt(address, variant, { ...attempt, deadlineMs });
      } catch (error) {
        if (last || attempt.signal.aborted || (error as ConnectFailure).reached !== 'nothing') throw error;
      }
    }
    throw new ConnectFailure('nothing', Object.assign(new Error('no address'), { code: 'ENOTFOUND' }));
  }

  async #addressesOf(family: Family, { signal, deadlineMs }: Attempt): Promise<readonly string[]> {
    const { host } = this.#url;
    if (net.isIP(host) !== 0) return [host];
    try {
      const found = await this.#unless(signal, deadlineMs, this.#resolve(host, family));
      if (found.length > 0) this.#addresses.set(family, found);
      return found;
    } catch (error) {
      const known = this.#addresses.get(family);
      if (known === undefined || signal.aborted) throw new ConnectFailure('nothing', error);
      return known;
    }
  }

  async #openAt(address: string, { tls }: Variant, { purpose, signal, deadlineMs }: Attempt): Promise<pg.Client> {
    const { host, port, user, password, database } = this.#url;
    const { caCertificate, tcp } = this.#options;
    const config: pg.ClientConfig & { readonly replication?: string } = {
      host: address,
      port,
      user,
      password,
      database,
      // `host` is what the certificate must be for; `servername` is sent to the server, and may not be an address.
      ssl: tls && {
        host,
        ...(net.isIP(host) === 0 && { servername: host }),
        rejectUnauthorized: caCertificate !== undefined,
        ...(caCertificate !== undefined && { ca: caCertificate }),
      },
      keepAlive: true,
      connectionTimeoutMillis: this.#left(deadlineMs),
      application_name: purpose.applicationName,
      types: TEXT_ONLY,
      ...(purpose.replication && { replication: purpose.replication }),
    };
    const client = new pg.Client(config);
    const reached = watchProgress(client, tls, tcp);
    const onAbort = () => destroyClient(client);
    signal.addEventListener('abort', onAbort, { once: true });
    const ignore = () => {};
    // What breaks now rejects `connect` as well; without a listener the event would end the process.
    client.on('error', ignore);
    try {
      signal.throwIfAborted();
      await client.connect();
      return client;
    } catch (error) {
      destroyClient(client);
      throw new ConnectFailure(reached(), error);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Texts of errors are recognised in English; most roles may not ask for it, and then the codes have to do (spec O 7.1.1). */
  async #speakEnglish(client: pg.Client): Promise<void> {
    if (!this.#mayChooseLanguage) return;
    try {
      await client.query(`set lc_messages = 'C'`);
    } catch (error) {
      if (sqlState(error) === undefined) {
        destroyClient(client);
        throw error;
      }
      this.#mayChooseLanguage = false;
    }
  }

  /** At least a millisecond: the driver takes 0 for no limit. */
  #left(deadlineMs: number): number {
    return Math.max(1, Math.ceil(deadlineMs - this.#clock.now()));
  }

  #halfway(deadlineMs: number): number {
    const now = this.#clock.now();
    return now + (deadlineMs - now) / 2;
  }

  /** The resolver cannot be interrupted; its answer is then not waited for. */
  #unless<T>(signal: AbortSignal, deadlineMs: number, work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(abortReason(signal));
      signal.addEventListener('abort', onAbort, { once: true });
      const cancel = this.#clock.after(this.#left(deadlineMs), () => {
        reject(Object.assign(new Error('resolving the host timed out'), { code: 'EAI_AGAIN' }));
      });
      void work.then(resolve, reject).finally(() => {
        signal.removeEventListener('abort', onAbort);
        cancel();
      });
    });
  }

  #warnOnce(fields: object, message: string): void {
    if (this.#warned.has(message)) return;
    this.#warned.add(message);
    this.#log.warn(fields, message);
  }
}

/**
 * What roles and databases are set to for their applications, and what would keep us from our work: whole databases are made
 * read-only when their disk fills up, and who waits for a slot or the lock of a source waits for hours.
 */
async function overrule(client: pg.Client): Promise<void> {
  try {
    await client.query('set default_transaction_read_only = off; set lock_timeout = 0; set idle_session_timeout = 0');
  } catch (error) {
    destroyClient(client);
    throw error;
  }
}

interface Attempt {
  readonly purpose: Purpose;
  readonly signal: AbortSignal;
  readonly deadlineMs: number;
}

/** How far an attempt came: no connection at all, a connection without encryption, one that is ready for the log-in. */
type Reached = 'nothing' | 'server' | 'ready';

class ConnectFailure extends Error {
  readonly reached: Reached;

  constructor(reached: Reached, cause: unknown) {
    super('connecting failed', { cause });
    this.reached = reached;
  }
}

/** What `pg` has and its types do not name. */
interface Wire {
  stream: net.Socket;
  once(event: 'connect' | 'sslconnect', listener: () => void): void;
}

/** Follows the connection through its first steps; the returned function says how far it came. */
function watchProgress(client: pg.Client, encrypted: boolean, tcp: TcpLiveness | undefined): () => Reached {
  const wire = (client as unknown as { readonly connection: Wire }).connection;
  const socket = wire.stream;
  let reached: Reached = 'nothing';
  wire.once('connect', () => {
    reached = encrypted ? 'server' : 'ready';
    if (tcp) applyLiveness(socket, tcp);
  });
  // `stream` is the TLS socket from here on; it is ready when the handshake is through.
  wire.once('sslconnect', () => void wire.stream.once('secureConnect', () => void (reached = 'ready')));
  return () => reached;
}

/** Five characters of which the first keeps them apart from names such as EPIPE. */
const SQLSTATE = /^[0-9FHPX][0-9A-Z]{4}$/;

/** Postgres, or a pooler, said something to us. */
function wasAnswered(error: unknown): boolean {
  const cause = error instanceof ConnectFailure ? error.cause : error;
  return SQLSTATE.test(sqlState(cause) ?? '');
}

/** The server does not speak TLS, or hung up on the handshake. One that keeps silent is not asked again without it. */
function hasNoTls(error: unknown): boolean {
  if (!(error instanceof ConnectFailure) || error.reached !== 'server') return false;
  return classifyDatabaseError(error.cause).type !== 'connection_timeout';
}

/** The name has no usable address of this family, or there is no way to it. */
function hasNoRoute(error: unknown): boolean {
  return error instanceof ConnectFailure && error.reached === 'nothing';
}

function typeOf(error: unknown): string {
  const cause = error instanceof ConnectFailure ? error.cause : error;
  return isShapecastError(cause) ? String(cause.details['type']) : classifyDatabaseError(cause).type;
}

async function systemResolver(host: string, family: Family): Promise<readonly string[]> {
  return (await lookup(host, { family, all: true })).map(({ address }) => address);
}
