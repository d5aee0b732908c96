import { DurableCursorNote, type DurableRecord, type Registries } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ShapeStore, ShardCursor, ShardId } from '@shapecast/shape-store';

interface DurableDeps {
  readonly store: Pick<ShapeStore, 'readMeta' | 'durableCursor'>;
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A shard as its owner sees it. */
interface OwnedCursor {
  readonly id: ShardId;
  /** Where the owner stands, without asking anybody: nothing is asked while it stays. */
  readonly cursorSeq: () => number;
  /** Nothing but progress comes: it is not worth noting often. */
  readonly quiet?: () => boolean;
  /** What the owner had applied at `at`, up to `seq`, is safe. */
  readonly onSafe?: (seq: number, at: number) => void;
}

/** Time between two looks; every wait is between half and one and a half of it. */
const LOOK_MS = 2_000;
const QUIET_MS = 60_000;
/** Looks that are remembered until what they saw is safe. */
const MAX_ASKED = 32;

/**
 * Notes how far a shard has come for sure, outside of the store, until `signal` aborts (spec R 12.4.3): what the tx stream holds before
 * that may be deleted. Never rejects; while it fails, the stream is kept.
 */
export async function keepDurableCursor(deps: DurableDeps, shard: OwnedCursor, signal: AbortSignal): Promise<void> {
  const { store, registries, clock } = deps;
  const log = deps.log.child({ shard: shard.id.shard });
  const note = new DurableCursorNote(registries, shard.id);
  let claimed = false;
  let noted: ShardCursor | undefined;
  let notedAt = -Infinity;

  // What is safe may be what the shard had some looks ago: servers before 7.2 call nothing safe that is younger than a few seconds.
  const asked: { readonly at: number; readonly seq: number }[] = [];

  function tellSafe(seq: number): void {
    let last: { readonly at: number } | undefined;
    while (asked[0] !== undefined && asked[0].seq <= seq) last = asked.shift();
    if (last !== undefined) shard.onSafe?.(seq, last.at);
  }

  async function claim(): Promise<void> {
    const meta = await store.readMeta(shard.id);
    if (meta === undefined) return;
    const ahead = await note.claim(recordOf(meta.cursor, clock));
    claimed = true;
    noted = undefined;
    if (ahead) {
      log.warn({ durableSeq: ahead.seq, seq: meta.cursor.seq }, 'the store has less of a shard than it had for sure');
    }
  }

  async function look(): Promise<void> {
    if (!claimed) await claim();
    if (!claimed || shard.cursorSeq() === noted?.seq) return;
    if (shard.quiet?.() && noted !== undefined && clock.now() - notedAt < QUIET_MS) return;
    asked.push({ at: clock.now(), seq: shard.cursorSeq() });
    if (asked.length > MAX_ASKED) asked.shift();
    const cursor = await store.durableCursor(shard.id);
    if (cursor !== undefined) tellSafe(cursor.seq);
    if (cursor === undefined || signal.aborted) return;
    // Also when it is behind what was noted: then the store has gone back.
    claimed = await note.note(recordOf(cursor, clock));
    noted = claimed ? cursor : undefined;
    notedAt = clock.now();
  }

  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  while (!signal.aborted) {
    await clock.sleep(LOOK_MS * (0.5 + clock.random()), signal).catch(() => undefined);
    if (signal.aborted) return;
    const looked = look().catch((err: unknown) => {
      // Written or not: whose the record is has to be found out again.
      claimed = false;
      log.debug({ err }, 'the durable cursor was not noted');
    });
    // Disk and replicas may take seconds, which nobody who gives the shard up waits for.
    await Promise.race([looked, aborted]);
  }
}

function recordOf({ seq, openTxSeq, position }: ShardCursor, clock: Clock): DurableRecord {
  // The transaction that is open is read again from its beginning.
  return openTxSeq > 0
    ? { v: 1, seq: openTxSeq - 1, lsn: String(position.lsn - 1n), applied: seq, at: clock.now() }
    : { v: 1, seq, lsn: String(position.lsn), at: clock.now() };
}
