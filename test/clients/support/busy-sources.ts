import type { Cluster } from '@shapecast/testkit';
import { connect } from './client-cluster.ts';

/** Clauses of one table that are found in different ways; `customer <> note` in none. */
const CLAUSES = [
  '',
  `customer = 'c1'`,
  'total > 500',
  `note like 'x%'`,
  'customer <> note',
  `customer in ('c3', 'c4')`,
] as const;

const LIVE_READERS_OF_ALL = 4;

/** Traffic as a shop has it, for sources that somebody looks at: orders come in, and readers of several shapes wait for them. */
export interface BusySources {
  stop(): Promise<void>;
}

/** `changesPerSecond` by source, in the order of the cluster's. Resolves once every reader waits. */
export async function keepBusy(cluster: Cluster, changesPerSecond: readonly number[]): Promise<BusySources> {
  const end = new AbortController();
  const begun: Promise<void>[] = [];
  const running: Promise<void>[] = [];
  for (const [i, { id, databaseUrl, secret }] of cluster.sources.entries()) {
    const db = await connect(databaseUrl);
    await db.query('create table orders (id serial primary key, customer text, total int, note text)');
    await db.query(
      `insert into orders (customer, total, note) select 'c' || n % 20, n, repeat('x', 60) from generate_series(1, 200) n`,
    );
    for (const where of CLAUSES.slice(0, CLAUSES.length - 2 * i)) {
      const shape = { source_id: id, secret: secret ?? '', table: 'orders', ...(where === '' ? {} : { where }) };
      for (let reader = 0; reader < (where === '' ? LIVE_READERS_OF_ALL : 1); reader += 1) {
        const waits = Promise.withResolvers<void>();
        begun.push(waits.promise);
        running.push(readOn(`${cluster.url}/v1/shape`, shape, waits.resolve, end.signal));
      }
    }
    running.push(
      write(changesPerSecond[i] ?? 1, end.signal, (customer, total) =>
        db.query('insert into orders (customer, total, note) values ($1, $2, $3)', [customer, total, 'x'.repeat(60)]),
      ).finally(() => db.end()),
    );
  }
  await Promise.all(begun);
  return {
    async stop() {
      end.abort();
      await Promise.all(running);
    },
  };
}

async function write(
  perSecond: number,
  signal: AbortSignal,
  insert: (customer: string, total: number) => Promise<unknown>,
): Promise<void> {
  for (let n = 0; !signal.aborted; n += 1) {
    await insert(`c${n % 20}`, (n * 37) % 1_000);
    // Not in step with anything.
    await pause((1_000 / perSecond) * (0.5 + ((n * 7) % 10) / 10), signal);
  }
}

async function readOn(
  url: string,
  shape: Readonly<Record<string, string>>,
  onWaiting: () => void,
  signal: AbortSignal,
): Promise<void> {
  let place: Record<string, string> = { offset: '-1' };
  while (!signal.aborted) {
    try {
      const response = await fetch(`${url}?${new URLSearchParams({ ...shape, ...place }).toString()}`, { signal });
      await response.arrayBuffer();
      const [handle, offset, cursor] = ['handle', 'offset', 'cursor'].map((name) =>
        response.headers.get(`electric-${name}`),
      );
      if (response.status === 409) place = { offset: '-1' };
      else if (response.ok && handle && offset) {
        const upToDate = response.headers.has('electric-up-to-date');
        if (upToDate) onWaiting();
        place = { handle, offset, ...(upToDate ? { live: 'true', cursor: cursor ?? '' } : {}) };
      } else await pause(200, signal);
    } catch {
      await pause(200, signal);
    }
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
}
