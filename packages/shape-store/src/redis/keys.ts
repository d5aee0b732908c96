import type { ShardId } from '../shape-store.ts';

const KEY = /^shapecast:\{([^}]+)\.(\d+)\.(\d+)\}:([a-z])(?::([^:]+)(?::([^:]+))?)?$/;

export interface KeyPlace {
  readonly shard: ShardId;
  readonly data?: { readonly handle: string; /** Of a blob. */ readonly token?: string };
}

/** Hash tag of the keys of a source that belong to no shard. */
export function homeTag(source: string): string {
  return encodeURIComponent(source);
}

/** Whose the store is, for one source (`home.ts`): a hash of its own, on whatever node. */
export function homeKey(source: string): string {
  return `shapecast:{${homeTag(source)}}:home`;
}

/**
 * The keys of one shard. All carry the same hash tag, so that they live on one node and one script may touch them all
 * (spec R 12.2). Metadata of shapes sits in hashes of the shard rather than in a key per shape: a script has to name its
 * keys before it knows which shapes it meets, and an append reads and writes the heads of all its shapes with one command
 * each. Only bulk data has keys of its own.
 *
 * | key         | type   | content                                                                                     |
 * |-------------|--------|---------------------------------------------------------------------------------------------|
 * | `m`         | hash   | shard meta: epoch, owner, ver, cursor, part, vis, wm, xmin, floor, skip, issued, node          |
 * | `r`         | list   | safety ring: `<lsn>-<xid>`, commit order                                                     |
 * | `d`         | hash   | definition digest -> handles, separated by spaces                                            |
 * | `f`         | hash   | handle -> what never changes: registration, definition, log format unless 1, fingerprint     |
 * | `h`         | hash   | handle -> head: state, tail, counters (see `head.lua`)                                       |
 * | `a`         | hash   | handle -> snapshot attempt as JSON: token, lease, visibility, progress of the promotion      |
 * | `q`         | hash   | handle -> `<lsn>-<xid> `... of what its snapshot, not known yet, has to show                 |
 * | `v`         | list   | newest first: `<ver> <handle>`, what each version changed                                    |
 * | `c`         | zset   | closed log chunks: `<handle> <id of the last entry>`, all with score 0 (range by text);      |
 * |             |        | of a sealed chunk, ` <blob>` (see `blob.ts`) follows                                         |
 * | `x`         | zset   | dead handles awaiting deletion -> time of death in ms                                        |
 * | `l:<h>`     | stream | the log, created with its first entry; id = offset. Until the shape is live: the pending log |
 * | `e:<h>`     | stream | a copy of the pending log that is being made to take its place                                |
 * | `b:<h>:<n>` | list   | the pieces of snapshot chunk n, each as it was written or compressed                         |
 * | `z:<h>:<t>` | list   | a blob: the blocks of a sealed chunk, after their table                                      |
 * | `y`         | zset   | blobs that no chunk names, yet or any more: `<handle> <token>` -> time of the last use in ms |
 * | `k`         | set    | handles whose old entries are to be merged                                                   |
 * | `u`         | zset   | handles that were read -> when last, in ms                                                   |
 * | `w`         | zset   | handles that readers wait for -> until when that may be believed, in ms                       |
 *
 * LSNs, xids and stream ids are zero-padded decimals of 20 digits (`id` = two of them and a dash), so that scripts
 * compare them as text: a Lua number is a double (spec R 12.3.2a).
 */
export class ShardKeys {
  /** What decides in which slot of a cluster the keys are. */
  readonly tag: string;
  readonly #prefix: string;

  constructor(shard: ShardId) {
    this.tag = `${encodeURIComponent(shard.source)}.${shard.incarnation}.${shard.shard}`;
    this.#prefix = `shapecast:{${this.tag}}:`;
  }

  /** Which shard a key belongs to, and which shape's data it holds, if any. Undefined when it is not one of ours. */
  static parse(key: string): KeyPlace | undefined {
    const [, source, incarnation, shard, kind, handle, token] = KEY.exec(key) ?? [];
    if (source === undefined) return undefined;
    const id = { source: decodeURIComponent(source), incarnation: Number(incarnation), shard: Number(shard) };
    if (handle === undefined) return { shard: id };
    return { shard: id, data: { handle, ...(kind === 'z' && token !== undefined ? { token } : {}) } };
  }

  /** Of all keys of a source, for `SCAN`. */
  static ofSource(source: string): string {
    return `shapecast:{${encodeURIComponent(source).replace(/[*?[\]\\^]/g, '\\$&')}.*`;
  }

  get meta(): string {
    return `${this.#prefix}m`;
  }
  get ring(): string {
    return `${this.#prefix}r`;
  }
  get digests(): string {
    return `${this.#prefix}d`;
  }
  get definitions(): string {
    return `${this.#prefix}f`;
  }
  get heads(): string {
    return `${this.#prefix}h`;
  }
  get attempts(): string {
    return `${this.#prefix}a`;
  }
  get doubts(): string {
    return `${this.#prefix}q`;
  }
  get versions(): string {
    return `${this.#prefix}v`;
  }
  get chunks(): string {
    return `${this.#prefix}c`;
  }
  get dead(): string {
    return `${this.#prefix}x`;
  }
  get unusedBlobs(): string {
    return `${this.#prefix}y`;
  }
  get compacted(): string {
    return `${this.#prefix}k`;
  }
  get reads(): string {
    return `${this.#prefix}u`;
  }
  get waits(): string {
    return `${this.#prefix}w`;
  }
  blob(handle: string, token: string): string {
    return `${this.#prefix}z:${handle}:${token}`;
  }
  log(handle: string): string {
    return `${this.#prefix}l:${handle}`;
  }
  pendingCopy(handle: string): string {
    return `${this.#prefix}e:${handle}`;
  }
  snapshot(handle: string, chunk: number): string {
    return `${this.#prefix}b:${handle}:${chunk}`;
  }
}
