import type { DirectSight, SlotSight } from '@shapecast/change-source';
import { shareText, sizeText } from '../output/quantities.ts';
import { fail, ok, skipped, warn, type Finding } from './finding.ts';

/** Where max_slot_wal_keep_size has no limit (spec O 10). */
const UNLIMITED_BYTES = 20e9;
const WARN_SHARE = 0.25;
const FAIL_SHARE = 0.75;
const MEGABYTE = 1_048_576;

export function judgeSlot(sight: DirectSight, { slotName }: { readonly slotName: string }): readonly Finding[] {
  const { slot, server, room } = sight;
  if (slot === undefined) {
    return [
      judgeLock(sight),
      ok('pg.slot', `Replication slot "${slotName}" is not there yet: the replicator makes it.`),
      skipped('pg.slot_wal', 'Not checked: there is no slot.'),
    ];
  }
  if (slot.plugin !== 'pgoutput' || slot.database !== server.database) {
    const what = `Replication slot "${slotName}" belongs to another plugin or database.`;
    return [
      judgeLock(sight),
      fail('pg.slot', what, 'Set another ELECTRIC_REPLICATION_STREAM_ID, or drop the slot if nobody needs it.'),
      skipped('pg.slot_wal', 'Not checked: the slot is not ours.'),
    ];
  }
  return [judgeLock(sight), judgeReader(slot, slotName), judgeWal(slot, room.maxSlotWalKeepSize)];
}

function judgeLock({ lockHolder, slot }: DirectSight): Finding {
  if (lockHolder === undefined) {
    if (slot === undefined) return ok('pg.lock', 'Nobody holds the lock of the source, which was not set up yet.');
    return warn(
      'pg.lock',
      'Nobody holds the lock of the source.',
      'Start a replicator; a source that sleeps needs none.',
    );
  }
  const { pid, application, address } = lockHolder;
  const who = `pid ${pid}${application === '' ? '' : ` (${application})`}${address === undefined ? '' : ` from ${address}`}`;
  if (slot !== undefined && slot.activePid === undefined) {
    const next = 'Wait a minute: a replicator ends an orphaned holder; after that, end it with pg_terminate_backend.';
    return warn('pg.lock', `The lock of the source is held by ${who}, which does not read from the slot.`, next);
  }
  return ok('pg.lock', `The lock of the source is held by ${who}.`);
}

function judgeReader(slot: SlotSight, slotName: string): Finding {
  if (slot.lost) {
    const what = `Replication slot "${slotName}" was given up by Postgres${slot.lostBecause === undefined ? '' : ` (${slot.lostBecause})`}.`;
    const next =
      'It is made anew, and every shape starts over: raise max_slot_wal_keep_size and keep replicators running.';
    return fail('pg.slot', what, next);
  }
  if (slot.activePid !== undefined) return ok('pg.slot', `Slot "${slotName}" is read by pid ${slot.activePid}.`);
  const next = 'Start a replicator, or remove a source that is not needed with npm run source:remove.';
  return warn('pg.slot', `Nobody reads from slot "${slotName}", and Postgres keeps WAL for it.`, next);
}

function judgeWal({ lost, walStatus, wal, safeBytes }: SlotSight, keepMegabytes: number): Finding {
  if (lost || wal === undefined) return skipped('pg.slot_wal', 'Not checked: no WAL is kept for the slot.');
  const retained = Number(wal.current - wal.restart);
  const limit = keepMegabytes < 0 ? UNLIMITED_BYTES : keepMegabytes * MEGABYTE;
  const share = limit === 0 ? 1 : retained / limit;
  const of = keepMegabytes < 0 ? '' : `, ${shareText(retained, limit)} of max_slot_wal_keep_size`;
  const left = safeBytes === undefined ? '' : `, and ${sizeText(safeBytes)} may still be written`;
  const what = `Postgres keeps ${sizeText(retained)} of WAL for the slot (${walStatus}${of}${left}).`;
  const next =
    'Follow docs/wal-guard.md: look whether NATS stores, whether a replicator leads, and for open transactions.';
  if (walStatus === 'unreserved' || share >= FAIL_SHARE) return fail('pg.slot_wal', what, next);
  if (walStatus !== 'reserved' || share >= WARN_SHARE) return warn('pg.slot_wal', what, next);
  return ok('pg.slot_wal', what);
}
