import net from 'node:net';
import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import { abortReason } from '@shapecast/service-kit';
import { connectionError } from './errors.ts';

const CONNECT_TIMEOUT_MS = 30_000;
/** Int32 length 8, then the code that asks for TLS (Postgres manual, "Message Formats": SSLRequest). */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);

type SslMode = 'unset' | 'disable' | 'allow' | 'prefer' | 'require';

interface Target {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  readonly database: string;
  readonly sslMode: SslMode;
}

/** Every value cell stays the text Postgres sent: no dates, numbers or booleans are made of it. */
const TEXT_ONLY: pg.CustomTypesConfig = { getTypeParser: () => (value: string | Buffer) => value };

/**
 * How to reach one Postgres. Decides once whether TLS is spoken (spec R 3.3) and remembers it, so that reconnects do not
 * repeat a variant that failed; `forget` drops the memory.
 */
export class PgServer {
  readonly #target: Target;
  readonly #caCertificate: string | undefined;
  #ssl: pg.ClientConfig['ssl'] | undefined;

  /** Throws INVALID_CONFIG. */
  constructor(url: string, caCertificate?: string) {
    this.#target = parseTarget(url);
    this.#caCertificate = caCertificate;
    if (caCertificate !== undefined && this.#target.sslMode === 'disable') {
      const message =
        "When ELECTRIC_DATABASE_CA_CERTIFICATE_FILE is set, sslmode must be omitted or set to a value other than 'disable'";
      throw new ShapecastError('INVALID_CONFIG', message);
    }
  }

  /** Connection settings for `pg`. Throws SOURCE_UNAVAILABLE when the server cannot be reached to ask for TLS. */
  async config(signal: AbortSignal): Promise<pg.ClientConfig> {
    const { host, port, user, password, database } = this.#target;
    this.#ssl ??= await this.#decideSsl(signal);
    return {
      host,
      port,
      user,
      password,
      database,
      ssl: this.#ssl,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      types: TEXT_ONLY,
    };
  }

  forget(): void {
    this.#ssl = undefined;
  }

  async #decideSsl(signal: AbortSignal): Promise<NonNullable<pg.ClientConfig['ssl']>> {
    const { sslMode } = this.#target;
    if (this.#caCertificate !== undefined) return { ca: this.#caCertificate, rejectUnauthorized: true };
    if (sslMode === 'disable') return false;
    if (sslMode === 'require') return { rejectUnauthorized: false };
    return (await offersTls(this.#target, signal)) ? { rejectUnauthorized: false } : false;
  }
}

/** Spec R 3.1. The URL is never repeated in an error: it carries the password. */
function parseTarget(url: string): Target {
  const invalid = (what: string) => new ShapecastError('INVALID_CONFIG', `Database URL: ${what}`);
  if (!URL.canParse(url)) throw invalid('expected postgresql://user:password@host:port/database');
  const parsed = new URL(url);
  if (!/^postgres(ql)?:$/.test(parsed.protocol)) throw invalid('the scheme must be postgresql or postgres');
  if (parsed.hostname === '') throw invalid('a host is required');
  if (parsed.username === '') throw invalid('a user name is required');
  if (parsed.searchParams.has('replication')) throw invalid('the replication parameter is not allowed');
  const user = decodeURIComponent(parsed.username);
  const path = decodeURIComponent(parsed.pathname.slice(1));
  return {
    host: decodeURIComponent(parsed.hostname).replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port === '' ? 5432 : Number(parsed.port),
    user,
    ...(parsed.password === '' ? {} : { password: decodeURIComponent(parsed.password) }),
    database: path === '' ? user : path,
    sslMode: parseSslMode(parsed.searchParams.get('sslmode'), invalid),
  };
}

function parseSslMode(text: string | null, invalid: (what: string) => ShapecastError): SslMode {
  switch (text) {
    case null:
      return 'unset';
    case 'disable':
    case 'allow':
    case 'prefer':
    case 'require':
      return text;
    case 'verify-ca':
    case 'verify-full':
      throw invalid(`sslmode=${text} is not accepted, set ELECTRIC_DATABASE_CA_CERTIFICATE_FILE to verify the server`);
    default:
      throw invalid('sslmode must be disable, allow, prefer or require');
  }
}

/** Asks the server whether it speaks TLS, without logging in. A server that hangs up instead of answering does not. */
function offersTls(target: Target, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal));
    const socket = net.connect({ host: target.host, port: target.port });
    const finish = (settle: () => void) => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
      settle();
    };
    const onAbort = () => finish(() => reject(abortReason(signal)));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => {
      const error = new ShapecastError('SOURCE_UNAVAILABLE', 'Timed out connecting to the database');
      finish(() => reject(error));
    });
    socket.on('error', (error) => finish(() => reject(connectionError(error))));
    socket.on('close', () => finish(() => resolve(false)));
    socket.on('connect', () => socket.write(SSL_REQUEST));
    socket.on('data', (answer) => finish(() => resolve(answer[0] === 'S'.charCodeAt(0))));
  });
}
