import { chmod, chown, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { waitFor } from '../wait-for.ts';
import { runTool } from '../install/run-tool.ts';
import type { TestPostgres } from './postgres.ts';

export interface TlsFiles {
  /** Of the authority that signed the server's certificate. */
  readonly ca: string;
  /** Path of the same. */
  readonly caFile: string;
  /** Of another authority, which signed nothing. */
  readonly wrongCa: string;
}

/**
 * Makes a running server speak TLS, with a certificate of an authority made for it. The certificate is for `name` only. With
 * `required`, connections without TLS are refused.
 */
export async function enableTls(
  server: TestPostgres,
  options: { readonly name?: string; readonly required?: boolean } = {},
): Promise<TlsFiles> {
  const { name = 'localhost', required = false } = options;
  const at = (file: string) => join(server.dataDir, file);
  const caFile = await makeAuthority(at, 'ca');
  const wrongCaFile = await makeAuthority(at, 'wrong-ca');
  await writeFile(at('san.cnf'), `subjectAltName=DNS:${name}\n`);
  await openssl('req', '-new', ...KEY, '-keyout', at('tls.key'), '-out', at('tls.csr'), '-subj', `/CN=${name}`);
  await openssl(
    ...['x509', '-req', '-days', '2', '-in', at('tls.csr'), '-out', at('tls.crt'), '-extfile', at('san.cnf')],
    ...['-CA', caFile, '-CAkey', at('ca.key'), '-set_serial', '1'],
  );
  // The server refuses a key that belongs to somebody else, or that others may read.
  const { uid, gid } = await stat(at('PG_VERSION'));
  for (const file of ['tls.key', 'tls.crt']) await chown(at(file), uid, gid);
  await chmod(at('tls.key'), 0o600);
  if (required) {
    const rules = 'hostssl all all all trust\nhostssl replication all all trust\n';
    await writeFile(at('pg_hba.conf'), rules);
  }
  await reload(server.url, [
    `alter system set ssl_cert_file = 'tls.crt'`,
    `alter system set ssl_key_file = 'tls.key'`,
    'alter system set ssl = on',
  ]);
  return { ca: await readFile(caFile, 'utf8'), caFile, wrongCa: await readFile(wrongCaFile, 'utf8') };
}

const KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

async function makeAuthority(at: (file: string) => string, name: string): Promise<string> {
  const out = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
  await openssl('req', '-x509', '-days', '2', ...KEY, ...out, '-subj', `/CN=${name} of a test`);
  return at(`${name}.crt`);
}

async function openssl(...args: readonly string[]): Promise<void> {
  await runTool('openssl', args);
}

/** The postmaster reads its files some time after it was told to. */
async function reload(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of [...statements, 'select pg_reload_conf()']) await client.query(statement);
  } finally {
    await client.end();
  }
  await waitFor(async () => {
    const secure = new pg.Client({ connectionString: url, ssl: { rejectUnauthorized: false } });
    secure.on('error', () => {});
    try {
      await secure.connect();
      return true;
    } catch {
      return false;
    } finally {
      await secure.end().catch(() => {});
    }
  });
}
