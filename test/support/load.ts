import { Client } from 'pg';
import { waitFor, type Cluster } from '@shapecast/testkit';
import { StrictReader } from './strict-reader.ts';

export interface LoadOptions {
  /** Shapes of one table; each row belongs to one of them. */
  readonly shapes: number;
  readonly readersPerShape: number;
  readonly writesPerSecond: number;
  /** Where the readers ask, in turn: the edge, the load balancer. */
  readonly urls: readonly string[];
  /**
   * Clients per second that come, read a shape that nobody has asked for yet to its end, ask for some rows of it with a POST, which
   * nobody repeats for them, and go. Default 0.
   */
  readonly newcomersPerSecond?: number;
}

/** What clients noticed while one thing was done to the cluster. */
export interface Phase {
  readonly name: string;
  readonly seconds: number;
  readonly rowsDelivered: number;
  readonly newcomers: number;
  /** Answers other than 200 and 409, and connections that broke. */
  readonly failures: readonly string[];
  /** From the commit of a row until a reader had it. */
  readonly medianDelayMs: number;
  readonly p99DelayMs: number;
  readonly longestDelayMs: number;
}

export interface LoadResult {
  readonly writes: number;
  readonly phases: readonly Phase[];
  /** 409s that any reader was given. */
  readonly rotations: number;
  readonly violations: readonly string[];
  /** Readers that do not hold in the end what the table holds. */
  readonly different: number;
}

interface Follower {
  readonly shape: number;
  readonly reader: StrictReader;
  /** Rows whose delay is counted. */
  seen: number;
}

/** Readers that follow shapes and a writer that inserts rows at a steady rate, while something is done to the cluster. */
export class Load {
  readonly #options: LoadOptions;
  readonly #client: Client;
  readonly #followers: readonly Follower[];
  readonly #stop = new AbortController();
  /** When the rows of each shape were committed, in the order of their insertion. */
  readonly #commits: number[][];
  readonly #ended: Phase[] = [];
  readonly #running: Promise<unknown>[] = [];
  #phase = newPhase('before');
  #writing = true;
  #writes = 0;

