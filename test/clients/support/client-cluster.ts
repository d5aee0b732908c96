import { Client } from 'pg';
import { startCluster, type Cluster, type ClusterOptions } from '@shapecast/testkit';

/** What every cluster of these tests is started with: waits short enough to see several of them. */
const SHORT_WAITS = {
  ELECTRIC_LONG_POLL_TIMEOUT: '2000',
  ELECTRIC_ENABLE_INTEGRATION_TESTING: 'true',
  SHAPECAST_SSE_TIMEOUT: '3000',
};

/** For tests of a library, to which it is all the same who answers: one process of each kind. */
export const ONE_OF_EACH: ClusterOptions = { replicators: 1, routers: 1, apis: 1 };

/** A cluster, a connection to its database, and the signal that ends every client of the test file. */
export interface ClientCluster {
  readonly cluster: Cluster;
  readonly db: Client;
  /** For `ShapeStream`: the shape endpoint behind the load balancer. */
  readonly shapeUrl: string;
  /** Aborted by `stop`, before the cluster goes. */
  readonly signal: AbortSignal;
  stop(): Promise<void>;
}

/** Starts it with these tables; two processes of each kind unless `options` says otherwise. */
export async function startClientCluster(tables: string, options: ClusterOptions = {}): Promise<ClientCluster> {
  const cluster = await startCluster({ ...options, env: { ...SHORT_WAITS, ...options.env } });
  const db = await connect(cluster.databaseUrl);
  await db.query(tables);
  const end = new AbortController();
  return {
    cluster,
    db,
    shapeUrl: `${cluster.url}/v1/shape`,
    signal: end.signal,
    async stop() {
      end.abort();
      await db.end();
      await cluster.stop();
    },
  };
}

/** A connection that a test may lose: what happens to it meanwhile shows at the next query. */
export async function connect(databaseUrl: string): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Runs `work` in a transaction and resolves with its id as clients see it: 32 bits, a number (CL-9, CL-22). */
export async function inTransaction(db: Client, work: (db: Client) => Promise<unknown>): Promise<number> {
  await db.query('begin');
  try {
    await work(db);
    const { rows } = await db.query<{ txid: string }>('select pg_current_xact_id()::xid::text as txid');
    await db.query('commit');
    return Number(rows[0]?.txid);
  } catch (error) {
    await db.query('rollback');
    throw error;
  }
}
