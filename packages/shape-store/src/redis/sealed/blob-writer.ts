import { setImmediate } from 'node:timers/promises';
import type { CompactEntry } from '../../compaction.ts';
import { encodeId } from '../codec.ts';
import { randomToken, type StoreContext } from '../context.ts';
import type { ShardKeys } from '../keys.ts';
import { blobPut } from '../scripts/blob-put.ts';
import { encodeTable, type BlobRef, type BlockInfo } from './blob.ts';
import { encodeBlock } from './block.ts';

/**
 * Writes entries as a blob, block by block. Until a chunk names it the blob counts as unused, from its first block on: if its
 * writer goes away, `sweep` deletes it.
 */
export class BlobWriter {
  readonly #context: StoreContext;
  readonly #keys: ShardKeys;
  readonly #handle: string;
  readonly #token = randomToken();
  readonly #blocks: BlockInfo[] = [];
  #entries: CompactEntry[] = [];
  #jsonBytes = 0;
  #heldBytes = 0;

  constructor(context: StoreContext, keys: ShardKeys, handle: string) {
    this.#context = context;
    this.#keys = keys;
    this.#handle = handle;
  }

  async add(entry: CompactEntry): Promise<void> {
    this.#entries.push(entry);
    this.#jsonBytes += entry.bytes.length;
    if (this.#jsonBytes >= this.#context.limits.sealBlockBytes) await this.#flush();
  }

  /** The blob, with `compacted` as given. There must be entries. */
  async end(compacted: boolean): Promise<BlobRef> {
    if (this.#entries.length > 0) await this.#flush();
    await this.#put(Buffer.from(encodeTable(this.#blocks)), true);
    return {
      token: this.#token,
      blocks: this.#blocks.length,
      entries: this.#blocks.reduce((sum, { entries }) => sum + entries, 0),
      jsonBytes: this.#blocks.reduce((sum, { jsonBytes }) => sum + jsonBytes, 0),
      heldBytes: this.#heldBytes,
      compacted,
    };
  }

  async #flush(): Promise<void> {
    const bytes = await encodeBlock(this.#entries);
    const last = encodeId((this.#entries.at(-1) as CompactEntry).position);
    this.#blocks.push({ last, entries: this.#entries.length, jsonBytes: this.#jsonBytes });
    this.#heldBytes += bytes.length;
    this.#entries = [];
    this.#jsonBytes = 0;
    await this.#put(bytes, false);
    // Many small entries are work that others should not have to wait for.
    await setImmediate();
  }

  #put(bytes: Buffer, table: boolean): Promise<void> {
    return blobPut(this.#context, this.#keys, this.#handle, this.#token, bytes, table);
  }
}
