import { describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord } from './codec.ts';
import { checkFormat, formatRefusal } from './formats.ts';
import { POSITION_ZERO } from './change.ts';
import type { Lsn } from './lsn.ts';

const known = { record: 1, log: 2 };

describe('formats', () => {
  test('what is no newer than what a program knows it may read, and nothing else', () => {
    expect(formatRefusal({}, known)).toBeUndefined();
    expect(formatRefusal({ record: 1, log: 2 }, known)).toBeUndefined();
    expect(formatRefusal({ record: 2, log: 2 }, known)).toContain('format 2 is in use for the transaction stream');
    expect(formatRefusal({ record: 1, log: 3 }, known)).toContain('it knows formats up to 2');
    expect(() => checkFormat('log', 1)).not.toThrow();
    expect(() => checkFormat('log', 2)).toThrow('This process is too old');
  });

  test('a record of a newer version is told apart from a damaged one', () => {
    const prev = { position: POSITION_ZERO, progressLsn: 0n as Lsn };
    const payload = encodeRecord({ kind: 'leader', incarnation: 1, epoch: 1, prev, holder: 'a' });
    const text = Buffer.from(payload).toString();
    const as = (v: unknown) => Buffer.from(text.replace('"v":1', `"v":${JSON.stringify(v)}`));
    expect(() => decodeRecord(as(1))).not.toThrow();
    expect(() => decodeRecord(as(2))).toThrow(expect.objectContaining({ code: 'FORMAT_UNKNOWN' }));
    for (const v of [0, 'two', null]) expect(() => decodeRecord(as(v))).toThrow('has format version');
  });
});
