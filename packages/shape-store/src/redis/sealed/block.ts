import { promisify } from 'node:util';
import { constants, zstdCompress, zstdDecompress } from 'node:zlib';
import type { LogOffset, Lsn } from '@shapecast/log';
import type { CompactEntry } from '../../compaction.ts';
import { padded } from '../codec.ts';

const compressAsync = promisify(zstdCompress);
const decompressAsync = promisify(zstdDecompress);

/**
 * zstd at its fastest: on log entries it is smaller than gzip's best and costs an eighth of it (docs/adr/0012). With a checksum,
 * so that what was damaged is not served.
 */
const PARAMS = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } };

export function compress(bytes: Uint8Array): Promise<Buffer> {
  return compressAsync(bytes, PARAMS);
}

/** `size`: of what comes out. Throws when the bytes are not what was compressed. */
export function decompress(bytes: Uint8Array, size: number): Promise<Buffer> {
  return decompressAsync(bytes, { chunkSize: Math.max(64, size + 1), maxOutputLength: Math.max(64, size + 1) });
}

// A block holds consecutive entries: a count, a table of the fields below for each, then their JSON bytes, and all of it
// compressed. Numbers are big-endian.
const COUNT_BYTES = 4;
/** LSN and op of 64 bits, length and number of merged entries of 32. */
const ROW_BYTES = 24;

/** The size of a block before it is compressed. */
export function blockSize(entries: number, jsonBytes: number): number {
  return COUNT_BYTES + entries * ROW_BYTES + jsonBytes;
}

export function encodeBlock(entries: readonly CompactEntry[]): Promise<Buffer> {
  const jsonBytes = entries.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const block = Buffer.allocUnsafe(blockSize(entries.length, jsonBytes));
  block.writeUInt32BE(entries.length, 0);
  let row = COUNT_BYTES;
  let at = COUNT_BYTES + entries.length * ROW_BYTES;
  for (const { position, bytes, merged } of entries) {
    block.writeBigUInt64BE(position.lsn, row);
    block.writeBigUInt64BE(BigInt(position.op), row + 8);
    block.writeUInt32BE(bytes.length, row + 16);
    block.writeUInt32BE(merged, row + 20);
    block.set(bytes, at);
    row += ROW_BYTES;
    at += bytes.length;
  }
  return compress(block);
}

/** An entry of a block. Readers of a whole chunk need the bytes of all and the offset of one. */
class SealedEntry {
  readonly #block: Buffer;
  readonly #row: number;
  readonly bytes: Uint8Array;

  constructor(block: Buffer, row: number, at: number) {
    this.#block = block;
    this.#row = row;
    this.bytes = block.subarray(at, at + block.readUInt32BE(row + 16));
  }

  /** The padded id. */
  get id(): string {
    return `${padded(this.#block.readBigUInt64BE(this.#row))}-${padded(this.#block.readBigUInt64BE(this.#row + 8))}`;
  }

  get offset(): LogOffset {
    const { lsn, op } = this.position;
    return { tx: lsn, op };
  }

  get position() {
    const lsn = this.#block.readBigUInt64BE(this.#row) as Lsn;
    return { lsn, op: Number(this.#block.readBigUInt64BE(this.#row + 8)) };
  }

  get merged(): number {
    return this.#block.readUInt32BE(this.#row + 20);
  }
}

export async function decodeBlock(compressed: Uint8Array, size: number): Promise<SealedEntry[]> {
  const block = await decompress(compressed, size);
  const count = block.readUInt32BE(0);
  const entries: SealedEntry[] = [];
  let at = COUNT_BYTES + count * ROW_BYTES;
  for (let i = 0; i < count; i += 1) {
    const entry = new SealedEntry(block, COUNT_BYTES + i * ROW_BYTES, at);
    entries.push(entry);
    at += entry.bytes.length;
  }
  return entries;
}
