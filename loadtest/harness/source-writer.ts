import { Client } from 'pg';
import { addTo, type Histogram } from '../lib/histogram.ts';
import type { WritePhase, WriterPlan } from '../lib/plan.ts';
import { createTable, insertEnds, insertRows, totals } from './rows-table.ts';

/** Postgres commits one transaction of a connection after the other; several keep it busy. */
const CONNECTIONS = 4;
/** Transactions that may wait for a connection; at the bound they are dropped and counted, so that memory stays bounded. */
const MAX_WAITING = 10_000;
const TICK_MS = 5;
const ENDS_AT_ONCE = 1_000;

interface Transaction {
  readonly channel: number;
  readonly count: number;
  readonly dueMs: number;
}

/**
 * Writes the rows of one source at the rate of its plan, whether or not those before have been committed. All rows of a channel go over
 * the same connection, so that their sequence is the order of their commits, and each carries the clock of the moment it was sent.
 */
export class SourceWriter {
  readonly plan: WriterPlan;
  written = 0;
  dropped = 0;
  /** Milliseconds from when a transaction was due until it was sent: what the writer could not keep up with. */
  readonly lateness: Histogram = {};
  /** Rows by second of the epoch. */
  readonly perSecond = new Map<number, number>();
  readonly #clients: readonly Client[];
  readonly #queues: Transaction[][];
  readonly #busy: boolean[];
  readonly #seqs: number[];
  /** Channels that have no last row yet. */
  readonly #open: Set<number>;
  #failure: unknown;
  #idle = Promise.withResolvers<void>();

  private constructor(plan: WriterPlan, clients: readonly Client[]) {
    this.plan = plan;
    this.#clients = clients;
    this.#queues = clients.map(() => []);
    this.#busy = clients.map(() => false);
    this.#seqs = Array.from({ length: plan.channels }, () => plan.rowsBefore);
    this.#open = new Set(this.#seqs.keys());
  }

  static async open(plan: WriterPlan, databaseUrl: string): Promise<SourceWriter> {
    const clients = Array.from({ length: Math.min(CONNECTIONS, plan.channels) }, () => {
      const client = new Client({ connectionString: databaseUrl, application_name: 'shapecast-loadtest' });
      // Of a connection that is idle when its server goes; the next statement fails as well.
      client.on('error', () => {});
      return client;
    });
    await Promise.all(clients.map((client) => client.connect()));
    await createTable(clients[0] as Client, plan);
    const writer = new SourceWriter(plan, clients);
    await writer.#end([...writer.#open].filter((channel) => !writer.#isWritten(channel, 0)));
    return writer;
  }

  /** Goes through all phases; resolves once everything is committed, the last row of each channel included. */
  async run(signal: AbortSignal): Promise<void> {
    for (const [i, phase] of this.plan.phases.entries()) {
      await this.#phase(phase, signal);
      await this.#drained();
      await this.#end([...this.#open].filter((channel) => !this.#isWritten(channel, i + 1)));
    }
  }

  async totals(): Promise<(readonly [rows: number, check: number])[]> {
    return totals(this.#clients[0] as Client, this.plan.channels);
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.end()));
  }

  async #phase(phase: WritePhase, signal: AbortSignal): Promise<void> {
    const { seconds, perSecond, together = 1 } = phase;
    const channels = channelsOf(phase, this.plan.channels);
    const startMs = Date.now();
    const transactions = Math.floor((seconds * perSecond) / together);
    const everyMs = (1_000 * together) / Math.max(perSecond, Number.MIN_VALUE);
    let next = 0;
    while (Date.now() < startMs + seconds * 1_000) {
      signal.throwIfAborted();
      if (this.#failure !== undefined) throw this.#failure as Error;
      for (; next < transactions && startMs + next * everyMs <= Date.now(); next += 1) {
        const channel = channels[next % channels.length] as number;
        this.#enqueue({ channel, count: together, dueMs: startMs + next * everyMs });
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
  }

  #enqueue(transaction: Transaction): void {
    const connection = transaction.channel % this.#clients.length;
    const queue = this.#queues[connection] as Transaction[];
    if (queue.length >= MAX_WAITING) {
      this.dropped += transaction.count;
      return;
    }
    queue.push(transaction);
    if (!this.#busy[connection]) void this.#send(connection);
  }

  async #send(connection: number): Promise<void> {
    const queue = this.#queues[connection] as Transaction[];
    this.#busy[connection] = true;
    try {
      // Taken off the front in blocks: shifting a long array one by one would cost its length each time.
      while (queue.length > 0 && this.#failure === undefined) {
        for (const transaction of queue.splice(0, 100)) await this.#insert(connection, transaction);
      }
    } catch (error) {
      this.#failure ??= error;
    } finally {
      this.#busy[connection] = false;
      if (!this.#busy.includes(true)) this.#idle.resolve();
    }
  }

  async #insert(connection: number, { channel, count, dueMs }: Transaction): Promise<void> {
    const writtenMs = Date.now();
    const seq = (this.#seqs[channel] as number) + 1;
    const pad = 'x'.repeat(this.plan.padBytes);
    await insertRows(this.#clients[connection] as Client, { channel, seq, writtenMs, pad, count });
    this.#seqs[channel] = seq + count - 1;
    addTo(this.lateness, writtenMs - dueMs);
    this.written += count;
    const second = Math.floor(writtenMs / 1_000);
    this.perSecond.set(second, (this.perSecond.get(second) ?? 0) + count);
  }

  async #drained(): Promise<void> {
    while (this.#busy.includes(true)) {
      this.#idle = Promise.withResolvers();
      await this.#idle.promise;
    }
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  #isWritten(channel: number, fromPhase: number): boolean {
    const { phases, channels: all } = this.plan;
    return phases
      .slice(fromPhase)
      .some(({ channels: [first, count] = [0, all] }) => channel >= first && channel < first + count);
  }

  async #end(channels: readonly number[]): Promise<void> {
    for (let i = 0; i < channels.length; i += ENDS_AT_ONCE) {
      const ends = channels.slice(i, i + ENDS_AT_ONCE).map((channel) => {
        const seq = (this.#seqs[channel] as number) + 1;
        this.#seqs[channel] = seq;
        this.#open.delete(channel);
        return { channel, seq };
      });
      await insertEnds(this.#clients[0] as Client, ends);
    }
  }
}

function channelsOf({ channels }: WritePhase, all: number): number[] {
  const [first, count] = channels ?? [0, all];
  return Array.from({ length: count }, (_, i) => first + i);
}
