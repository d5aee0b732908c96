import { readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { CLUSTER_USAGE, parseClusterArguments, type ClusterArguments } from '../cluster/cluster-arguments.ts';
import { ReadyFile } from '../cluster/ready-file.ts';
import { startCluster, type Cluster, type ClusterOptions } from '../cluster/start-cluster.ts';
import { CACHE_DIR } from '../install/project-root.ts';
import { whenNpmGone } from '@shapecast/service-kit';

/**
 * `npm run cluster`: servers, services and a load balancer on this machine until SIGTERM or SIGINT. Exits 0 after a stop,
 * 1 when the cluster cannot be started, 2 when the arguments are wrong. When it is killed with SIGKILL, a small shell per
 * child ends what it started. `overrides` is for tests.
 */
export async function clusterProgram(argv: readonly string[], overrides: ClusterOptions = {}): Promise<void> {
  const args = readArguments(argv);
  // Whoever reads our output may be gone before we are.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});

  const logDir = resolve(args.logDir ?? join(CACHE_DIR, 'logs', `cluster-${process.pid}`));
  const stopping = new AbortController();
  const readyFile = args.readyFile === undefined ? undefined : new ReadyFile(resolve(args.readyFile));
  const sources = args.sources === undefined ? undefined : resolve(args.sources);
  if (sources !== undefined)
    await readFile(sources).catch((error: unknown) => refuse(`--sources cannot be read: ${textOf(error)}`));
  await readyFile?.prepare().catch((error: unknown) => refuse(`--ready-file cannot be written: ${textOf(error)}`));
  const writeReadyFile = async (cluster: Cluster): Promise<void> => {
    await readyFile?.write(cluster).catch((error: unknown) => console.error(`ready file: ${textOf(error)}`));
  };
  let cluster: Cluster | undefined;

  const stop = async (): Promise<void> => {
    await readyFile?.remove();
    await cluster?.stop();
    if (args.logDir === undefined) await rm(logDir, { recursive: true, force: true });
    console.log('stopped');
    process.exit(0);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    // The second one is from somebody who does not want to wait; the guards end the children.
    if (stopping.signal.aborted) process.exit(1);
    console.log(`${signal}: stopping`);
    stopping.abort(new Error('stopped'));
    if (cluster !== undefined) void stop();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('SIGHUP', onSignal);
  whenNpmGone(process.env, () => onSignal('SIGTERM'));

  // Before it is used, so that no change is missed.
  const before = sources === undefined ? undefined : await readFile(sources, 'utf8').catch(() => undefined);
  try {
    cluster = await startCluster({
      ...overrides,
      routers: args.routers,
      apis: args.apis,
      replicators: args.replicators,
      nats: args.nats,
      redis: args.redis,
      logDir,
      signal: stopping.signal,
      ...(sources === undefined ? {} : { sources }),
      ...(args.edge === undefined ? {} : { edge: args.edge }),
      ...(args.databaseUrl === undefined ? {} : { databaseUrl: args.databaseUrl }),
      ...(args.port === undefined ? {} : { port: args.port }),
      ...(args.verbose ? { onLog: (name: string, line: string) => console.error(`[${name}] ${line}`) } : {}),
      onEvent: (event) => {
        console.log(event);
        if (cluster !== undefined && !stopping.signal.aborted) void writeReadyFile(cluster);
      },
    });
  } catch (error) {
    if (stopping.signal.aborted) return await stop();
    console.error(`The cluster did not start: ${textOf(error)}\nIts logs are in ${logDir}`);
    process.exit(1);
  }
  if (stopping.signal.aborted) return await stop();
  await writeReadyFile(cluster);
  if (sources !== undefined) {
    const file = { path: sources, taken: before };
    void followSources(cluster, file, () => writeReadyFile(cluster), stopping.signal);
  }
  console.log(describe(cluster, args.verbose ? undefined : logDir));
}

const SOURCES_POLL_MS = 500;

/** Takes over what becomes of the file of sources. */
async function followSources(
  cluster: Cluster,
  file: { readonly path: string; readonly taken: string | undefined },
  onTaken: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let { taken } = file;
  while (!signal.aborted) {
    await new Promise((done) => setTimeout(done, SOURCES_POLL_MS).unref());
    const text = await readFile(file.path, 'utf8').catch(() => undefined);
    if (text === undefined || text === taken || signal.aborted) continue;
    try {
      await cluster.writeSources(file.path);
      await onTaken();
      taken = text;
      console.log('the sources file has changed');
    } catch (error) {
      console.error(`the sources file has changed, and could not be taken over: ${textOf(error)}`);
      taken = text;
    }
  }
}

function readArguments(argv: readonly string[]): ClusterArguments {
  try {
    const args = parseClusterArguments(argv);
    if (!args.help) return args;
    console.log(CLUSTER_USAGE);
    process.exit(0);
  } catch (error) {
    refuse(textOf(error));
  }
}

function refuse(problem: string): never {
  console.error(`${problem}\n\n${CLUSTER_USAGE}`);
  process.exit(2);
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function describe(cluster: Cluster, logDir: string | undefined): string {
  const { url, edgeUrl } = cluster;
  if (cluster.adminUrl !== undefined) return describeSources(cluster, logDir);
  return `
Ready.

${edgeUrl === undefined ? '' : `  Edge      ${edgeUrl} (${cluster.server('edge').name})\n`}  API       ${url}
  Postgres  ${cluster.databaseUrl}
  NATS      ${cluster.natsUrl}
  Redis     ${cluster.redisUrl}
${logDir === undefined ? '' : `  Logs      ${logDir}\n`}
Make a table, then read it as a shape:

  psql '${cluster.databaseUrl}' -c "CREATE TABLE items (id int PRIMARY KEY, name text); INSERT INTO items VALUES (1, 'first')"
  curl -i '${edgeUrl ?? url}/v1/shape?table=items&offset=-1'

Ctrl-C stops everything.`;
}

function describeSources(cluster: Cluster, logDir: string | undefined): string {
  const { url, edgeUrl, sources, adminUrl, adminToken } = cluster;
  const each = sources.map(({ id, secret, databaseUrl }) => {
    const query = `source_id=${id}${secret === undefined ? '' : `&secret=${secret}`}`;
    return `  ${id}\n    Postgres  ${databaseUrl}\n    Shapes    ${edgeUrl ?? url}/v1/shape?${query}&table=...&offset=-1`;
  });
  return `
Ready.

${edgeUrl === undefined ? '' : `  Edge      ${edgeUrl} (${cluster.server('edge').name})\n`}  API       ${url}
  Admin     ${adminUrl} (token ${adminToken})
  NATS      ${cluster.natsUrl}
  Redis     ${cluster.redisUrl}
${logDir === undefined ? '' : `  Logs      ${logDir}\n`}
Sources:

${each.join('\n')}

Ctrl-C stops everything.`;
}
