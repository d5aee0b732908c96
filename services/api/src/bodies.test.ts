import { randomBytes } from 'node:crypto';
import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, row, until } from './testing/api-fixture.ts';
import { counted } from './testing/counted-store.ts';
import { SNAPSHOT_END_JSON } from './testing/router-stand-in.ts';

/** Where bodies come from: the store or the pod's cache, whole or in parts, and what of it is shared. */
let fixture: ApiFixture | undefined;
afterEach(async () => {
  await fixture?.stop();
  fixture = undefined;
});

/** More than the API reads from the store in one call. */
const CHUNK = 1_000_000;
/** Rows and entries of 10 kB, so that chunks are large and quickly made. */
const FAT = Array.from({ length: 40 }, () => randomBytes(5_000).toString('hex'));
const fatRow = (number: number) => row(number, FAT[number % FAT.length]);
const fatChange = (number: number, lsn: bigint, op: number) =>
  change(number, lsn, op).replace(`row ${number}`, FAT[number % FAT.length] as string);

async function start(
  options: ConstructorParameters<typeof ApiFixture>[0] = {},
  before?: (name: string) => Promise<void> | void,
) {
  const { store, calls } = counted(openMemoryShapeStore(systemClock), before);
  const api = new ApiFixture(
    { chunkBytes: CHUNK, longPollTimeoutMs: 60_000, notifyPollMs: 60_000, ...options },
    { store },
  );
  fixture = api;
  api.router.rows.set('items', snapshotRows());
  await api.start();
  return { api, calls, handle: await api.handle() };
}

async function anotherPod(of: ApiFixture, options: ConstructorParameters<typeof ApiFixture>[0]): Promise<ApiFixture> {
  const { messaging, store, source } = of;
  const other = new ApiFixture({ source, chunkBytes: CHUNK, ...options }, { messaging, store });
  await other.api.start(new AbortController().signal);
  return other;
}

/** Two snapshot chunks: one of 100 rows in pieces of ten, and a small one. */
function snapshotRows(): string[][] {
  const piece = (from: number) => Array.from({ length: 10 }, (_, i) => fatRow(from + i)).join(',');
  return [Array.from({ length: 10 }, (_, i) => piece(10 * i)), [fatRow(100)]];
}

/** One transaction of `count` entries: full chunks, and an open one. */
async function commit(api: ApiFixture, handle: string, lsn: bigint, count: number): Promise<string[]> {
  const entries = Array.from({ length: count }, (_, i) => fatChange(i, lsn, 2 * i));
  await api.router.commit([{ lsn, entries: { [handle]: entries } }]);
  return entries;
}

/** Everything from the beginning, as one text per answer with its offsets, until up to date. */
async function readAll(api: ApiFixture, handle: string): Promise<string[]> {
  const answers: string[] = [];
  for (let offset = '-1'; ;) {
    const reply = await api.shape(`offset=${offset}&handle=${handle}`);
    expect(reply.status).toBe(200);
    answers.push(`${reply.headers['electric-offset'] as string} ${reply.headers.etag as string} ${reply.text}`);
    offset = reply.headers['electric-offset'] as string;
    if (reply.headers['electric-up-to-date'] !== undefined) return answers;
  }
}

