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

/**
 * Major version of the servers that tests start without naming one: SHAPECAST_TEST_POSTGRES, else the newest. So
 * `SHAPECAST_TEST_POSTGRES=14 npm test` runs the whole suite on 14.
 */
export function defaultPostgresMajor(env: NodeJS.ProcessEnv = process.env): number {
  const wanted = env['SHAPECAST_TEST_POSTGRES'];
  if (wanted === undefined || wanted === '') return DEFAULT_MAJOR;
  const major = Number(wanted);
  if (!Number.isInteger(major)) throw new Error(`SHAPECAST_TEST_POSTGRES is a major version such as 14, not ${wanted}`);
  return major;
}

/** Starts a throw-away Postgres; majors 14 to 17 are installed into the project's cache on first use. */
export async function startPostgres(options: LocalPostgresOptions = {}): Promise<TestPostgres> {
  const server = await startLocalPostgres({ ...options, ...(await chosenBinaries(options)) });
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

/** The programs of the wanted version; nothing to add where npm's own, or given ones, are meant. */
async function chosenBinaries(options: LocalPostgresOptions): Promise<Partial<LocalPostgresOptions>> {
  if (options.binaries !== undefined) return {};
  const version = options.version ?? defaultPostgresMajor();
  return version === DEFAULT_MAJOR ? {} : { version, binaries: await postgresBinaries(version) };
}
