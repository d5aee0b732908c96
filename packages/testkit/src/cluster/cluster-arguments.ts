import { parseArgs } from 'node:util';
import { EDGE_KINDS, type EdgeKind } from '../servers/edge.ts';
import { REDIS_KINDS, type RedisKind } from './cluster-servers.ts';

export const CLUSTER_USAGE = `Usage: npm run cluster -- [options]

Runs a whole Shapecast installation on this machine and stops it on Ctrl-C.

  --routers N          router processes (default 2)
  --apis N             API processes behind the load balancer (default 2)
  --replicators N      replicator processes, of which one leads (default 2)
  --nats N             NATS servers: 1, or 3 that replicate to each other (default 1)
  --redis KIND         single; replica: with one replica; sentinel: the same with three sentinels; cluster: three masters (default single)
  --edge KIND          a caching proxy before the load balancer: nginx or varnish, as configured in deploy/edge (default: none)
  --database-url URL   Postgres to replicate from, with wal_level=logical (default: starts one, thrown away at the end)
  --sources FILE       runs the sources of FILE (sources.yaml), followed while it runs; one without a URL gets an own database
  --ready-file FILE    JSON with all URLs and process ids, written when the cluster is ready
  --port P             port of the load balancer on 127.0.0.1 (default: a free one)
  --log-dir DIR        one log file per process (default: .shapecast/logs/cluster-<pid>)
  --verbose            write the services' logs to standard error instead
  --help               this text`;

/** What the command line asks for. */
export interface ClusterArguments {
  readonly routers: number;
  readonly apis: number;
  readonly replicators: number;
  readonly nats: 1 | 3;
  readonly redis: RedisKind;
  readonly edge: EdgeKind | undefined;
  readonly databaseUrl: string | undefined;
  readonly sources: string | undefined;
  readonly readyFile: string | undefined;
  readonly port: number | undefined;
  readonly logDir: string | undefined;
  readonly verbose: boolean;
  readonly help: boolean;
}

/** Parses the command line; throws an Error with one sentence for people when something in it is wrong. */
export function parseClusterArguments(args: readonly string[]): ClusterArguments {
  const { values } = parseArgs({
    args: [...args],
    strict: true,
    allowPositionals: false,
    options: {
      routers: { type: 'string', default: '2' },
      apis: { type: 'string', default: '2' },
      replicators: { type: 'string', default: '2' },
      nats: { type: 'string', default: '1' },
      redis: { type: 'string', default: 'single' },
      edge: { type: 'string' },
      'database-url': { type: 'string' },
      sources: { type: 'string' },
      'ready-file': { type: 'string' },
      port: { type: 'string' },
      'log-dir': { type: 'string' },
      verbose: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const databaseUrl = values['database-url'];
  if (databaseUrl !== undefined && !/^postgres(ql)?:\/\/[^/]+\/./.test(databaseUrl)) {
    throw new Error('--database-url must look like postgresql://user:password@host:port/database');
  }
  const nats = ([1, 3] as const).find((count) => String(count) === values.nats);
  if (nats === undefined) throw new Error(`--nats must be 1 or 3, not '${values.nats}'`);
  const redis = REDIS_KINDS.find((kind) => kind === values.redis);
  if (redis === undefined) throw new Error(`--redis must be one of ${REDIS_KINDS.join(', ')}, not '${values.redis}'`);
  const edge = EDGE_KINDS.find((kind) => kind === values.edge);
  if (values.edge !== undefined && edge === undefined) {
    throw new Error(`--edge must be ${EDGE_KINDS.join(' or ')}, not '${values.edge}'`);
  }
  for (const name of ['ready-file', 'log-dir', 'sources'] as const) {
    if (values[name] === '') throw new Error(`--${name} must not be empty`);
  }
  return {
    routers: wholeNumber('--routers', values.routers, 1, 100),
    apis: wholeNumber('--apis', values.apis, 1, 100),
    replicators: wholeNumber('--replicators', values.replicators, 1, 100),
    nats,
    redis,
    edge,
    databaseUrl,
    sources: values.sources,
    readyFile: values['ready-file'],
    port: values.port === undefined ? undefined : wholeNumber('--port', values.port, 1, 65_535),
    logDir: values['log-dir'],
    verbose: values.verbose,
    help: values.help,
  };
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Error(`${name} must be a whole number from ${min} to ${max}, not '${text}'`);
}
