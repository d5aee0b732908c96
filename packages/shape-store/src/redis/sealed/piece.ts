import { compress, decompress } from './block.ts';

/** First byte of a compressed piece; see `piece.lua`. */
const PACKED = 1;
const HEAD_BYTES = 5;
/** What compression must save to be worth the work of every reader. */
const WORTHWHILE = 0.9;

/** A piece of a snapshot chunk, compressed. Undefined when it is already, or is better left as it is. */
export async function packPiece(piece: Buffer): Promise<Buffer | undefined> {
  if (piece[0] === PACKED) return undefined;
  const bytes = await compress(piece);
  if (bytes.length + HEAD_BYTES > piece.length * WORTHWHILE) return undefined;
  const head = Buffer.alloc(HEAD_BYTES);
  head[0] = PACKED;
  head.writeUInt32BE(piece.length, 1);
  return Buffer.concat([head, bytes]);
}

export async function unpackPiece(piece: Buffer): Promise<Buffer> {
  return piece[0] === PACKED ? decompress(piece.subarray(HEAD_BYTES), piece.readUInt32BE(1)) : piece;
}
