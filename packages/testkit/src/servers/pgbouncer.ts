import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { findServer } from '../install/find-server.ts';
import { startServer, type TestServer } from './server-process.ts';

export interface PgbouncerOptions {
  /** Superuser URL of the server behind it, which trusts everybody on loopback. */
  readonly target: string;
  /** Roles that may connect, beside the one of `target`. */
  readonly users?: readonly string[];
  /** Server connections per database and role. */
  readonly poolSize?: number;
}

/** Starts PgBouncer in transaction mode. Its URL is `target` with another port. Throws SERVER_MISSING where it cannot be had. */
export async function startPgbouncer({ target, users = [], poolSize = 2 }: PgbouncerOptions): Promise<TestServer> {
  const url = new URL(target);
  const at = (port: number) => {
    const pooled = new URL(url);
    pooled.port = String(port);
    return pooled.href;
  };
  // It refuses to be root.
  const asUser = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  return startServer({
    name: 'pgbouncer',
    command: await findServer('pgbouncer'),
    args: (port, dataDir) => {
      const settings = [
        '[databases]',
        `* = host=${url.hostname} port=${url.port}`,
        '[pgbouncer]',
        `listen_addr = 127.0.0.1`,
        `listen_port = ${port}`,
        'unix_socket_dir =',
        'pool_mode = transaction',
        `default_pool_size = ${poolSize}`,
        'auth_type = trust',
        `auth_file = ${join(dataDir, 'users.txt')}`,
        '',
      ];
      writeFileSync(join(dataDir, 'pgbouncer.ini'), settings.join('\n'));
      writeFileSync(join(dataDir, 'users.txt'), [url.username, ...users].map((user) => `"${user}" ""\n`).join(''));
      return [...asUser, join(dataDir, 'pgbouncer.ini')];
    },
    openDir: true,
    url: at,
    probe: (port) => answers(at(port)),
  });
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } finally {
    await client.end();
  }
}
