import { lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { findBreak, type Break, type Present, type StreamState } from './continuity.ts';

const stored = { incarnation: 4, shards: 8, systemId: 'a', timeline: 1, slotName: 'slot' };
const stream: StreamState = { chain: { position: { lsn: lsn(100n), op: 4 }, progressLsn: lsn(90n) }, held: lsn(104n) };
const identity = { systemId: 'a', timeline: 1 };
const present: Present = {
  identity,
  walLsn: lsn(500n),
  slot: { created: false, confirmedLsn: lsn(80n) },
  slotName: 'slot',
  shards: 8,
};
const slotAt = (confirmed: bigint): Present => ({ ...present, slot: { created: false, confirmedLsn: lsn(confirmed) } });

describe('findBreak', () => {
  test.each<[string, Parameters<typeof findBreak>, Break | undefined]>([
    ['nothing changed', [stored, stream, present], undefined],
    ['the source was never set up', [undefined, undefined, present], 'first'],
    [
      'another system (C1)',
      [stored, stream, { ...present, identity: { ...identity, systemId: 'b' } }],
      'database_id_or_timeline_changed',
    ],
    [
      'another timeline (C2)',
      [stored, stream, { ...present, identity: { ...identity, timeline: 2 } }],
      'database_id_or_timeline_changed',
    ],
    [
      'the slot was created now (C6)',
      [stored, stream, { ...present, slot: { created: true, confirmedLsn: lsn(80n) } }],
      'slot_created',
    ],
    ['the slot has another name', [stored, stream, { ...present, slotName: 'other' }], 'slot_renamed'],
    ['another number of shards', [stored, stream, { ...present, shards: 16 }], 'shards_changed'],
    ['the stream is gone', [stored, undefined, present], 'stream_lost'],
    ['the slot is at the end of the last transaction (C3)', [stored, stream, slotAt(104n)], undefined],
    ['the slot is past what the stream holds (C3)', [stored, stream, slotAt(105n)], 'slot_ahead_of_stream'],
    ['the server is behind what it had sent (C4)', [stored, stream, { ...present, walLsn: lsn(99n) }], 'wal_lost'],
  ])('%s', (_, args, expected) => {
    expect(findBreak(...args)).toBe(expected);
  });

  test('compares in 64 bits', () => {
    const top = (1n << 64n) - 2n;
    const end = { chain: { position: { lsn: lsn(top), op: 0 }, progressLsn: lsn(top) }, held: lsn(top) };
    const at = { ...slotAt(top), walLsn: lsn(top + 1n) };
    expect(findBreak(stored, end, at)).toBeUndefined();
    expect(findBreak(stored, end, { ...at, walLsn: lsn(top - 1n) })).toBe('wal_lost');
  });
});
