import { Client } from 'pg';
import { waitFor } from '@shapecast/testkit';
import { StrictReader } from './strict-reader.ts';

export interface LoadedSource {
  readonly id: string;
  readonly databaseUrl: string;
  readonly secret: string | undefined;
}

/** Milliseconds from the moment a writer knew that its row was committed until the reader of its source had it. */
export interface Delays {
  readonly rows: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/**
 * One source with a writer and a reader of its own: the writer inserts rows that name the source at a steady rate, the reader
 * follows the table and looks whose rows it is given.
 */
export class SourceLoad {
  readonly id: string;
  readonly #client: Client;
  readonly #reader: StrictReader;
  readonly #stop = new AbortController();
  readonly #committed = new Map<string, number>();
  readonly #running: Promise<unknown>[] = [];
  #delays: number[] = [];
  #seen = 0;
  #foreign = 0;
  #failures: string[] = [];
  #writes = 0;

  private constructor(client: Client, url: string, { id, secret }: LoadedSource) {
    this.id = id;
    this.#client = client;
    const params = { source_id: id, ...(secret === undefined ? {} : { secret }), table: 'items' };
    this.#reader = new StrictReader(url, params);
  }

  /** Resolves once the reader has the row that is there and waits for more. */
  static async start(url: string, source: LoadedSource): Promise<SourceLoad> {
    const client = new Client({ connectionString: source.databaseUrl });
    // Of a connection that is idle when its server goes.
    client.on('error', () => {});
    await client.connect();
    await createItems(client);
    const load = new SourceLoad(client, url, source);
    await load.#insert();
    await waitFor(
      async () => {
        await load.#reader.catchUp(load.#stop.signal);
        return load.#reader.rows.size > 0;
      },
      { describe: () => `${source.id} has no row` },
    );
    load.#arrived();
    load.#delays = [];
    load.#running.push(load.#follow());
    return load;
  }

  /** Rows of other sources that the reader was given. */
  get foreign(): number {
    return this.#foreign;
  }

  get writes(): number {
    return this.#writes;
  }

  get rotations(): number {
    return this.#reader.rotations;
  }

  /** Answers that were none, and what the reader found wrong. */
  get failures(): readonly string[] {
    return [...this.#failures, ...this.#reader.violations];
  }

  /** Writes `perSecond` rows a second, in transactions of `together`, until `signal` aborts. */
  async write(perSecond: number, signal: AbortSignal, together = 1): Promise<void> {
    const startedAt = performance.now();
    for (let n = together; !signal.aborted; n += together) {
      await this.#insert(together);
      const dueMs = startedAt + (n * 1_000) / perSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    }
  }

  /** Resolves once the reader has every row that was written. */
  async settled(): Promise<void> {
    await waitFor(() => this.#reader.rows.size >= this.#writes, {
      timeoutMs: 120_000,
      describe: () => `${this.id} has ${this.#reader.rows.size} of ${this.#writes} rows`,
    });
  }

  /** Delays since the last call. */
  take(): readonly number[] {
    const taken = this.#delays;
    this.#delays = [];
    return taken;
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
    await this.#client.end();
  }

  async #insert(count = 1): Promise<void> {
    const { rows } = await this.#client.query<{ id: string }>(
      `insert into items (source) select $1 from generate_series(1, $2) returning id`,
      [this.id, count],
    );
    const now = performance.now();
    for (const { id } of rows) this.#committed.set(id, now);
    this.#writes += count;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        const { rotations } = this.#reader;
        await this.#reader.step(signal, true);
        if (this.#reader.rotations !== rotations) await this.#reader.catchUp(signal);
        this.#arrived();
      } catch (error) {
        if (signal.aborted) return;
        this.#failures.push(String(error).slice(0, 200));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  #arrived(): void {
    const { rows } = this.#reader;
    const now = performance.now();
    if (rows.size < this.#seen) this.#seen = 0;
    let position = 0;
    for (const row of rows.values()) {
      position += 1;
      if (position <= this.#seen) continue;
      if (row['source'] !== this.id) this.#foreign += 1;
      // A reader may have a row before its writer knows that it was committed.
      this.#delays.push(now - (this.#committed.get(String(row['id'])) ?? now));
    }
    this.#seen = rows.size;
  }
}

export async function createItems(client: Client): Promise<void> {
  await client.query(
    'create table if not exists items (id bigint generated always as identity primary key, source text not null)',
  );
}

export function delaysOf(values: readonly number[]): Delays {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(10 * (sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0)) / 10;
  return { rows: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) };
}
