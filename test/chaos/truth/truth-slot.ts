import { parseLsn } from '@shapecast/log';
import { Client } from 'pg';
import { pause, withClient } from '../writers/connection.ts';
import { TRUTH } from '../model/tables.ts';
import { TransactionDecoder } from './pgoutput.ts';
import { LostCount, type TrueTransaction, type Truth } from './truth.ts';

const ASK_MS = 150;
const RETRY_MS = 150;

export async function createTruthSlot(databaseUrl: string): Promise<void> {
  await withClient(databaseUrl, (client) =>
    client.query(`select pg_create_logical_replication_slot('${TRUTH}', 'pgoutput')`),
  );
}

export interface TruthListener {
  /** One more transaction is known. */
  readonly onTransaction: (transaction: TrueTransaction) => void;
  /** The truth is known further. */
  readonly onAdvance: () => void;
}

/** Streams the slot of the checker into the truth until the signal aborts, whatever happens to the server meanwhile. */
export async function followTruth(
  databaseUrl: string,
  truth: Truth,
  listener: TruthListener,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await new TruthSession(truth, listener).run(databaseUrl, signal);
    } catch (error) {
      if (error instanceof LostCount) throw error;
      await pause(RETRY_MS, signal);
    }
  }
}

/** What `pg` has and its types do not tell: the messages of a connection that streams. */
interface CopyConnection {
  on(event: 'copyData', listener: (message: { readonly chunk: Buffer }) => void): void;
  sendCopyFromChunk(chunk: Buffer): void;
}

/** One connection to the slot. Asks again and again how far the server has got, for silence says nothing. */
class TruthSession {
  readonly #truth: Truth;
  readonly #listener: TruthListener;
  readonly #decoder = new TransactionDecoder();
  /** Everything before it was received. */
  #received = 0n;

  constructor(truth: Truth, listener: TruthListener) {
    this.#truth = truth;
    this.#listener = listener;
  }

  async run(connectionString: string, signal: AbortSignal): Promise<void> {
    const client = new Client({ connectionString, replication: 'database', connectionTimeoutMillis: 5_000 } as object);
    const { promise: ended, reject: fail } = Promise.withResolvers<never>();
    client.on('error', fail);
    client.on('end', () => fail(new Error('the connection ended')));
    const leave = (): void => fail(new Error('the run is over'));
    signal.addEventListener('abort', leave, { once: true });
    let asking: NodeJS.Timeout | undefined;
    try {
      await Promise.race([client.connect(), ended]);
      const { connection } = client as unknown as { readonly connection: CopyConnection };
      connection.on('copyData', ({ chunk }) => {
        try {
          this.#take(chunk);
        } catch (error) {
          fail(error);
        }
      });
      const options = `proto_version '1', publication_names '${TRUTH}'`;
      const streaming = client.query(`START_REPLICATION SLOT ${TRUTH} LOGICAL 0/0 (${options})`);
      asking = setInterval(() => connection.sendCopyFromChunk(status(this.#received)), ASK_MS);
      await Promise.race([streaming, ended]);
    } finally {
      clearInterval(asking);
      signal.removeEventListener('abort', leave);
      ended.catch(() => undefined);
      // It would wait for the server to end the stream.
      (
        client as unknown as { readonly connection: { readonly stream: { destroy(): void } } }
      ).connection.stream.destroy();
    }
  }

  #take(chunk: Buffer): void {
    const kind = String.fromCharCode(chunk.readUInt8(0));
    if (kind === 'k') {
      const end = chunk.readBigUInt64BE(1);
      if (end > this.#received) this.#received = end;
      this.#truth.advance(end - 1n);
      return this.#listener.onAdvance();
    }
    if (kind !== 'w') return;
    const decoded = this.#decoder.decode(chunk.subarray(25));
    if (decoded === undefined) return;
    const transaction = this.#truth.apply(decoded);
    if (decoded.endLsn > this.#received) this.#received = decoded.endLsn;
    if (transaction !== undefined) this.#listener.onTransaction(transaction);
    this.#listener.onAdvance();
  }
}

/** A status update that asks for an answer. */
function status(received: bigint): Buffer {
  const message = Buffer.alloc(34);
  message.write('r');
  for (const at of [1, 9, 17]) message.writeBigUInt64BE(received, at);
  message.writeUInt8(1, 33);
  return message;
}

export interface ServerProgress {
  /** By `performance.now()`, before the server was asked. */
  readonly askedAt: number;
  /** Everything that had been committed then commits below it. */
  readonly flushed: bigint;
  /** What the service told Postgres about its slot; undefined while there is none. */
  readonly confirmed: bigint | undefined;
}

/** Asks the server how far it is, again and again, until the signal aborts. */
export async function followProgress(
  databaseUrl: string,
  onProgress: (progress: ServerProgress) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await withClient(databaseUrl, async (client) => {
      while (!signal.aborted) {
        const askedAt = performance.now();
        const { rows } = await client.query<{ flushed: string; confirmed: string | null }>(
          `select pg_current_wal_flush_lsn() as flushed,
             (select confirmed_flush_lsn from pg_replication_slots where slot_name like 'electric\\_slot\\_%') as confirmed`,
        );
        const [row] = rows;
        const flushed = parseLsn(row?.flushed ?? '');
        if (flushed !== undefined) await onProgress({ askedAt, flushed, confirmed: parseLsn(row?.confirmed ?? '') });
        await pause(ASK_MS, signal);
      }
    }).catch(() => pause(RETRY_MS, signal));
  }
}