describe('bodies of chunks', () => {
  test('are the same from the store and from the cache, whole and in parts', async () => {
    const cached = await start();
    const entries = await commit(cached.api, cached.handle, 5_000n, 250);
    const first = await readAll(cached.api, cached.handle);
    const reads = { ...cached.calls };
    expect(await readAll(cached.api, cached.handle)).toEqual(first);
    // The second time only the open end of the log was read.
    expect((cached.calls.readSnapshot ?? 0) - (reads.readSnapshot ?? 0)).toBe(0);
    expect((cached.calls.readLog ?? 0) - (reads.readLog ?? 0)).toBeLessThanOrEqual(3);

    const messages = first.flatMap((answer) => JSON.parse(answer.slice(answer.indexOf('['))) as unknown[]);
    const rows = Array.from({ length: 101 }, (_, i) => JSON.parse(fatRow(i)) as unknown);
    const end = JSON.parse(SNAPSHOT_END_JSON) as unknown;
    expect(messages.slice(0, -1)).toEqual([...rows, end, ...entries.map((json) => JSON.parse(json) as unknown)]);

    // A pod without cache that reads the same store.
    const other = await anotherPod(cached.api, { chunkCacheBytes: 0 });
    expect(await readAll(other, cached.handle)).toEqual(first);
    await other.api.stop();
  });

  test('keep within their bound', async () => {
    const { api, calls, handle } = await start({ chunkCacheBytes: 2.5 * CHUNK });
    await commit(api, handle, 5_000n, 450);
    for (let round = 0; round < 3; round += 1) {
      await readAll(api, handle);
      expect(api.api.report().chunkCacheBytes).toBeLessThanOrEqual(2.5 * CHUNK);
      expect(api.api.report().chunkCacheBytes).toBeGreaterThan(CHUNK);
    }
    // Five chunks, one after the other, through a cache of two: it helps nobody, and harms nobody.
    expect(calls.readLog).toBeGreaterThan(3 * 4);
  });

  test('are read once for all who ask at the same time', async () => {
    const gate = Promise.withResolvers<void>();
    let gated = false;
    const { api, calls, handle } = await start({}, (name) =>
      gated && (name === 'readLog' || name === 'readSnapshot') ? gate.promise : undefined,
    );
    await commit(api, handle, 5_000n, 250);
    gated = true;
    const before = { ...calls };
    const paths = [`offset=0_inf&handle=${handle}`, `offset=0_0&handle=${handle}`];
    const replies = paths.map((path) => Array.from({ length: 30 }, () => api.shape(path)));
    await until(() => api.api.report().inProgress === 60);
    await until(() => (calls.readLog ?? 0) > (before.readLog ?? 0));
    gate.resolve();
    for (const same of replies) {
      expect(new Set((await Promise.all(same)).map((reply) => reply.text)).size).toBe(1);
    }
    // A chunk of 1 MB takes five reads of 256 KiB, however many want it; the other one takes one.
    expect((calls.readLog ?? 0) - (before.readLog ?? 0)).toBeLessThanOrEqual(5);
    expect((calls.readSnapshot ?? 0) - (before.readSnapshot ?? 0)).toBe(1);
  });

  test.each([
    ['a log', '0_inf', 'readLog'],
    ['a snapshot', '-1', 'readSnapshot'],
  ])('of %s begin to arrive before they are complete', async (_, offset, method) => {
    const gate = Promise.withResolvers<void>();
    let reads = -Infinity;
    const { api, handle } = await start({}, (name) => {
      if (name !== method) return undefined;
      reads += 1;
      return reads > 2 ? gate.promise : undefined;
    });
    await commit(api, handle, 5_000n, 250);
    const other = await anotherPod(api, {});
    await other.shape(`offset=0_0&handle=${handle}`);
    reads = 0;
    const reply = await fetch(
      `http://127.0.0.1:${other.api.port}/v1/shape?table=items&offset=${offset}&handle=${handle}`,
    );
    const reader = (reply.body as ReadableStream<Uint8Array>).getReader();
    const { value } = await reader.read();
    expect(Buffer.from(value as Uint8Array).toString('latin1', 0, 8)).toBe('[{"key":');
    gate.resolve();
    let length = (value as Uint8Array).length;
    for (let next = await reader.read(); !next.done; next = await reader.read()) length += next.value.length;
    expect(length).toBeGreaterThan(CHUNK);
    await other.api.stop();
  });

  test('a chunk that ends at the tail is not kept, because it says that it is up to date', async () => {
    const { api, handle } = await start();
    await commit(api, handle, 5_000n, 1 + Math.floor(CHUNK / change(0, 5_000n).length / 70));
    await until(async () => (await readAll(api, handle)).length > 0);
    const chunk = `offset=0_inf&handle=${handle}`;
    const tail = await api.shape(chunk);
    expect(tail.headers).toHaveProperty('electric-up-to-date');
    await commit(api, handle, 6_000n, 1);
    const later = await api.shape(chunk);
    expect(later.json.at(-1)?.headers['control']).toBe('up-to-date');
    expect(later.json.length).toBe(tail.json.length + 1);
  });

  test('a rotated handle is refused at once, whatever is kept of it', async () => {
    const { api, handle } = await start();
    await commit(api, handle, 5_000n, 250);
    await readAll(api, handle);
    await api.router.rotate(handle);
    for (const offset of ['0_0', '0_inf']) {
      const reply = await api.shape(`offset=${offset}&handle=${handle}`);
      expect([offset, reply.status]).toEqual([offset, 409]);
    }
  });

  test('a HEAD and a revalidation of what is kept transfer no body', async () => {
    const { api, handle } = await start();
    await commit(api, handle, 5_000n, 250);
    const path = `offset=0_inf&handle=${handle}`;
    const reply = await api.shape(path);
    const again = await api.shape(path, { headers: { 'if-none-match': reply.headers.etag as string } });
    expect([again.status, again.text]).toEqual([304, '']);
    const head = await api.shape(path, { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', String(reply.text.length)]);
    await until(() => api.api.report().inProgress === 0);
  });
});

describe('a store that fails in the middle of a body', () => {
  /** Fails every call of that name after the first `good` ones. */
  const failing = (method: string) => {
    let good = Infinity;
    return {
      before: (name: string) => {
        if (name !== method) return undefined;
        good -= 1;
        return good < 0 ? Promise.reject(new Error('the store is gone')) : undefined;
      },
      after: (calls: number) => (good = calls),
    };
  };

  test.each([
    ['log', 'readLog', '0_inf', 134_217_728],
    ['log, not shared', 'readLog', '0_inf', 0],
    ['snapshot', 'readSnapshot', '-1', 134_217_728],
    ['snapshot, not shared', 'readSnapshot', '-1', 0],
  ])('cuts the answer short in a way that shows: %s', async (_, method, offset, chunkCacheBytes) => {
    const store = failing(method);
    const { api, handle } = await start({ chunkCacheBytes }, store.before);
    await commit(api, handle, 5_000n, 250);
    // It keeps nothing yet.
    const other = await anotherPod(api, { chunkCacheBytes });
    await other.shape(`offset=0_0&handle=${handle}`);
    store.after(2);
    const answers = await Promise.allSettled([1, 2, 3].map(() => other.shape(`offset=${offset}&handle=${handle}`)));
    for (const answer of answers) {
      // Those who come later fail at their first call already, and that is an ordinary 500.
      if (answer.status === 'fulfilled') expect(answer.value.status).toBe(500);
      else expect(String(answer.reason)).toMatch(/broke off|aborted/);
    }
    expect(answers.some((answer) => answer.status === 'rejected')).toBe(true);
    store.after(Infinity);
    const whole = await other.shape(`offset=${offset}&handle=${handle}`);
    expect([whole.status, whole.json.length > 50]).toEqual([200, true]);
    await until(() => other.api.report().inProgress === 0);
    await other.api.stop();
  });
});
