import { lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { findBreak, type Break, type Past, type Present, type StreamState } from './continuity.ts';

const record = { incarnation: 4, shards: 8, systemId: 'a', timeline: 1, slotName: 'slot', publicationOid: 7 };
const stream: StreamState = { chain: { position: { lsn: lsn(100n), op: 4 }, progressLsn: lsn(90n) }, held: lsn(104n) };
const past: Past = { record, stream, divergedIncarnation: undefined };
const identity = { systemId: 'a', timeline: 1 };
const slot = { created: false, confirmedLsn: lsn(80n), publicationOid: 7 };
const present: Present = { identity, walLsn: lsn(500n), slot, slotName: 'slot', shards: 8 };
const slotAt = (confirmed: bigint): Present => ({ ...present, slot: { ...slot, confirmedLsn: lsn(confirmed) } });
/** Promoted where timeline 1 ended at `end`. */
const promoted = (end: bigint, timeline = 2): Present => {
  const history = [
    { timeline: 1, endLsn: lsn(end) },
    { timeline: 2, endLsn: lsn(400n) },
  ].slice(0, timeline - 1);
  return { ...present, identity: { ...identity, timeline, history } };
};

describe('findBreak', () => {
  test.each<[string, Past, Present, Break | undefined]>([
    ['nothing changed', past, present, undefined],
    ['the source was never set up', { ...past, record: undefined, stream: undefined }, present, 'first'],
    [
      'another system (C1)',
      past,
      { ...present, identity: { ...identity, systemId: 'b' } },
      'database_id_or_timeline_changed',
    ],
    ['a promotion after all that is stored (C2)', past, promoted(104n), undefined],
    ['two promotions since (C2)', past, promoted(104n, 3), undefined],
    ['a promotion before the end of what is stored (C2)', past, promoted(103n), 'database_id_or_timeline_changed'],
    [
      'a timeline whose history cannot be read (C2)',
      past,
      { ...present, identity: { ...identity, timeline: 2 } },
      'database_id_or_timeline_changed',
    ],
    [
      'a timeline that does not come from the one before (C2)',
      { ...past, record: { ...record, timeline: 5 } },
      promoted(104n, 3),
      'database_id_or_timeline_changed',
    ],
    [
      'a harmless promotion with a slot that is ahead (C2, C3)',
      past,
      { ...promoted(300n), slot: { ...slot, confirmedLsn: lsn(105n) } },
      'slot_ahead_of_stream',
    ],
    ['other transactions were sent again (C5)', { ...past, divergedIncarnation: 4 }, present, 'history_diverged'],
    ['they were, in an incarnation that is over (C5)', { ...past, divergedIncarnation: 3 }, present, undefined],
    ['an operator wants it to end', { ...past, unwantedIncarnation: 4 }, present, 'requested_by_operator'],
    ['an operator wanted the one before to end', { ...past, unwantedIncarnation: 3 }, present, undefined],
    ['the slot was created now (C6)', past, { ...present, slot: { ...slot, created: true } }, 'slot_created'],
    ['the slot has another name', past, { ...present, slotName: 'other' }, 'slot_renamed'],
    [
      'the publication is another one',
      past,
      { ...present, slot: { ...slot, publicationOid: 8 } },
      'publication_recreated',
    ],
    [
      'the record does not know the publication yet',
      { ...past, record: { incarnation: 4, shards: 8, systemId: 'a', timeline: 1, slotName: 'slot' } },
      present,
      undefined,
    ],
    ['another number of shards', past, { ...present, shards: 16 }, 'shards_changed'],
    ['the stream is gone', { ...past, stream: undefined }, present, 'stream_lost'],
    ['the slot is at the end of the last transaction (C3)', past, slotAt(104n), undefined],
    ['the slot is past what the stream holds (C3)', past, slotAt(105n), 'slot_ahead_of_stream'],
    ['the server is behind what it had sent (C4)', past, { ...present, walLsn: lsn(99n) }, 'wal_lost'],
  ])('%s', (_, before, now, expected) => {
    expect(findBreak(before, now)).toBe(expected);
  });

  test('compares in 64 bits', () => {
    const top = (1n << 64n) - 2n;
    const end = { chain: { position: { lsn: lsn(top), op: 0 }, progressLsn: lsn(top) }, held: lsn(top) };
    const at = { ...slotAt(top), walLsn: lsn(top + 1n) };
    expect(findBreak({ ...past, stream: end }, at)).toBeUndefined();
    expect(findBreak({ ...past, stream: end }, { ...at, walLsn: lsn(top - 1n) })).toBe('wal_lost');
  });
});
