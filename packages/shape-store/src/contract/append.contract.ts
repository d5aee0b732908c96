import { formatOffset, type Lsn } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import {
  at,
  disposable,
  entry,
  FAILURE,
  follow,
  headOf,
  liveShape,
  newShard,
  offset,
  Owner,
  read,
  request,
  type OpenStore,
} from './fixtures.ts';

/** What append does to logs (spec R 12.3), what becomes visible and when (I4), and where chunks end (R 11.5). */
export function describeAppend(open: OpenStore): void {
  describe('append', () => {
    test('entries appear under their offsets, with their bytes, in the order of the stream', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const a = await liveShape(store, shard, 'a');
      const b = await liveShape(store, shard, 'b');
      const owner = await Owner.acquire(store, shard);
      const binary = String.raw`{"v":"ü€\u0000"}`;
      await owner.write(entry(a, at(10)), entry(b, at(10, 2)), entry(a, at(10, 4)), entry(b, at(11), binary));
      expect(await read(store, shard, a)).toEqual({
        offsets: ['10_0', '10_4'],
        texts: ['{"at":"10_0"}', '{"at":"10_4"}'],
        end: '10_4',
      });
      expect((await read(store, shard, b)).texts).toEqual(['{"at":"10_2"}', binary]);
      expect(await headOf(store, shard, a)).toMatchObject({ tail: offset(10, 4), visible: at(11), watermark: 11n });
    });

    test('bytes come back exactly as they were given', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      const all = Uint8Array.from({ length: 512 }, (_, i) => i % 256);
      const one = { ...entry(handle, at(10)), bytes: all.subarray(7, 400) };
      await owner.write(one);
      const { entries } = await store.readLog(shard, await headOf(store, shard, handle), offset(0, Infinity));
      expect(Buffer.compare(entries[0]?.bytes as Uint8Array, one.bytes)).toBe(0);
    });

    test('a log without entries ends at 0_inf, whatever the shard has seen', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.apply(owner.step([], 50n));
      const head = await headOf(store, shard, handle);
      expect(formatOffset(head.tail)).toBe('0_inf');
      expect(head).toMatchObject({ visible: at(50), watermark: 50n });
      expect((await read(store, shard, handle, head.tail)).end).toBe('0_inf');
    });

    test('T7 skips entries the log already has, and keeps their bytes', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(10), 'first'), entry(handle, at(12), 'second'));
      await owner.write(
        entry(handle, at(10), 'again'),
        entry(handle, at(11), 'too late'),
        entry(handle, at(12), 'again'),
        entry(handle, at(13), 'third'),
      );
      expect(await read(store, shard, handle)).toMatchObject({
        offsets: ['10_0', '12_0', '13_0'],
        texts: ['first', 'second', 'third'],
      });
    });

    test('drops entries of unknown and dead handles and takes the others', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const dead = await liveShape(store, shard, 'dead');
      const live = await liveShape(store, shard, 'live');
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(dead, at(10)));
      await store.rotate(shard, dead, FAILURE);
      await owner.write(entry(dead, at(11)), entry('1-1', at(11, 2)), entry(live, at(11, 4)));
      expect((await read(store, shard, live)).offsets).toEqual(['11_4']);
      expect((await read(store, shard, dead)).offsets).toEqual(['10_0']);
      expect(await store.readHead(shard, '1-1')).toBeUndefined();
    });

    test('a transaction that is applied half-way stays hidden, then appears as a whole in every shape', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const a = await liveShape(store, shard, 'a');
      const b = await liveShape(store, shard, 'b');
      const c = await liveShape(store, shard, 'c');
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(a, at(10)), entry(b, at(10, 2)));

      const { visible: _, ...half } = owner.step([entry(a, at(20)), entry(a, at(20, 2)), entry(c, at(20, 4))]);
      await owner.apply({ ...half, to: { ...half.to, openTxSeq: 2 }, watermark: 15n as Lsn });
      expect(await headOf(store, shard, a)).toMatchObject({ tail: offset(10), visible: at(10, 2), watermark: 15n });
      expect(formatOffset((await headOf(store, shard, c)).tail)).toBe('0_inf');
      expect((await read(store, shard, a)).offsets).toEqual(['10_0']);
      expect((await read(store, shard, c)).offsets).toEqual([]);
      const heads = await store.readHeads(shard, [a, b, 'nobody', c]);
      expect(heads.map((head) => head && formatOffset(head.tail))).toEqual(['10_0', '10_2', undefined, '0_inf']);

      await owner.write(entry(b, at(20, 6)));
      expect(await follow(store, shard, a)).toEqual([['10_0', '20_0', '20_2']]);
      expect(await follow(store, shard, b)).toEqual([['10_2', '20_6']]);
      expect(await follow(store, shard, c)).toEqual([['20_4']]);
    });

    test('a reader with an old head does not see what came later', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 20);
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(10), '0123456789'));
      const head = await headOf(store, shard, handle);
      await owner.write(entry(handle, at(11), '0123456789'), entry(handle, at(12), '0123456789'));
      const { entries, end } = await store.readLog(shard, head, offset(0, Infinity));
      expect(entries.map((one) => formatOffset(one.offset))).toEqual(['10_0']);
      expect(formatOffset(end)).toBe('10_0');
    });

    test('a successor that takes smaller steps shows exactly what it has applied', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const first = await Owner.acquire(store, shard);
      const { visible: _, ...unfinished } = first.step([10, 12, 14].map((lsn) => entry(handle, at(lsn))));
      await first.apply({ ...unfinished, to: first.state.cursor });
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('0_inf');

      const second = await Owner.acquire(store, shard);
      await second.write(entry(handle, at(10)), entry(handle, at(12)));
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('12_0');
      expect(await follow(store, shard, handle)).toEqual([['10_0', '12_0']]);
      await second.write(entry(handle, at(14)));
      expect(await follow(store, shard, handle)).toEqual([['10_0', '12_0', '14_0']]);
    });

    test('the visible position and the watermark never move back', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const owner = await Owner.acquire(store, shard);
      await owner.apply(owner.step([], 9223372036854775809n));
      await owner.apply({
        ...owner.step([]),
        visible: at(9223372036854775807n),
        watermark: 9223372036854775808n as Lsn,
      });
      expect(await store.readMeta(shard)).toMatchObject({
        visible: at(9223372036854775809n),
        watermark: 9223372036854775809n,
      });
    });

    test('tells ids apart that differ in the last bit of 64', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      const lsns = [
        9n,
        10n,
        9007199254740992n,
        9007199254740993n,
        9223372036854775806n,
        9223372036854775807n,
        9223372036854775808n,
        18446744073709551614n,
        18446744073709551615n,
      ];
      for (const lsn of lsns) {
        const step = owner.step([entry(handle, at(lsn), String(lsn))]);
        await owner.apply(step);
        await owner.apply({ ...step, to: { ...step.to, seq: step.to.seq + 1 } });
      }
      await owner.write(entry(handle, at(18446744073709551615n, Number.MAX_SAFE_INTEGER), 'the last one'));
      const { offsets, texts } = await read(store, shard, handle);
      expect(texts).toEqual([...lsns.map(String), 'the last one']);
      expect(offsets.at(-1)).toBe('18446744073709551615_9007199254740991');
      expect((await read(store, shard, handle, offset(9223372036854775807n))).offsets[0]).toBe('9223372036854775808_0');
      expect(await store.readMeta(shard)).toMatchObject({ visible: { lsn: 18446744073709551615n } });
    });

    test('a step of thousands of entries is applied as one', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handles = await Promise.all(Array.from({ length: 7 }, (_, i) => liveShape(store, shard, `t${i}`)));
      const owner = await Owner.acquire(store, shard);
      const entries = Array.from({ length: 3_000 }, (_, i) =>
        entry(handles[i % 7] as string, at(10 + i), `entry ${i}`),
      );
      await owner.write(...entries);
      const seen: string[] = [];
      for (const handle of handles) seen.push(...(await read(store, shard, handle)).texts);
      expect(seen.toSorted()).toEqual(entries.map((one) => Buffer.from(one.bytes).toString()).toSorted());
      expect((await store.readMeta(shard))?.visible).toEqual(at(3_009));
      expect((await store.readRing(shard, 5_000n as Lsn)).entries.map(({ lsn }) => Number(lsn))).toEqual(
        Array.from({ length: 3_000 }, (_, i) => 10 + i),
      );
    });

    test('entries larger than a call may carry are taken, and pages of them are read', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      const large = 'x'.repeat(1_500_000);
      await owner.write(entry(handle, at(10), large), entry(handle, at(11)), entry(handle, at(12), large));
      expect((await read(store, shard, handle)).texts.map((text) => text.length)).toEqual([1_500_000, 13, 1_500_000]);
    });

    test('a large step that lost its right to write shows nothing and moves nothing', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't');
      const owner = await Owner.acquire(store, shard);
      await owner.refresh();
      const step = owner.step(Array.from({ length: 1_200 }, (_, i) => entry(handle, at(10 + i))));
      const { handle: late } = await store.getOrCreate(shard, request('late'));
      expect(await owner.try(step)).toBe('ver');
      expect(formatOffset((await headOf(store, shard, handle)).tail)).toBe('0_inf');
      await owner.refresh();
      const again = owner.step([entry(late, at(9)), ...step.entries, entry(late, at(1_300))]);
      expect(await owner.try(again)).toBe('ok');
      expect((await follow(store, shard, handle)).flat()).toHaveLength(1_200);
    });
  });

  describe('chunks', () => {
    const ten = '0123456789';

    test('the entry that reaches the threshold closes the chunk', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 25);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...[1, 2, 3, 4, 5, 6, 7].map((lsn) => entry(handle, at(lsn), ten)));
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0', '3_0'], ['4_0', '5_0', '6_0'], ['7_0']]);
      expect((await read(store, shard, handle, offset(1))).offsets).toEqual(['2_0', '3_0']);
      expect((await read(store, shard, handle, offset(3))).offsets).toEqual(['4_0', '5_0', '6_0']);
      expect((await read(store, shard, handle, offset(3, 99))).offsets).toEqual(['4_0', '5_0', '6_0']);
      expect((await read(store, shard, handle, offset(2, 1))).offsets).toEqual(['3_0']);
      expect(await read(store, shard, handle, offset(7))).toMatchObject({ offsets: [], end: '7_0' });
      expect(await read(store, shard, handle, offset(8))).toMatchObject({ offsets: [], end: '8_0' });
    });

    test('a chunk can be read in pieces, which say from the first where it ends and whether it can grow', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 600);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: 100 }, (_, i) => entry(handle, at(i + 1), ten)));
      const head = await headOf(store, shard, handle);
      // What comes later, even what closes the chunk, is no part of a read that began before.
      await owner.write(...Array.from({ length: 100 }, (_, i) => entry(handle, at(i + 101), ten)));
      for (const [from, to, closed] of [
        [0, 60, true],
        [60, 100, false],
      ] as const) {
        const lsns: number[] = [];
        let pieces = 0;
        for (let after = offset(from), end = false; !end; pieces += 1) {
          const piece = await store.readLog(shard, head, after, 25);
          expect(piece.entries.length).toBeGreaterThan(0);
          expect(piece).toMatchObject({ upTo: offset(to), closed });
          lsns.push(...piece.entries.map((one) => Number(one.offset.tx)));
          after = piece.end;
          end = after.tx === piece.upTo.tx;
        }
        expect(lsns).toEqual(Array.from({ length: to - from }, (_, i) => from + 1 + i));
        expect(pieces).toBeGreaterThan(1);
        const whole = await store.readLog(shard, head, offset(from));
        expect(whole).toMatchObject({ end: offset(to), upTo: offset(to), closed });
      }
    });

    test('an entry larger than the threshold ends its chunk', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 25);
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(1), ten), entry(handle, at(2), ten.repeat(9)), entry(handle, at(3), ten));
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0'], ['3_0']]);
    });

    test('a threshold that was changed since does not move the boundaries of a shape that is there', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 25);
      const owner = await Owner.acquire(store, shard);
      const write = (...lsns: number[]) => owner.write(...lsns.map((lsn) => entry(handle, at(lsn), ten)));
      await write(1, 2, 3, 4);
      // Another pod asks for the same shape, with the new setting.
      expect(await store.getOrCreate(shard, request('t', 1_000))).toEqual({ handle, created: false });
      await write(5, 6, 7);
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0', '3_0'], ['4_0', '5_0', '6_0'], ['7_0']]);
      const fresh = await liveShape(store, shard, 'u', 1_000);
      await owner.write(...[10, 11, 12, 13].map((lsn) => entry(fresh, at(lsn), ten)));
      expect(await follow(store, shard, fresh)).toEqual([['10_0', '11_0', '12_0', '13_0']]);
    });

    test('boundaries do not depend on how entries were grouped into steps, nor on repeated steps', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const lsns = Array.from({ length: 40 }, (_, i) => i + 1);
      const text = (lsn: number) => 'x'.repeat(1 + ((lsn * 7) % 13));
      const once = await liveShape(store, shard, 'once', 25);
      const slowly = await liveShape(store, shard, 'slowly', 25);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...lsns.map((lsn) => entry(once, at(lsn), text(lsn))));
      for (const lsn of lsns) {
        const from = Math.max(1, lsn - 3);
        const entries = lsns.slice(from - 1, lsn).map((n) => entry(slowly, at(n), text(n)));
        await owner.apply({ ...owner.step(entries), visible: at(40) });
      }
      const responses = await follow(store, shard, once);
      expect(responses.length).toBeGreaterThan(8);
      expect(await follow(store, shard, slowly)).toEqual(responses);
    });

    test('a chunk that ends beyond the visible position is not announced', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 25);
      const owner = await Owner.acquire(store, shard);
      await owner.write(entry(handle, at(1), ten), entry(handle, at(2), ten));
      const { visible: _, ...half } = owner.step([entry(handle, at(5), ten), entry(handle, at(5, 2), ten)]);
      await owner.apply(half);
      expect(await follow(store, shard, handle)).toEqual([['1_0', '2_0']]);
      await owner.write(entry(handle, at(5, 4), ten));
      expect(await follow(store, shard, handle)).toEqual([
        ['1_0', '2_0', '5_0'],
        ['5_2', '5_4'],
      ]);
    });

    test('chunks of thousands of entries are read in full', async () => {
      await using store = disposable(await open());
      const shard = newShard();
      const handle = await liveShape(store, shard, 't', 30_000);
      const owner = await Owner.acquire(store, shard);
      await owner.write(...Array.from({ length: 4_500 }, (_, i) => entry(handle, at(i + 1), ten)));
      const responses = await follow(store, shard, handle);
      expect(responses.map((one) => one.length)).toEqual([3_000, 1_500]);
      expect(responses[1]?.[0]).toBe('3001_0');
    });
  });
}
