import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeRecord, encodeRecord } from './codec.ts';
import { anyDataRecord } from './record.arbitrary.ts';
import type { DataRecord, SliceRecord, TxRecord } from './record.ts';
import { SliceAssembler, sliceRecord } from './slices.ts';

const minBytes = 400;
const anyMaxBytes = fc.integer({ min: minBytes, max: 2_000 });

/** Every record assembled from `records`, after a trip over the wire. */
function assemble(records: readonly TxRecord[], assembler = new SliceAssembler()): TxRecord[] {
  return records.flatMap((record) => assembler.accept(decodeRecord(encodeRecord(record))) ?? []);
}

function slicesOf(record: DataRecord, maxBytes = minBytes): SliceRecord[] {
  return sliceRecord(encodeRecord(record), record, maxBytes);
}

const sample = fc.sample(anyDataRecord, { numRuns: 50, seed: 7 }).filter((record) => slicesOf(record).length > 3)[0];
if (!sample) throw new Error('the sample has no record of four slices');
const slices = slicesOf(sample);

describe('slices', () => {
  test('put together they are the record, and none is larger than a message', () => {
    fc.assert(
      fc.property(anyDataRecord, anyMaxBytes, (record, maxBytes) => {
        const cut = slicesOf(record, maxBytes);
        for (const slice of cut) expect(encodeRecord(slice).length).toBeLessThanOrEqual(maxBytes);
        expect(assemble(cut)).toEqual([record]);
      }),
    );
  });

  test('records that are not slices pass through, in order', () => {
    const leader: TxRecord = { kind: 'leader', incarnation: 1, epoch: 2, prev: sample.prev, holder: 'a' };
    expect(assemble([leader, ...slices, leader])).toEqual([leader, sample, leader]);
  });

  test('slices that another record interrupts are dropped, and the whole change comes again', () => {
    const leader: TxRecord = { kind: 'leader', incarnation: 1, epoch: 2, prev: sample.prev, holder: 'a' };
    expect(assemble([...slices.slice(0, 2), leader, ...slices])).toEqual([leader, sample]);
  });

  test('slices that start over without anything in between are put together once', () => {
    expect(assemble([...slices.slice(0, 2), ...slices])).toEqual([sample]);
  });

  test('slices whose beginning was never seen give nothing', () => {
    const assembler = new SliceAssembler();
    expect(assemble(slices.slice(1), assembler)).toEqual([]);
    expect(assembler.pending).toBe(0);
  });

  test('a hole gives nothing', () => {
    expect(assemble(slices.filter((slice) => slice.index !== 1))).toEqual([]);
  });

  test('a digest that does not match is an error', () => {
    const damaged = slices.map((slice) => (slice.index === 1 ? { ...slice, text: slices[0]?.text ?? '' } : slice));
    expect(() => assemble(damaged)).toThrow('does not match its digest');
  });

  test('a record that outgrows the bound is an error and frees its memory', () => {
    const assembler = new SliceAssembler({ maxBytes: 300 });
    expect(() => assemble(slices, assembler)).toThrow('larger than 300 bytes');
    expect(assembler.pending).toBe(0);
  });

  test('refuses a limit that its own header fills', () => {
    expect(() => slicesOf(sample, 50)).toThrow('cannot carry anything');
  });
});
