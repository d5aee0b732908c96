import { ShapecastError } from '@shapecast/errors';
import type { Clock } from '@shapecast/service-kit';
import { readWriters } from '../sql/publication.ts';
import type { LazyPool } from '../lazy-pool.ts';
import type { TableState } from './publication-state.ts';
import { qualified } from './publication-texts.ts';

/** At most 100 (spec R 7.12). */
const POLL_MS = 50;

/**
 * Waits until every transaction is over that wrote to the table by now: it may have done so before the table was published,
 * and then nothing of it is streamed (spec R 7.12). Throws NOT_READY after `timeoutMs`.
 */
export async function waitForWriters(
  { admin, clock }: { readonly admin: LazyPool; readonly clock: Clock },
  { root, leaves }: Pick<TableState, 'root' | 'leaves'>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<void> {
  const oids = leaves.map((leaf) => leaf.oid);
  const readNow = () => admin.use(signal, (db) => readWriters(db, oids));
  const giveUpMs = clock.now() + timeoutMs;
  let open = new Set(await readNow());
  while (open.size > 0) {
    if (clock.now() >= giveUpMs) {
      const message = `Transactions that wrote to "${qualified(root)}" before it was published are still open, please retry`;
      throw new ShapecastError('NOT_READY', message, { type: 'publication_gap', transactions: open.size });
    }
    await clock.sleep(POLL_MS, signal);
    const before = open;
    // A writer that was prepared meanwhile goes on under another name, so prepared ones are waited for in any case.
    open = new Set((await readNow()).filter((id) => before.has(id) || id.startsWith('-1/')));
  }
}
