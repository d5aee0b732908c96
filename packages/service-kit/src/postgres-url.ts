type SslMode = 'disable' | 'allow' | 'prefer' | 'require';

/** Where a database is and who asks for it, as its URL says (spec R 3.1). */
export interface PostgresUrl {
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Not enumerable: it appears in no dump of the object (spec R 3.1.4). */
  readonly password: string | undefined;
  readonly database: string;
  /** Undefined when the URL does not say. */
  readonly sslMode: SslMode | undefined;
}

/** What is wrong with a URL. The text never repeats any part of it, because a part may be the password. */
export interface PostgresUrlProblem {
  readonly problem: string;
}

const FORM = 'expected postgresql://user:password@host:port/database';
const DEFAULT_PORT = 5432;

/**
 * Reads a database URL. Only `sslmode` and `replication` are looked at among its parameters: drivers and providers have many
 * more, and an unknown one is no reason to stay down (spec R 3.1.3).
 */
export function parsePostgresUrl(text: string): PostgresUrl | PostgresUrlProblem {
  if (!/^postgres(ql)?:/i.test(text)) return { problem: 'the scheme must be postgresql or postgres' };
  const parts = URL.parse(text);
  if (parts === null) return { problem: whyUnreadable(text) };
  if (parts.hostname === '') return { problem: 'a host is required' };
  if (parts.username === '') return { problem: 'a user name is required' };
  if (parts.searchParams.has('replication')) return { problem: 'the replication parameter is not allowed' };
  const sslMode = parseSslMode(parts.searchParams.get('sslmode'));
  if (typeof sslMode === 'object') return sslMode;
  const decoded = [parts.hostname, parts.username, parts.password, parts.pathname.slice(1)].map(decode);
  const [host, user, password, database] = decoded;
  if (!host || user === undefined || password === undefined || database === undefined) {
    return { problem: 'a % must be followed by two hexadecimal digits; write a literal one as %25' };
  }
  const result = {
    host: host.replace(/^\[(.*)\]$/, '$1'),
    port: parts.port === '' ? DEFAULT_PORT : Number(parts.port),
    user,
    database: database === '' ? user : database,
    sslMode,
  };
  return Object.defineProperty(result, 'password', { value: password === '' ? undefined : password }) as PostgresUrl;
}

function parseSslMode(text: string | null): SslMode | undefined | PostgresUrlProblem {
  switch (text) {
    case null:
      return undefined;
    case 'disable':
    case 'allow':
    case 'prefer':
    case 'require':
      return text;
    case 'verify-ca':
    case 'verify-full':
      return {
        problem: `sslmode=${text} is not accepted, set ELECTRIC_DATABASE_CA_CERTIFICATE_FILE to verify the server`,
      };
    default:
      return { problem: 'sslmode must be disable, allow, prefer or require' };
  }
}

/** The parser only says that it cannot read it; these two are the usual reasons. */
function whyUnreadable(text: string): string {
  const authority = /^[a-z]+:\/\/([^/]*)/i.exec(text)?.[1];
  if (authority === undefined) return FORM;
  if (/(^|@)(:\d*)?$/.test(authority)) return 'a host is required';
  return `${FORM}, with / ? # and @ in user name and password written as %2F %3F %23 and %40`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
