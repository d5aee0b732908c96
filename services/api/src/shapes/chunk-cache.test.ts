import { SNAPSHOT_END } from '@shapecast/log';
import { describe, expect, test } from 'vitest';
import type { Body } from './body.ts';
import { ChunkCache, type BodySource } from './chunk-cache.ts';

/** What an entry is counted as besides its bytes. */
const ENTRY = 1024;
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** A cache for `count` bodies of `size` bytes. */
const roomFor = (count: number, size = 1_000) =>
  new ChunkCache({ maxBytes: count * (size + ENTRY), expectedBytes: size });

/** Bodies that are delivered when the test says so. */
function sources() {
  const begun: string[] = [];
  const signals: AbortSignal[] = [];
  const source = (name: string, size = 1_000): BodySource =>
    async function* (signal) {
      begun.push(name);
      signals.push(signal);
      yield Buffer.alloc(size / 2, name);
      await turn();
      yield Buffer.alloc(size / 2, name);
    };
  return { begun, signals, source };
}

async function text(body: Body | undefined): Promise<string> {
  if (body === undefined) throw new Error('no body');
  const pieces: Uint8Array[] = [];
  for await (const piece of body.pieces()) pieces.push(piece);
  body.release();
  return Buffer.concat(pieces).toString();
}

describe('ChunkCache', () => {
  test('reads a body once for all who ask for it, during the read and after it', async () => {
    const cache = roomFor(1);
    const { begun, source } = sources();
    const open = () => cache.open('a', SNAPSHOT_END, source('a'), true);
    const first = open();
    const second = open();
    expect(first?.whole).toBeUndefined();
    expect(await Promise.all([text(first), text(second)])).toEqual(['a'.repeat(1_000), 'a'.repeat(1_000)]);
    const third = open();
    expect(third?.whole?.map((piece) => piece.length)).toEqual([500, 500]);
    expect(await text(third)).toBe('a'.repeat(1_000));
    expect(begun).toEqual(['a']);
    expect(cache.endOf('a')).toEqual(SNAPSHOT_END);
  });

  test('makes room by dropping what was used longest ago, by bytes', async () => {
    const cache = roomFor(3);
    const { begun, source } = sources();
    const read = (name: string) => text(cache.open(name, SNAPSHOT_END, source(name), true));
    for (const name of ['a', 'b', 'c', 'a', 'd']) await read(name);
    expect(['a', 'b', 'c', 'd'].map((name) => cache.endOf(name) !== undefined)).toEqual([true, false, true, true]);
    expect(cache.bytes).toBe(3 * (1_000 + ENTRY));
    await read('b');
    expect(begun).toEqual(['a', 'b', 'c', 'd', 'b']);
  });

  test('counts small bodies with what they cost', () => {
    const cache = roomFor(3);
    for (let i = 0; i < 1_000; i += 1) cache.put(String(i), SNAPSHOT_END, Buffer.from('x'));
    expect(cache.bytes).toBeLessThanOrEqual(3 * (1_000 + ENTRY));
    expect(cache.endOf('999')).toBeDefined();
    expect(cache.endOf('0')).toBeUndefined();
  });

  test('never drops what somebody is sending: when all is being sent there is no room', async () => {
    const cache = roomFor(2);
    const { source } = sources();
    const open = (name: string) => cache.open(name, SNAPSHOT_END, source(name), true);
    const a = open('a');
    const b = open('b');
    await turn();
    await turn();
    expect(open('c')).toBeUndefined();
    cache.put('d', SNAPSHOT_END, Buffer.from('x'));
    expect(cache.endOf('d')).toBeUndefined();
    expect(cache.bytes).toBe(2 * (1_000 + ENTRY));
    a?.release();
    a?.release();
    expect(await text(open('c'))).toBe('c'.repeat(1_000));
    expect(cache.endOf('a')).toBeUndefined();
    expect(await text(b)).toBe('b'.repeat(1_000));
  });

  test('a body larger than expected pushes others out as it grows', async () => {
    const cache = roomFor(4);
    const { source } = sources();
    for (const name of ['a', 'b', 'c']) await text(cache.open(name, SNAPSHOT_END, source(name), true));
    await text(cache.open('large', SNAPSHOT_END, source('large', 5_000), true));
    expect(cache.endOf('large')).toBeDefined();
    expect(cache.bytes).toBeLessThanOrEqual(4 * (1_000 + ENTRY));
  });

  test('a body that is good for a moment goes with its last reader', async () => {
    const cache = roomFor(1);
    const { begun, signals, source } = sources();
    const open = () => cache.open('a', SNAPSHOT_END, source('a'), false);
    const first = open();
    const second = open();
    await text(first);
    expect(cache.endOf('a')).toBeDefined();
    second?.release();
    expect([cache.endOf('a'), cache.bytes]).toEqual([undefined, 0]);
    open()?.release();
    expect(begun).toHaveLength(2);
    expect(signals[1]?.aborted).toBe(true);
    expect(cache.bytes).toBe(0);
  });

  test('a failed read breaks off for all who wait for it, and the next one starts anew', async () => {
    const cache = roomFor(1);
    let broken = true;
    const source: BodySource = async function* () {
      yield Buffer.from('begin');
      await turn();
      if (broken) throw new Error('the store is gone');
      yield Buffer.from(' end');
    };
    const open = () => cache.open('a', SNAPSHOT_END, source, true);
    const both = [text(open()), text(open())];
    for (const one of both) await expect(one).rejects.toThrow('the store is gone');
    expect(cache.bytes).toBe(0);
    broken = false;
    expect(await text(open())).toBe('begin end');
  });

  test('without room for anything it keeps nothing', () => {
    const cache = new ChunkCache({ maxBytes: 0, expectedBytes: 10 });
    expect(cache.open('a', SNAPSHOT_END, sources().source('a'), true)).toBeUndefined();
    cache.put('a', SNAPSHOT_END, Buffer.from('x'));
    expect([cache.endOf('a'), cache.bytes]).toEqual([undefined, 0]);
  });

  test('O 4.4 keys of one source mean nothing in the part of another', () => {
    const cache = roomFor(10);
    const [acme, bravo] = [cache.of('acme'), cache.of('bravo')];
    acme.put('1-1 chunk 0', SNAPSHOT_END, Buffer.from('of acme'));
    expect(bravo.take('1-1 chunk 0')).toBeUndefined();
    expect(bravo.endOf('1-1 chunk 0')).toBeUndefined();
    expect(cache.take('1-1 chunk 0')).toBeUndefined();
    expect(acme.take('1-1 chunk 0')?.whole).toEqual([Buffer.from('of acme')]);
  });

  test('of a source that is no more nothing is found, nothing is kept, and what is being sent is finished', async () => {
    const cache = roomFor(10);
    const [acme, bravo] = [cache.of('acme'), cache.of('bravo')];
    const { source } = sources();
    for (const part of [acme, bravo]) part.put('kept', SNAPSHOT_END, Buffer.from('x'));
    const sending = acme.open('sent', SNAPSHOT_END, source('a'), true);
    cache.forget('acme');
    expect(acme.take('kept')).toBeUndefined();
    expect(acme.take('sent')).toBeUndefined();
    expect(await text(sending)).toBe('a'.repeat(1_000));
    expect(cache.bytes).toBe(1 + ENTRY);
    bravo.take('kept')?.release();
    cache.forget('bravo');
    expect(cache.bytes).toBe(0);
  });
});
