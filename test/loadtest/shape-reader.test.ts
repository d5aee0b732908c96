import { describe, expect, test } from 'vitest';
import { readAnswer, type ShapeAnswer } from '../../loadtest/lib/answer.ts';
import { isBefore } from '../../loadtest/lib/offset.ts';
import { ShapeReader } from '../../loadtest/lib/shape-reader.ts';

interface Given {
  readonly offset: string;
  readonly seqs?: readonly number[];
  readonly channel?: number;
  readonly pad?: string;
  readonly upToDate?: boolean;
}

/** An answer as it arrives, so that reading it is part of the test. */
function answer({ offset, seqs = [], channel = 7, pad = 'x', upToDate = true }: Given): ShapeAnswer {
  const rows = seqs.map((seq) => ({
    key: `"public"."loadtest_rows"/"${channel}"/"${seq}"`,
    value: { channel: String(channel), seq: String(seq), written_ms: '1700000000000', pad },
    headers: { operation: 'insert' },
  }));
  const control = upToDate ? [{ headers: { control: 'up-to-date' } }] : [];
  const headers = { 'Electric-Handle': 'h-1', 'Electric-Offset': offset, 'Electric-Cursor': '99' };
  return readAnswer(
    200,
    upToDate ? { ...headers, 'Electric-Up-To-Date': '' } : headers,
    JSON.stringify([...rows, ...control]),
  );
}

function followed(...answers: readonly ShapeAnswer[]): ShapeReader {
  const reader = new ShapeReader(7);
  for (const each of [
    answer({ offset: '0_0', seqs: [2, 1], upToDate: false }),
    answer({ offset: '0_inf' }),
    ...answers,
  ])
    reader.take(each);
  return reader;
}

describe('a reader of a shape', () => {
  test('keeps handle, offset and cursor for its next request, in the order of the official clients', () => {
    const reader = new ShapeReader(7);
    expect(reader.query(false)).toBe('offset=-1');
    reader.take(answer({ offset: '0_0', seqs: [1], upToDate: false }));
    expect(reader.upToDate).toBe(false);
    expect(reader.query(false)).toBe('handle=h-1&offset=0_0');
    reader.take(answer({ offset: '0_inf' }));
    expect(reader.upToDate).toBe(true);
    expect(reader.query(true)).toBe('cursor=99&handle=h-1&live=true&offset=0_inf');
  });

  test('tells of rows that come after it was up to date, and of no others', () => {
    const live: number[] = [];
    const reader = new ShapeReader(7, ({ seq }) => live.push(seq));
    reader.take(answer({ offset: '0_inf', seqs: [1, 2] }));
    reader.take(answer({ offset: '10_0', seqs: [3, 4] }));
    reader.take(answer({ offset: '20_0', seqs: [5], pad: 'end' }));
    expect(live).toEqual([3, 4]);
    expect(reader.ended).toBe(true);
  });

  test('finds nothing wrong with an unbroken channel', () => {
    const reader = followed(
      answer({ offset: '10_0', seqs: [3] }),
      answer({ offset: '10_0' }),
      answer({ offset: '20_2', seqs: [4, 5] }),
    );
    expect(reader.tracker).toMatchObject({ gaps: 0, duplicates: 0 });
    expect(reader).toMatchObject({ outOfOrder: 0, foreign: 0, mustRefetch: 0 });
  });

  test('counts a planted gap, a planted duplicate, an offset that goes back and a row of somebody else', () => {
    const reader = followed(
      answer({ offset: '20_0', seqs: [3, 5] }),
      answer({ offset: '30_0', seqs: [5] }),
      answer({ offset: '29_4' }),
      answer({ offset: '40_0', seqs: [1], channel: 8 }),
    );
    expect(reader.tracker).toMatchObject({ gaps: 1, duplicates: 1 });
    expect(reader).toMatchObject({ outOfOrder: 1, foreign: 1 });
  });

  test('starts over with the handle that a 409 names', () => {
    const reader = followed(answer({ offset: '20_0', seqs: [3] }));
    reader.take(readAnswer(409, { 'Electric-Handle': 'h-2' }, '[{"headers":{"control":"must-refetch"}}]'));
    expect(reader.query(false)).toBe('handle=h-2&offset=-1');
    expect(reader).toMatchObject({ mustRefetch: 1, upToDate: false });
    reader.take(answer({ offset: '0_inf', seqs: [3, 1, 2] }));
    expect(reader.tracker).toMatchObject({ gaps: 0, duplicates: 0 });
  });

  test('takes an answer without the headers of a shape for none', () => {
    expect(new ShapeReader(7).take(readAnswer(200, {}, '[]'))).toBeUndefined();
  });
});

test('offsets compare as 64-bit numbers, then by operation', () => {
  const ordered = [
    '-1',
    '0_0',
    '0_inf',
    '9007199254740992_0',
    '9007199254740993_0',
    '9007199254740993_2',
    '9007199254740993_10',
  ];
  for (const [i, low] of ordered.entries()) {
    for (const [j, high] of ordered.entries()) expect(isBefore(low, high), `${low} ${high}`).toBe(i < j);
  }
});
