import { createHash } from 'node:crypto';
import { encodeRecord, RecordDecoder } from './codec.ts';
import type { RecordHeader, SliceRecord, TxRecord } from './record.ts';

/** Slices carry base64, so that their size is known beforehand whatever the row contains. */
const BASE64_CHARS = 4;
const BASE64_BYTES = 3;

/** Largest encoded record that is put together again. Writers stay below it. */
export const MAX_SLICED_BYTES = 512 * 1024 * 1024;

/**
 * Cuts an encoded data record that is larger than a message into slices that each encode to at most `maxBytes` (spec R
 * 9.5.2). All carry `header`, whose `prev` is that of the data record: the position moves with the last slice only.
 */
export function sliceRecord(encoded: Uint8Array, header: RecordHeader, maxBytes: number): SliceRecord[] {
  const digest = sha256(encoded);
  const slice = (index: number, count: number, text: string): SliceRecord => ({
    kind: 'slice',
    incarnation: header.incarnation,
    epoch: header.epoch,
    prev: header.prev,
    index,
    count,
    digest,
    text,
  });
  // The widest numbers that can occur, so that no slice outgrows the limit.
  const overhead = encodeRecord(slice(encoded.length, encoded.length, '')).length;
  const step = Math.floor((maxBytes - overhead) / BASE64_CHARS) * BASE64_BYTES;
  if (step <= 0) throw new Error(`a slice of ${maxBytes} bytes cannot carry anything: its header takes ${overhead}`);
  const count = Math.max(1, Math.ceil(encoded.length / step));
  const bytes = Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength);
  return Array.from({ length: count }, (_, index) =>
    slice(index, count, bytes.toString('base64', index * step, Math.min((index + 1) * step, encoded.length))),
  );
}

/**
 * Puts slices together again. Takes every record of a stream in order: slices that are abandoned (their writer died, its
 * successor publishes a leader record and then the whole change again) are dropped by whatever follows them.
 */
export class SliceAssembler {
  readonly #maxBytes: number;
  readonly #decoder: RecordDecoder;
  /** What the slices carry, decoded as they come: kept as text it would be there twice in the end. */
  #pieces: Buffer[] = [];
  #first: SliceRecord | undefined;
  #bytes = 0;

  /** `maxBytes` bounds the memory of one assembly; writers stay below it by publishing an `oversize` change instead. */
  constructor(options: { readonly maxBytes?: number; readonly decoder?: RecordDecoder } = {}) {
    this.#maxBytes = options.maxBytes ?? MAX_SLICED_BYTES;
    this.#decoder = options.decoder ?? new RecordDecoder();
  }

  /** Slices that wait for the rest of their record. */
  get pending(): number {
    return this.#pieces.length;
  }

  /**
   * A whole record is returned as it is; the last slice returns the record it completes; other slices return undefined,
   * as do slices whose first one was never seen (reading began between them: `prev` of the next record shows the hole).
   * Throws a plain Error when the digest does not match or a record outgrows `maxBytes`: read the messages again.
   */
  accept(record: TxRecord): Exclude<TxRecord, SliceRecord> | undefined {
    if (record.kind !== 'slice') {
      this.reset();
      return record;
    }
    if (record.index === 0) this.reset();
    if (!this.#continues(record)) {
      this.reset();
      return undefined;
    }
    const piece = Buffer.from(record.text, 'base64');
    this.#first ??= { ...record, text: '' };
    this.#pieces.push(piece);
    this.#bytes += piece.length;
    if (this.#bytes > this.#maxBytes) {
      this.reset();
      throw new Error(`a sliced tx-stream record is larger than ${this.#maxBytes} bytes`);
    }
    return this.#pieces.length === record.count ? this.#complete(record) : undefined;
  }

  reset(): void {
    this.#pieces = [];
    this.#first = undefined;
    this.#bytes = 0;
  }

  #continues(record: SliceRecord): boolean {
    if (record.index !== this.#pieces.length || record.index >= record.count) return false;
    const first = this.#first ?? record;
    return first.digest === record.digest && first.count === record.count && first.epoch === record.epoch;
  }

  #complete(last: SliceRecord): Exclude<TxRecord, SliceRecord> {
    const encoded = Buffer.concat(this.#pieces);
    this.reset();
    if (sha256(encoded) !== last.digest) throw new Error('a sliced tx-stream record does not match its digest');
    const record = this.#decoder.decode(encoded);
    if (record.kind === 'slice') throw new Error('a sliced tx-stream record contains a slice');
    return record;
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
