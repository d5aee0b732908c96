import fc from 'fast-check';
import {
  chainAfter,
  decodeRecord,
  lsn,
  SliceAssembler,
  type DataRecord,
  type TransactionPart,
  type RecordHeader,
} from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import { encodeParts, type Message } from './message.ts';
import { anyTransactions, operations, part } from './testing/parts.ts';

const header: RecordHeader = {
  incarnation: 3,
  epoch: 9,
  prev: { position: { lsn: lsn(0n), op: 0 }, progressLsn: lsn(0n) },
};
const roomy = { maxBytes: 1_000_000, maxChangeBytes: 1_000_000 };

function recordsOf(messages: readonly Message[]): DataRecord[] {
  const assembler = new SliceAssembler();
  return messages.flatMap((message) => {
    const record = assembler.accept(decodeRecord(message.payload));
    return record?.kind === 'data' ? [record] : [];
  });
}

describe('encodeParts', () => {
  test('messages stay within their limit, carry every operation once, and chain', () => {
    fc.assert(
      fc.property(anyTransactions, fc.integer({ min: 600, max: 3_000 }), (parts, maxBytes) => {
        fc.pre(parts.length > 0);
        const messages = encodeParts(parts, header, { maxBytes, maxChangeBytes: 1_000_000 });
        for (const message of messages) expect(message.payload.length).toBeLessThanOrEqual(maxBytes);
        expect(new Set(messages.map((message) => message.id)).size).toBe(messages.length);
        const records = recordsOf(messages);
        expect(operations(records.flatMap((record) => record.parts))).toEqual(operations(parts));
        let chain = header.prev;
        for (const record of records) {
          expect(record.prev).toEqual(chain);
          chain = chainAfter(record);
        }
        expect(messages.at(-1)?.chain).toEqual(chain);
      }),
    );
  });

  test('the last message of a commit is the one that covers it', () => {
    fc.assert(
      fc.property(anyTransactions, fc.integer({ min: 600, max: 3_000 }), (parts, maxBytes) => {
        const seen: TransactionPart[] = [];
        const assembler = new SliceAssembler();
        for (const message of parts.length > 0 ? encodeParts(parts, header, { maxBytes, maxChangeBytes: 1e6 }) : []) {
          const record = assembler.accept(decodeRecord(message.payload));
          if (record?.kind === 'data') seen.push(...record.parts);
          if (message.held !== undefined) expect(seen.findLast((one) => one.commit)?.endLsn).toBe(message.held);
        }
      }),
    );
  });

  test('the id names incarnation, epoch, position and slice', () => {
    expect(encodeParts([part(7, [4, 6])], header, roomy).map((message) => message.id)).toEqual(['3:9:7:4:0']);
    const sliced = encodeParts([part(7, [4], 'x'.repeat(1_500))], header, { ...roomy, maxBytes: 1_000 });
    expect(sliced.map((message) => message.id)).toEqual(['3:9:7:4:0', '3:9:7:4:1', '3:9:7:4:2']);
  });

  test('only the last slice moves the position', () => {
    const sliced = encodeParts([part(7, [4], 'x'.repeat(1_500))], header, { ...roomy, maxBytes: 1_000 });
    expect(sliced.map((message) => [message.chain.position.lsn, message.held])).toEqual([
      [0n, undefined],
      [0n, undefined],
      [7n, 8n],
    ]);
  });

  test('a change above the limit loses its rows and keeps its place', () => {
    const parts = [part(7, [0, 2], 'x'.repeat(1_500))];
    const records = recordsOf(encodeParts(parts, header, { maxBytes: 800, maxChangeBytes: 1_000 }));
    expect(records.flatMap((record) => record.parts.flatMap((one) => one.changes))).toEqual(
      [0, 2].map((op) => ({ kind: 'unusable', op, relation: parts[0]?.changes[0]?.relation, reason: 'oversize' })),
    );
    expect(records.at(-1)?.parts.at(-1)?.commit).toBe(true);
  });
});
