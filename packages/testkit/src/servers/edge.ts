import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { signalAll } from '@shapecast/local-postgres';
import { findServer } from '../install/find-server.ts';
import { PROJECT_ROOT } from '../install/project-root.ts';
import { runTool } from '../install/run-tool.ts';
import { startServer, type TestServer } from './server-process.ts';

export const EDGE_KINDS = ['nginx', 'varnish'] as const;
export type EdgeKind = (typeof EDGE_KINDS)[number];

export interface EdgeOptions {
  readonly kind: EdgeKind;
  /** Base URL of what it caches. */
  readonly origin: string;
  /** Loopback port to listen on; a free one when unset. */
  readonly port?: number;
  /** Of the API: tokens of users are checked in front of the cache (nginx only). */
  readonly secret?: string;
}

/** A caching proxy with the configuration of `deploy/edge`, as it is shipped. */
export interface Edge extends TestServer {
  readonly kind: EdgeKind;
  /** What it wrote so far; for nginx one line per request, at most a second late. */
  logs(): Promise<string>;
  /** Reads its configuration again, as after a change of it. Requests go on and nothing is forgotten. */
  reload(): Promise<void>;
}

/** Starts nginx or Varnish before an origin; resolves once it answers. Throws SERVER_MISSING where it cannot be had. */
export async function startEdge({ kind, origin, port, secret }: EdgeOptions): Promise<Edge> {
  const program = await findServer(kind === 'nginx' ? 'nginx' : 'varnishd');
  const server = await startServer(
    {
      name: kind,
      command: '/bin/sh',
      args: () => [join(PROJECT_ROOT, 'deploy', 'edge', kind, 'start.sh')],
      env: (listen, dataDir) => ({
        SHAPECAST_EDGE_ORIGIN: new URL(origin).host,
        SHAPECAST_EDGE_LISTEN: `127.0.0.1:${listen}`,
        SHAPECAST_EDGE_DIR: dataDir,
        SHAPECAST_EDGE_STORAGE: 'malloc,128m',
        [kind === 'nginx' ? 'NGINX' : 'VARNISHD']: program,
        ...(secret === undefined ? {} : { SHAPECAST_EDGE_SECRET: encodeURIComponent(secret) }),
      }),
      // Their children must go too.
      guardSignal: 'SIGTERM',
      // Started by root, both do their work as a user who could not enter the folder otherwise.
      openDir: true,
      url: (listen) => `http://127.0.0.1:${listen}`,
      probe: async (listen) => (await fetch(`http://127.0.0.1:${listen}/edge/health`)).ok,
    },
    undefined,
    port,
  );
  return Object.assign(server, {
    kind,
    logs: () => readFile(join(server.dataDir, 'server.log'), 'utf8'),
    reload: async () => {
      if (server.pid === undefined) throw new Error(`${kind} does not run`);
      if (kind === 'nginx') return signalAll([server.pid], 'SIGHUP');
      const name = `reload-${process.hrtime.bigint()}`;
      const admin = (...args: string[]): Promise<string> =>
        runTool('varnishadm', ['-n', join(server.dataDir, 'varnish'), ...args]);
      await admin('vcl.load', name, join(server.dataDir, 'default.vcl'));
      await admin('vcl.use', name);
    },
  });
}
