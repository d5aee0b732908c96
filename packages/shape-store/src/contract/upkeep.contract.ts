import { formatOffset } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import type { CompactEntry, EntryMerger } from '../compaction.ts';
import type { LogRead, ShapeHead, ShapeStore, ShardId } from '../shape-store.ts';
import {
  at,
  bytes,
  disposable,
  entry,
  FAILURE,
  follow,
  headOf,
  liveShape,
  newShard,
  NOTHING_VISIBLE,
  offset,
  Owner,
  read,
  request,
  snapshot,
  type OpenStore,
} from './fixtures.ts';

const ten = '0123456789';
const SMALL_BLOCKS = { sealBlockBytes: 15 };

/** Seals whatever can be. */
export async function sealAll(store: ShapeStore, shard: ShardId): Promise<number> {
  let chunks = 0;
  for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
    const step = await store.seal(shard, cursor);
    if (step.sealed) chunks += 1;
    cursor = step.cursor;
  }
  for (const { handle, snapshotToSeal } of (await store.scanShapes(shard)).shapes) {
    if (!snapshotToSeal) continue;
    for (let chunk: number | undefined = 0; chunk !== undefined;)
      chunk = await store.sealSnapshot(shard, handle, chunk);
  }
  return chunks;
}

/** Of the entries with the same key the last one stays, with the sum of what they stand for. */
export class LastWins implements EntryMerger {
  readonly #keyOf: (text: string) => string;
  readonly #entries = new Map<string, CompactEntry>();

  constructor(keyOf: (text: string) => string) {
    this.#keyOf = keyOf;
  }

  add({ position, bytes: json, merged }: CompactEntry): void {
    const key = this.#keyOf(Buffer.from(json).toString());
    const before = this.#entries.get(key)?.merged ?? 0;
    this.#entries.delete(key);
    this.#entries.set(key, { position, bytes: json, merged: merged + before });
  }

  entries(): Iterable<CompactEntry> {
    return this.#entries.values();
  }
}

/** Entries are `<key>=<value>`. */
const byKey = () => new LastWins((text) => text.split('=')[0] as string);

async function compactAll(store: ShapeStore, shard: ShardId, handle: string): Promise<void> {
  while ((await store.compact(shard, handle, byKey)) === 'more');
}

/** The texts of everything after an offset, following chunk ends. */
async function textsAfter(store: ShapeStore, shard: ShardId, handle: string, lsn: number): Promise<string[]> {
  const texts: string[] = [];
  for (let after = offset(lsn, lsn === 0 ? Infinity : 0); ;) {
    const got = await read(store, shard, handle, after);
    if (got.texts.length === 0) return texts;
    texts.push(...got.texts);
    const [tx, op] = got.end.split('_') as [string, string];
    after = offset(BigInt(tx), Number(op));
  }
}