  private constructor(client: Client, options: LoadOptions) {
    const { shapes, readersPerShape, urls } = options;
    this.#options = options;
    this.#client = client;
    this.#commits = Array.from({ length: shapes }, () => []);
    this.#followers = Array.from({ length: shapes * readersPerShape }, (_, i) => {
      const shape = Math.floor(i / readersPerShape);
      const url = urls[i % urls.length] as string;
      return { shape, reader: new StrictReader(url, { table: 'rolled', where: `shape = ${shape}` }), seen: 0 };
    });
  }

  /** Resolves once every reader is up to date and waits for more. */
  static async start(cluster: Cluster, options: LoadOptions): Promise<Load> {
    const client = new Client({ connectionString: cluster.databaseUrl });
    await client.connect();
    await client.query(
      'create table if not exists rolled (id bigint generated always as identity primary key, shape int not null)',
    );
    const load = new Load(client, options);
    // The first of each shape alone: its snapshot is made once.
    for (let i = 0; i < load.#followers.length; i += options.readersPerShape) {
      await load.#followers[i]?.reader.catchUp(load.#stop.signal);
    }
    await Promise.all(load.#followers.map(({ reader }) => reader.catchUp(load.#stop.signal)));
    // Of an earlier load on the same cluster.
    for (const follower of load.#followers) {
      follower.seen = follower.reader.rows.size;
      load.#commits[follower.shape] = new Array<number>(follower.seen).fill(0);
    }
    load.#running.push(...load.#followers.map((follower) => load.#follow(follower)), load.#welcome(), load.#write());
    return load;
  }

  /** Ends the phase before: what is noticed from now on belongs to this one. */
  begin(name: string): void {
    this.#ended.push(endOf(this.#phase));
    this.#phase = newPhase(name);
  }

  /** Resolves once something was written since and everybody has everything. */
  async settled(): Promise<void> {
    const from = this.#writes;
    const to = from + this.#options.shapes;
    await waitFor(() => this.#writes >= to, { describe: () => `${this.#writes} of ${to} writes` });
    const before = this.#commits.map((commits) => commits.length);
    const behind = () => this.#followers.filter(({ shape, reader }) => reader.rows.size < (before[shape] as number));
    await waitFor(() => behind().length === 0, { describe: () => `${behind().length} readers are behind` });
  }

  /** Stops writing, waits until everybody has everything, and compares with the table. */
  async finish(): Promise<LoadResult> {
    this.#writing = false;
    await this.#running.at(-1);
    const all = await this.#table();
    const differing = () => this.#followers.filter(({ shape, reader }) => held(reader) !== (all.get(shape) ?? ''));
    // If some never get there, the result says how many.
    await waitFor(() => differing().length === 0, { timeoutMs: 30_000 }).catch(() => undefined);
    const different = differing().length;
    await this.stop();
    return {
      writes: this.#writes,
      phases: [...this.#ended, endOf(this.#phase)],
      rotations: this.#followers.reduce((sum, { reader }) => sum + reader.rotations, 0),
      violations: this.#followers.flatMap(({ reader }) => reader.violations),
      different,
    };
  }

  async stop(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#writing = false;
    this.#stop.abort();
    await Promise.allSettled(this.#running);
    await this.#client.end();
  }

  async #follow(follower: Follower): Promise<void> {
    const { reader } = follower;
    const { signal } = this.#stop;
    let rotations = reader.rotations;
    while (!signal.aborted) {
      try {
        if (reader.rotations === rotations) await reader.step(signal, true);
        else await reader.catchUp(signal);
        rotations = reader.offset === '-1' ? -1 : reader.rotations;
        this.#arrived(follower);
      } catch (error) {
        if (signal.aborted) return;
        this.#phase.failures.push(describe(error));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
  }

  #arrived(follower: Follower): void {
    const now = performance.now();
    for (; follower.seen < follower.reader.rows.size; follower.seen += 1) {
      // A reader may have a row before the writer knows that it was committed.
      const committed = this.#commits[follower.shape]?.[follower.seen] ?? now;
      this.#phase.delaysMs.push(now - committed);
    }
  }

  async #welcome(): Promise<void> {
    const { newcomersPerSecond = 0, urls } = this.#options;
    if (newcomersPerSecond === 0) return;
    const visits: Promise<void>[] = [];
    for (let n = 1; this.#writing; n += 1) {
      visits.push(this.#visit(urls[n % urls.length] as string, `id > -${n}`));
      await new Promise((resolve) => setTimeout(resolve, 1_000 / newcomersPerSecond));
    }
    await Promise.all(visits);
  }

  async #visit(url: string, where: string): Promise<void> {
    const { signal } = this.#stop;
    try {
      const reader = new StrictReader(url, { table: 'rolled', where });
      await reader.catchUp(signal);
      const address = `${url}/v1/shape?${new URLSearchParams({ table: 'rolled', where, offset: '-1' }).toString()}`;
      const body = JSON.stringify({ order_by: 'id', limit: 3 });
      const answer = await fetch(address, { method: 'POST', body, signal });
      const text = await answer.text();
      if (answer.status !== 200) throw new Error(`subset: status ${answer.status}: ${text}`);
      this.#phase.newcomers += 1;
    } catch (error) {
      if (!signal.aborted) this.#phase.failures.push(`newcomer: ${describe(error)}`);
    }
  }

  async #write(): Promise<void> {
    const { shapes, writesPerSecond } = this.#options;
    const startedAt = performance.now();
    while (this.#writing) {
      const shape = this.#writes % shapes;
      await this.#client.query('insert into rolled (shape) values ($1)', [shape]);
      this.#commits[shape]?.push(performance.now());
      this.#writes += 1;
      const dueMs = startedAt + (this.#writes * 1_000) / writesPerSecond;
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
    }
  }

  async #table(): Promise<ReadonlyMap<number, string>> {
    const { rows } = await this.#client.query<{ shape: number; ids: string }>(
      `select shape, string_agg(id::text, ' ' order by id) as ids from rolled group by shape`,
    );
    return new Map(rows.map(({ shape, ids }) => [shape, ids]));
  }
}

interface OpenPhase {
  readonly name: string;
  readonly startedAt: number;
  readonly failures: string[];
  readonly delaysMs: number[];
  newcomers: number;
}

function newPhase(name: string): OpenPhase {
  return { name, startedAt: performance.now(), failures: [], delaysMs: [], newcomers: 0 };
}

function endOf({ name, startedAt, failures, delaysMs, newcomers }: OpenPhase): Phase {
  const sorted = delaysMs.toSorted((a, b) => a - b);
  const at = (share: number): number => Math.round(sorted[Math.ceil(sorted.length * share) - 1] ?? 0);
  return {
    name,
    seconds: Math.round((performance.now() - startedAt) / 100) / 10,
    rowsDelivered: sorted.length,
    newcomers,
    failures,
    medianDelayMs: at(0.5),
    p99DelayMs: at(0.99),
    longestDelayMs: at(1),
  };
}

function held(reader: StrictReader): string {
  const ids = [...reader.rows.values()].map((row) => Number(row['id']));
  return ids.toSorted((a, b) => a - b).join(' ');
}

function describe(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
