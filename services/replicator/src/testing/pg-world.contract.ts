import { randomBytes } from 'node:crypto';
import {
  openPgChangeSource,
  openPgSourceDatabase,
  runStatements,
  type PgChangeSourceOptions,
  type PgSourceDatabaseOptions,
} from '@shapecast/change-source';
import { openNatsMessaging, type Messaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { createDatabase, sharedPostgresUrl, waitFor } from '@shapecast/testkit';
import { createReplicator, type Replicator, type ReplicatorSettings } from '../replicator.ts';
import type { SessionGate } from '../session-gate.ts';
import { FaultyConnection } from './faulty-stream.ts';
import { readContent, type StreamContent } from './stream-check.ts';

const deps = { clock: systemClock, log: silentLogger };

interface StartedReplicator {
  readonly replicator: Replicator;
  readonly connection: FaultyConnection;
  /** As SIGKILL: nothing of it reaches NATS any more, and Postgres sees its connection end. */
  kill(): Promise<void>;
}

/** A Postgres database with a table `items(id int primary key, note text)`, a NATS server, and any number of replicators. */
export interface PgWorld {
  readonly source: string;
  readonly slotName: string;
  readonly publicationName: string;
  readonly url: string;
  readonly messaging: Messaging;
  /** `url`: of the database as another server has it. */
  start(holder: string, settings?: Partial<ReplicatorSettings>, url?: string): Promise<StartedReplicator>;
  /** Runs each statement in a transaction of its own. */
  sql(...statements: string[]): Promise<void>;
  /** Rows of a query. */
  ask(text: string): Promise<readonly Record<string, unknown>[]>;
  /** Publishes the table: changes made from now on are replicated. */
  publish(table?: string): Promise<void>;
  content(incarnation?: number): Promise<StreamContent>;
  /** First cells of all inserted rows in the stream, in order, of transactions that are complete. */
  insertedIds(incarnation?: number): Promise<number[]>;
  stop(): Promise<void>;
}

export interface PgWorldOptions {
  /** A server of the test's own. */
  readonly adminUrl?: string;
  readonly source?: Partial<PgChangeSourceOptions>;
  readonly database?: Partial<PgSourceDatabaseOptions>;
  /** Of the tx streams; one copy of 256 MiB unless given. */
  readonly streamReplicas?: number;
  readonly streamMaxBytes?: number;
  /** Holders that pipeline at once on a NATS cluster: as those do that have led for a while. */
  readonly pipelining?: readonly string[];
  /** By holder. */
  readonly gates?: Readonly<Record<string, SessionGate>>;
}

export async function openPgWorld(natsUrl: string, options: PgWorldOptions = {}): Promise<PgWorld> {
  const database = await createDatabase(options.adminUrl ?? sharedPostgresUrl());
  await runStatements(database.url, ['create table items (id int primary key, note text)']);
  const id = randomBytes(6).toString('hex');
  const source = `test_${id}`;
  const slotName = `slot_${id}`;
  const publicationName = `publication_${id}`;
  const abort = new AbortController();
  const { streamReplicas = 1, streamMaxBytes = 256 * 1024 ** 2 } = options;
  const openMessaging = () => openNatsMessaging({ url: natsUrl, streamMaxBytes, streamReplicas }, deps, abort.signal);
  const messaging = await openMessaging();
  const sourceDatabase = openPgSourceDatabase({ url: database.url, publicationName, ...options.database }, deps);
  const closing: (() => Promise<void>)[] = [];

  const content = async (incarnation = 1): Promise<StreamContent> => {
    const stream = await messaging.txStreams.open({ source, incarnation });
    if (!stream) throw new Error(`there is no stream of incarnation ${incarnation}`);
    return readContent(stream);
  };

  return {
    source,
    slotName,
    publicationName,
    url: database.url,
    messaging,
    content,
    async start(holder, settings = {}, url = database.url) {
      const own = await openMessaging();
      const connection = new FaultyConnection(own);
      if (options.pipelining?.includes(holder)) connection.fencesPipelines = true;
      const replicator = createReplicator(
        {
          ...deps,
          source: connection.source(
            openPgChangeSource({ url, slotName, publicationName, lockPollMs: 20, ...options.source }, deps),
          ),
          database: url === database.url ? sourceDatabase : openPgSourceDatabase({ url, publicationName }, deps),
          messaging: connection.messaging,
          ...(options.gates?.[holder] && { gate: options.gates[holder] }),
        },
        {
          sourceId: source,
          holder,
          slotName,
          confirmDelayMs: 0,
          progressIntervalMs: 50,
          progressMaxIntervalMs: 500,
          heartbeatMs: 200,
          retryMinMs: 20,
          retryMaxMs: 200,
          drainMs: 500,
          ...settings,
        },
      );
      closing.push(async () => {
        await replicator.stop();
        await own.close();
      });
      await replicator.start(abort.signal);
      const kill = async (): Promise<void> => {
        connection.kill();
        // As the kernel would: Postgres sees the connection close.
        await runStatements(database.url, [
          `select pg_terminate_backend(pid) from pg_stat_activity
            where datname = current_database() and backend_type = 'walsender'`,
        ]);
      };
      return { replicator, connection, kill };
    },
    sql: async (...statements) => void (await runStatements(database.url, statements)),
    ask: (text) => runStatements(database.url, [text]),
    async publish(table = 'items') {
      const info = await sourceDatabase.introspect('public', table, abort.signal);
      if (!info) throw new Error(`there is no table ${table}`);
      await waitFor(async () =>
        sourceDatabase.publish({ oid: info.oid, schema: 'public', name: table }, abort.signal).then(
          () => true,
          () => false,
        ),
      );
    },
    async insertedIds(incarnation) {
      const { transactions } = await content(incarnation);
      return transactions
        .filter((transaction) => transaction.complete)
        .flatMap((transaction) => transaction.changes)
        .flatMap((change) => (change.kind === 'insert' ? [Number(change.new[0])] : []));
    },
    async stop() {
      await Promise.all(closing.map((close) => close()));
      abort.abort(new Error('the test is over'));
      await messaging.close();
      await sourceDatabase.close();
      // A server that the test stopped for good has nothing left to clean up.
      await database.drop().catch((error: unknown) => {
        if (options.adminUrl === undefined) throw error;
      });
    },
  };
}