/** Sealing (spec R 12.2.2), compaction (R 11.6) and sizes (R 11.7.1). */
export function describeUpkeep(open: OpenStore): void {
  describe('sealing', () => {
    const filled = async (chunkBytes: number, lsns: number, limits = SMALL_BLOCKS) => {
      const store = disposable(await open(limits));
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', chunkBytes);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: lsns }, (_, i) => entry(handle, at(i + 1), `${ten}${i + 1}`)));
      return { store, shard, handle, owner, [Symbol.asyncDispose]: () => store.close() };
    };

    test('changes nothing that a reader sees, from any offset and in pieces of any size', async () => {
      await using scope = await filled(100, 40);
      const { store, shard, handle } = scope;
      const head = await headOf(store, shard, handle);
      const everything = async () => {
        const reads: unknown[] = [];
        for (let after = 0; after <= 41; after += 1) {
          const { place: _, ...whole } = await store.readLog(shard, head, offset(after));
          reads.push({ ...whole, entries: whole.entries.map((one) => Buffer.from(one.bytes).toString()) });
          reads.push(await pieces(store, shard, head, after, 30));
        }
        return reads;
      };
      const before = await everything();
      await sealAll(store, shard);
      expect(await everything()).toEqual(before);
      expect(await headOf(store, shard, handle)).toEqual(head);
      // Again: nothing is left to seal.
      expect(await sealAll(store, shard)).toBe(0);
      expect(await everything()).toEqual(before);
    });

    test('goes on while the log grows', async () => {
      await using scope = await filled(100, 20);
      const { store, shard, handle, owner } = scope;
      await sealAll(store, shard);
      for (let lsn = 21; lsn <= 60; lsn += 5) {
        await owner.write(...[0, 1, 2, 3, 4].map((i) => entry(handle, at(lsn + i), `${ten}${lsn + i}`)));
        await sealAll(store, shard);
      }
      const texts = Array.from({ length: 60 }, (_, i) => `${ten}${i + 1}`);
      expect(await textsAfter(store, shard, handle, 0)).toEqual(texts);
      expect(await textsAfter(store, shard, handle, 17)).toEqual(texts.slice(17));
    });

    test('a reader with an old head reads what its head shows, also when its chunk was closed and sealed since', async () => {
      await using scope = await filled(1_000, 10);
      const { store, shard, handle, owner } = scope;
      const head = await headOf(store, shard, handle);
      await owner.write(...Array.from({ length: 200 }, (_, i) => entry(handle, at(100 + i), ten)));
      await sealAll(store, shard);
      const { entries, closed, end } = await store.readLog(shard, head, offset(4));
      expect(entries.map((one) => Number(one.offset.tx))).toEqual([5, 6, 7, 8, 9, 10]);
      expect([closed, formatOffset(end)]).toEqual([false, '10_0']);
    });

    test('a chunk that ends beyond the visible position stays open until it is visible', async () => {
      await using scope = await filled(50, 3);
      const { store, shard, handle, owner } = scope;
      const { visible: _, ...half } = owner.step([4, 5, 6, 7].map((op) => entry(handle, at(9, op), ten)));
      await owner.apply(half);
      await sealAll(store, shard);
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('3_0');
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0', '3_0']]);
      await owner.write(entry(handle, at(9, 8), ten));
      await sealAll(store, shard);
      expect((await follow(store, shard, handle)).flat()).toEqual([
        '1_0',
        '2_0',
        '3_0',
        '9_4',
        '9_5',
        '9_6',
        '9_7',
        '9_8',
      ]);
    });

    test('the tail of a log whose chunks are all sealed is known while a transaction is applied half-way', async () => {
      await using scope = await filled(22, 4);
      const { store, shard, handle, owner } = scope;
      await sealAll(store, shard);
      const { visible: _, ...half } = owner.step([entry(handle, at(9), ten)]);
      await owner.apply(half);
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('4_0');
      await store.rotate(shard, handle, FAILURE);
      expect(await headOf(store, shard, handle)).toMatchObject({ state: 'dead', tail: offset(4) });
      expect((await follow(store, shard, handle)).flat()).toEqual(['1_0', '2_0', '3_0', '4_0']);
      await store.sweep(shard, 0);
      expect(await store.readHead(shard, handle)).toBeUndefined();
    });

    test('entries larger than a block, and binary ones, come back as they were', async () => {
      await using store = disposable(await open(SMALL_BLOCKS));
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 600);
      const owner = await Owner.acquire(store, shard);
      const all = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
      await owner.write(
        entry(handle, at(18446744073709551614n), 'ü'),
        { ...entry(handle, at(18446744073709551615n, 7)), bytes: all },
        { ...entry(handle, at(18446744073709551615n, Number.MAX_SAFE_INTEGER)), bytes: all.subarray(3, 400) },
      );
      await sealAll(store, shard);
      const { entries } = await store.readLog(shard, await headOf(store, shard, handle), offset(0, Infinity));
      expect(entries.map((one) => formatOffset(one.offset))).toEqual([
        '18446744073709551614_0',
        '18446744073709551615_7',
        '18446744073709551615_9007199254740991',
      ]);
      expect(Buffer.compare(entries[2]?.bytes as Uint8Array, all.subarray(3, 400))).toBe(0);
    });

    test('a snapshot reads the same before and after, also from the middle of a chunk', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t'));
      const part = (chunk: number, text: string, close: boolean) => ({ chunk, bytes: bytes(text), close });
      await store.snapshotBegin(shard, handle, 'a');
      await store.snapshotKnown(shard, handle, 'a', NOTHING_VISIBLE);
      for (const [chunk, text, close] of [
        [0, 'a'.repeat(2_000), false],
        [0, 'b'.repeat(3_000), false],
        [0, 'short', true],
        [1, 'c'.repeat(5_000), true],
      ] as const) {
        await store.snapshotPart(shard, handle, 'a', part(chunk, text, close));
      }
      await store.snapshotDone(shard, handle, 'a');
      await store.promote(shard, handle, 100);
      const everything = async () => {
        const reads: unknown[] = [];
        for (const [chunk, from, maxBytes] of [
          [0, 0, 10_000],
          [0, 0, 3_500],
          [0, 1, 1],
          [0, 2, 1],
          [0, 3, 1],
          [1, 0, 1],
          [2, 0, 1],
        ] as const) {
          const got = await store.readSnapshot(shard, handle, chunk, from, maxBytes);
          reads.push(got && { ...got, parts: got.parts.map((one) => Buffer.from(one).toString()) });
        }
        return reads;
      };
      const before = await everything();
      await sealAll(store, shard);
      expect(await everything()).toEqual(before);
      expect((await store.scanShapes(shard)).shapes[0]?.snapshotToSeal).toBe(false);
    });
  });

  describe('sizes', () => {
    test('are the JSON bytes of log and snapshot, promoted entries included and dropped ones not', async () => {
      await using store = disposable(await open(SMALL_BLOCKS));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, request('t', 30));
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(1), ten), entry(handle, at(2), 'ü'));
      const visibility = { xmin: 102n, xmax: 102n, xip: [], insertLsn: 1n as never };
      await snapshot(store, shard, handle, visibility);
      await store.promote(shard, handle, 100);
      const use = async () => (await store.scanShapes(shard)).shapes;
      expect(await use()).toMatchObject([{ handle, state: 'live', logBytes: 2, snapshotBytes: 9, heldBytes: 11 }]);
      await owner.write(...[3, 4, 5, 6, 7].map((lsn) => entry(handle, at(lsn), ten)));
      expect(await use()).toMatchObject([{ logBytes: 52, snapshotBytes: 9, compaction: false }]);
      await sealAll(store, shard);
      expect(await use()).toMatchObject([{ logBytes: 52, snapshotBytes: 9, snapshotToSeal: false }]);
      await store.rotate(shard, handle, FAILURE);
      expect(await use()).toMatchObject([{ state: 'dead', logBytes: 52 }]);
    });

    test('pages of a large shard have every shape', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const created = await Promise.all(
        Array.from({ length: 1_200 }, (_, i) => store.getOrCreate(shard, request(`table ${i}`))),
      );
      const seen = new Set<string>();
      for (let cursor: string | undefined, first = true; first || cursor !== undefined; first = false) {
        const page = await store.scanShapes(shard, cursor);
        for (const { handle } of page.shapes) seen.add(handle);
        cursor = page.cursor;
      }
      expect(seen).toEqual(new Set(created.map(({ handle }) => handle)));
    });
  });

  describe('compaction', () => {
    /** Chunks of three entries of 10 bytes, of three keys that take turns unevenly. */
    const compactable = async (entries: number, compaction = true) => {
      const store = disposable(await open(SMALL_BLOCKS));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, { ...request('t', 30), compaction });
      await snapshot(store, shard, handle);
      await store.promote(shard, handle, 100);
      const owner = await Owner.acquire(store, shard);
      const text = (lsn: number) => `key${lsn % 7 === 0 ? 2 : lsn % 2}=${String(lsn).padStart(5, '0')}`;
      const write = (from: number, to: number) =>
        owner.write(...Array.from({ length: to - from + 1 }, (_, i) => entry(handle, at(from + i), text(from + i))));
      await write(1, entries);
      await sealAll(store, shard);
      return { store, shard, handle, text, write, [Symbol.asyncDispose]: () => store.close() };
    };

    const apply = (rows: Map<string, string>, texts: readonly string[]) => {
      for (const one of texts) rows.set(...(one.split('=') as [string, string]));
      return Object.fromEntries([...rows].toSorted());
    };

    test('leads to the same rows from every offset, and leaves the newest two chunks and the open one alone', async () => {
      await using scope = await compactable(40);
      const { store, shard, handle, text } = scope;
      const before = await follow(store, shard, handle);
      expect(before.length).toBe(14);
      await compactAll(store, shard, handle);
      const after = await follow(store, shard, handle);
      expect(after.length).toBeLessThan(before.length);
      expect(after.flat().length).toBeLessThan(before.flat().length);
      expect(after.slice(-3)).toEqual(before.slice(-3));
      const texts = Array.from({ length: 40 }, (_, i) => text(i + 1));
      const expected = apply(new Map(), texts);
      for (let lsn = 0; lsn <= 40; lsn += 1) {
        const rows = new Map<string, string>();
        apply(rows, texts.slice(0, lsn));
        expect(apply(rows, await textsAfter(store, shard, handle, lsn))).toEqual(expected);
      }
    });

    test('goes on as the log grows, and never touches what it left before', async () => {
      await using scope = await compactable(20);
      const { store, shard, handle, text, write } = scope;
      const use = async () => (await store.scanShapes(shard)).shapes[0]?.logBytes as number;
      for (let from = 21; from < 120; from += 20) {
        await compactAll(store, shard, handle);
        await write(from, from + 19);
        await sealAll(store, shard);
      }
      await compactAll(store, shard, handle);
      expect(apply(new Map(), await textsAfter(store, shard, handle, 0))).toEqual(
        apply(
          new Map(),
          Array.from({ length: 120 }, (_, i) => text(i + 1)),
        ),
      );
      // The size follows: what is left is far less than what was written, and is what is read.
      expect(await use()).toBeLessThan(120 * 10 * 0.8);
      expect((await textsAfter(store, shard, handle, 0)).join('').length).toBe(await use());
    });

    test('a reader in the middle of a chunk goes on in the chunk as it was', async () => {
      await using scope = await compactable(60);
      const { store, shard, handle, text } = scope;
      const head = await headOf(store, shard, handle);
      const begun = await Promise.all([0, 30, 33, 36].map((lsn) => store.readLog(shard, head, offset(lsn), 1)));
      await compactAll(store, shard, handle);
      for (const [i, lsn] of [0, 30, 33, 36].entries()) {
        let got = begun[i] as LogRead;
        const { upTo } = got;
        expect(got).toMatchObject({ closed: true, upTo: offset(lsn + 3) });
        const texts = got.entries.map((one) => Buffer.from(one.bytes).toString());
        while (got.end.tx < upTo.tx) {
          got = await store.readLog(shard, head, got.end, 1, got.place);
          texts.push(...got.entries.map((one) => Buffer.from(one.bytes).toString()));
        }
        expect(texts).toEqual([1, 2, 3].map((n) => text(lsn + n)));
      }
    });

    test('what a reader was in the middle of is there for the grace period, then it begins again', async () => {
      await using scope = await compactable(40);
      const { store, shard, handle } = scope;
      const head = await headOf(store, shard, handle);
      const first = await store.readLog(shard, head, offset(0), 1);
      expect(first.place).toBeDefined();
      await compactAll(store, shard, handle);
      await store.sweep(shard, 60_000);
      expect((await store.readLog(shard, head, first.end, 1, first.place)).entries.length).toBeGreaterThan(0);
      await store.sweep(shard, 0);
      await expect(store.readLog(shard, head, first.end, 1, first.place)).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
      });
      expect((await store.readLog(shard, head, offset(0))).entries.length).toBeGreaterThan(0);
    });

    test('a head from before does not show a part of a compacted chunk as if it were all up to its tail', async () => {
      await using store = disposable(await open(SMALL_BLOCKS));
      const shard = newShard();
      const { handle } = await store.getOrCreate(shard, { ...request('t', 30), compaction: true });
      await snapshot(store, shard, handle);
      await store.promote(shard, handle, 100);
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(1), 'key1=00001'), entry(handle, at(2), 'key2=00002'));
      const old = await headOf(store, shard, handle);
      await owner.write(...Array.from({ length: 20 }, (_, i) => entry(handle, at(3 + i), 'key1=00003')));
      await sealAll(store, shard);
      await compactAll(store, shard, handle);
      await expect(store.readLog(shard, old, offset(0))).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    });

    test('is for shapes that were made with it', async () => {
      await using scope = await compactable(40, false);
      const { store, shard, handle } = scope;
      const before = await follow(store, shard, handle);
      await compactAll(store, shard, handle);
      expect(await follow(store, shard, handle)).toEqual(before);
      expect((await store.getOrCreate(shard, { ...request('t', 30), compaction: true })).created).toBe(false);
      expect((await store.scanShapes(shard)).shapes).toMatchObject([{ compaction: false }]);
    });

    test('a dead shape keeps what its readers may still read, and is deleted with all it had', async () => {
      await using scope = await compactable(40);
      const { store, shard, handle } = scope;
      await compactAll(store, shard, handle);
      const before = await follow(store, shard, handle);
      await store.rotate(shard, handle, FAILURE);
      await compactAll(store, shard, handle);
      expect(await follow(store, shard, handle)).toEqual(before);
      const head = await headOf(store, shard, handle);
      await store.sweep(shard, 0);
      expect(await store.readHead(shard, handle)).toBeUndefined();
      expect(await store.readLog(shard, head, offset(0))).toMatchObject({ entries: [] });
    });
  });
}

/** Reads to the end of the range in pieces, handing back the place each time. */
async function pieces(store: ShapeStore, shard: ShardId, head: ShapeHead, from: number, maxBytes: number) {
  const texts: string[] = [];
  let got = await store.readLog(shard, head, offset(from), maxBytes);
  const { upTo, closed } = got;
  for (;;) {
    texts.push(...got.entries.map((one) => Buffer.from(one.bytes).toString()));
    if (got.entries.length === 0 || got.end.tx >= got.upTo.tx) return { texts, upTo, closed };
    got = await store.readLog(shard, head, got.end, maxBytes, got.place);
  }
}
