import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ChunkWriter, type Piece, type WritePiece } from './chunk-writer.ts';

function recorder() {
  const pieces: Parameters<WritePiece>[0][] = [];
  const write: WritePiece = async (piece) => void pieces.push(piece);
  const chunks = () => {
    const texts: string[] = [];
    for (const { chunk, bytes } of pieces) {
      const text = Buffer.from(bytes).toString();
      texts[chunk] = texts[chunk] === undefined ? text : `${texts[chunk]},${text}`;
    }
    return texts;
  };
  return { pieces, write, chunks };
}

const rowsOf = (texts: readonly string[]) => texts.map((text) => ({ text }));

describe('ChunkWriter', () => {
  test('closes a chunk with the row that fills it, whatever the batches', async () => {
    const rows = fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 }), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(
        rows,
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 1, max: 200 }),
        async (all, batch, chunkBytes) => {
          const { pieces, write, chunks } = recorder();
          const writer = new ChunkWriter(write, { chunkBytes });
          for (let i = 0; i < all.length; i += batch) await writer.add(rowsOf(all.slice(i, i + batch)));
          await writer.end('END');

          const expected: string[][] = [[]];
          let size = 0;
          for (const row of all) {
            (expected.at(-1) as string[]).push(row);
            size += Buffer.byteLength(row) + 1;
            if (size < chunkBytes) continue;
            expected.push([]);
            size = 0;
          }
          (expected.at(-1) as string[]).push('END');
          expect(chunks()).toEqual(expected.map((texts) => texts.join(',')));
          expect(pieces.filter(({ close }) => close).map(({ chunk }) => chunk)).toEqual([...expected.keys()]);
        },
      ),
    );
  });

  test('goes on behind any of its pieces, and makes the same chunks', async () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 25 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.integer({ min: 1, max: 900_000 }), fc.nat(), async (all, chunkBytes, at) => {
        const rows = all.map((size, i) => ({ text: String.fromCharCode(97 + i).repeat(size), key: [String(i)] }));
        const one = recorder();
        const whole = new ChunkWriter(one.write, { chunkBytes });
        await whole.add(rows);
        await whole.flush();
        const kept = one.pieces.slice(0, 1 + (at % one.pieces.length));
        const last = kept.at(-1) as Piece;
        const stored = kept.reduce((sum, piece) => sum + piece.rows, 0);
        expect(last.key).toEqual([String(stored - 1)]);

        const two = recorder();
        two.pieces.push(...kept);
        const rest = new ChunkWriter(two.write, { chunkBytes }, { next: last.next, key: last.key as string[] });
        await rest.add(rows.slice(Number(last.key?.[0]) + 1));
        for (const writer of [whole, rest]) await writer.end('END');
        expect(two.chunks()).toEqual(one.chunks());
        expect(two.pieces.at(-1)?.key).toEqual(one.pieces.at(-1)?.key);
      }),
      { numRuns: 30 },
    );
  });

  test('writes the first rows at once and then in pieces worth a call, none above 1 MiB unless one row is', async () => {
    const { pieces, write } = recorder();
    const writer = new ChunkWriter(write, { chunkBytes: 100_000_000 });
    await writer.add(rowsOf(['first']));
    expect(pieces).toHaveLength(1);
    await writer.add(rowsOf(['small']));
    expect(pieces).toHaveLength(1);
    await writer.add(rowsOf(Array.from({ length: 40 }, () => 'x'.repeat(100_000))));
    await writer.add(rowsOf(['y'.repeat(3_000_000)]));
    await writer.end('END');
    const sizes = pieces.map(({ bytes }) => bytes.length);
    expect(sizes.filter((size) => size > 1024 * 1024)).toEqual([3_000_000]);
    expect(sizes.length).toBeLessThan(10);
  });
});
