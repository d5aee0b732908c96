import type { KeyTexts } from '@shapecast/change-source';

/** Where a row of a snapshot is put. */
export interface ChunkPlace {
  readonly chunk: number;
  /** Of the chunk so far, as its end is counted. */
  readonly bytes: number;
}

/** A row as it is stored. */
export interface EncodedRow {
  readonly text: string;
  /** Where the snapshot can be gone on with. */
  readonly key?: KeyTexts | undefined;
}

/** A piece of a snapshot chunk: rows separated by commas. */
export interface Piece {
  readonly chunk: number;
  readonly bytes: Uint8Array;
  readonly close: boolean;
  readonly rows: number;
  /** Of its last row, or an earlier one if it has none. */
  readonly key?: KeyTexts | undefined;
  /** Where the next one belongs. */
  readonly next: ChunkPlace;
}

export type WritePiece = (piece: Piece) => Promise<void>;

/** Largest piece, unless a single row is larger. */
const MAX_PIECE_BYTES = 1024 * 1024;
/** A piece of at least this size is not held back for more rows. */
const WORTHWHILE_BYTES = 256 * 1024;

/**
 * Cuts the messages of a snapshot into chunks and writes them in pieces as they come. A chunk is closed by the row that brings
 * it to `chunkBytes`, counting the JSON bytes of each row and one more for its separator (spec R 11.5.3).
 */
export class ChunkWriter {
  readonly #write: WritePiece;
  readonly #chunkBytes: number;
  #chunk: number;
  #chunkSize: number;
  #key: KeyTexts | undefined;
  #rows: string[] = [];
  #rowBytes = 0;
  #started = false;

  /** `from` is where the first row belongs, and the key of the row before it. */
  constructor(
    write: WritePiece,
    options: { readonly chunkBytes: number },
    from: { readonly next: ChunkPlace; readonly key?: KeyTexts } = { next: { chunk: 0, bytes: 0 } },
  ) {
    this.#write = write;
    this.#chunkBytes = options.chunkBytes;
    this.#chunk = from.next.chunk;
    this.#chunkSize = from.next.bytes;
    this.#key = from.key;
  }

  /** Adds rows. The first ones are written at once, because readers wait for them (CH-8). */
  async add(rows: Iterable<EncodedRow>): Promise<void> {
    for (const row of rows) await this.#addRow(row);
    if (this.#rows.length > 0 && (!this.#started || this.#rowBytes >= WORTHWHILE_BYTES)) await this.#flush(false);
  }

  /** Writes what is held back. */
  async flush(): Promise<void> {
    if (this.#rows.length > 0) await this.#flush(false);
  }

  /** Adds the control message that ends a snapshot, and closes the last chunk (CH-6). */
  async end(message: string): Promise<void> {
    this.#rows.push(message);
    await this.#flush(true);
  }

  async #addRow({ text, key }: EncodedRow): Promise<void> {
    const bytes = Buffer.byteLength(text);
    if (this.#rows.length > 0 && this.#rowBytes + bytes + 1 > MAX_PIECE_BYTES) await this.#flush(false);
    this.#rows.push(text);
    this.#key = key;
    this.#rowBytes += bytes + 1;
    this.#chunkSize += bytes + 1;
    if (this.#chunkSize >= this.#chunkBytes) await this.#flush(true);
  }

  async #flush(close: boolean): Promise<void> {
    const bytes = Buffer.from(this.#rows.join(','));
    const rows = this.#rows.length;
    const chunk = this.#chunk;
    this.#rows = [];
    this.#rowBytes = 0;
    this.#started = true;
    if (close) {
      this.#chunk += 1;
      this.#chunkSize = 0;
    }
    const next = { chunk: this.#chunk, bytes: this.#chunkSize };
    await this.#write({ chunk, bytes, close, rows, key: this.#key, next });
  }
}
