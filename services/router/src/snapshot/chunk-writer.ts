/** Takes a piece of a snapshot chunk: rows separated by commas. `close` says that it is the chunk's last. */
export type WritePiece = (piece: {
  readonly chunk: number;
  readonly bytes: Uint8Array;
  readonly close: boolean;
}) => Promise<void>;

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
  #chunk = 0;
  #chunkSize = 0;
  #rows: string[] = [];
  #rowBytes = 0;
  #started = false;

  constructor(write: WritePiece, options: { readonly chunkBytes: number }) {
    this.#write = write;
    this.#chunkBytes = options.chunkBytes;
  }

  /** Adds rows. The first ones are written at once, because readers wait for them (CH-8). */
  async add(rows: Iterable<string>): Promise<void> {
    for (const row of rows) await this.#addRow(row);
    if (this.#rows.length > 0 && (!this.#started || this.#rowBytes >= WORTHWHILE_BYTES)) await this.#flush(false);
  }

  /** Adds the control message that ends a snapshot, and closes the last chunk (CH-6). */
  async end(message: string): Promise<void> {
    this.#rows.push(message);
    await this.#flush(true);
  }

  async #addRow(row: string): Promise<void> {
    const bytes = Buffer.byteLength(row);
    if (this.#rows.length > 0 && this.#rowBytes + bytes + 1 > MAX_PIECE_BYTES) await this.#flush(false);
    this.#rows.push(row);
    this.#rowBytes += bytes + 1;
    this.#chunkSize += bytes + 1;
    if (this.#chunkSize >= this.#chunkBytes) await this.#flush(true);
  }

  async #flush(close: boolean): Promise<void> {
    const bytes = Buffer.from(this.#rows.join(','));
    this.#rows = [];
    this.#rowBytes = 0;
    this.#started = true;
    await this.#write({ chunk: this.#chunk, bytes, close });
    if (!close) return;
    this.#chunk += 1;
    this.#chunkSize = 0;
  }
}
