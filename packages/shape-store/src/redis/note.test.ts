import { describe, expect, test } from 'vitest';
import { decodeHead } from './codec.ts';
import { decodeNote, encodeNote } from './note.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const ID = '00000000000000000010-00000000000000000000';

function head(state: string, rest: string): string {
  return `${state} ${ID} ${ID} 1 2 3 00000000000000000000 1 z 4 5 6 - - ${rest}`;
}

describe('the note in the head of a shape', () => {
  test('comes back as it was written, to the millisecond', () => {
    const origin = { committedMs: 1_700_000_000_000.4, publishedMs: 1_700_000_000_020.6, traceparent: TRACEPARENT };
    const text = encodeNote(origin, 1_700_000_000_019.2);
    const note = { committedMs: 1_700_000_000_000, publishedMs: 1_700_000_000_021, appliedMs: 1_700_000_000_019 };
    expect(decodeNote(text)).toEqual({ ...note, traceparent: TRACEPARENT });
    expect(decodeHead(head('l', text)).note).toEqual({ ...note, traceparent: TRACEPARENT });
    // For programs that know of no notes.
    expect(Object.keys(JSON.parse(text) as object)).toEqual(['note']);
  });

  test('does without a trace context that is none', () => {
    for (const traceparent of ['', 'x", "code": "y', `${TRACEPARENT}0`]) {
      const note = decodeNote(encodeNote({ committedMs: 1, publishedMs: 2, traceparent }, 3));
      expect(note).toEqual({ committedMs: 1, publishedMs: 2, appliedMs: 3 });
    }
  });

  test('is absent when there is none, and when it cannot be read', () => {
    for (const rest of ['', 'soon', '{"note":"1 2"}', '{"note":"1 2 3 4 5"}', '{"other":1}']) {
      const decoded = decodeHead(head('l', rest));
      expect(decoded.state).toBe('live');
      expect(decoded.note).toBeUndefined();
      expect(decoded.failure).toBeUndefined();
    }
  });

  test('is no failure, and a failure is no note', () => {
    const failure = { code: 'SHAPE_ROTATED', message: 'It was ended.' };
    expect(decodeHead(head('d', JSON.stringify(failure)))).toMatchObject({ failure });
    expect(decodeHead(head('d', JSON.stringify(failure))).note).toBeUndefined();
  });
});
