import {
  childrenOf,
  DEFAULT_MAJOR,
  signalAll,
  startLocalPostgres,
  type LocalPostgresOptions,
} from '@shapecast/local-postgres';
import { postgresBinaries } from '../install/postgres-majors.ts';
import type { TestServer } from './server-process.ts';

export interface TestPostgres extends TestServer {
  /** Such as `18.4`. */
  readonly version: string;
}

/** Starts a throw-away Postgres; majors 14 to 17 are installed into the project's cache on first use. */
export async function startPostgres(options: LocalPostgresOptions = {}): Promise<TestPostgres> {
  const { version = DEFAULT_MAJOR } = options;
  const binaries = options.binaries ?? (version === DEFAULT_MAJOR ? undefined : await postgresBinaries(version));
  const server = await startLocalPostgres(binaries === undefined ? options : { ...options, binaries });
  /** Pausing the postmaster alone would leave the sessions that exist at work. */
  const signalFamily = async (signal: NodeJS.Signals): Promise<void> => {
    if (server.pid === undefined) return;
    signalAll([server.pid], signal);
    signalAll(await childrenOf(server.pid), signal);
  };
  return {
    url: server.url,
    port: server.port,
    dataDir: server.dataDir,
    version: server.version,
    get pid() {
      return server.pid;
    },
    stop: () => server.stop(),
    kill: () => server.crash(),
    start: () => server.start(),
    pause: () => signalFamily('SIGSTOP'),
    resume: () => signalFamily('SIGCONT'),
  };
}
