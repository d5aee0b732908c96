import { Shape, ShapeStream, type Message, type Row, type ShapeStreamInterface } from '@electric-sql/client';
import { afterEach, describe, expect, test } from 'vitest';
import { ApiFixture, change, until } from './testing/api-fixture.ts';

let fixture: ApiFixture | undefined;
let abort = new AbortController();
afterEach(async () => {
  abort.abort();
  abort = new AbortController();
  await fixture?.stop();
  fixture = undefined;
});

interface Item extends Row {
  readonly id: number;
  readonly title: string;
}

/** The unmodified official client against the handler. */
async function open(options: { readonly liveSse: boolean; readonly offset?: string; readonly handle?: string }) {
  const api = (fixture ??= await new ApiFixture({ longPollTimeoutMs: 1_000, chunkBytes: 1_000 }).start());
  const errors: unknown[] = [];
  const stream = new ShapeStream<Item>({
    url: `http://127.0.0.1:${api.api.port}/v1/shape`,
    params: { table: 'items', columns: ['id', 'title'] },
    signal: abort.signal,
    liveSse: options.liveSse,
    ...(options.offset === undefined ? {} : { offset: options.offset as '0_0', handle: options.handle as string }),
    onError: (err) => void errors.push(err),
  });
  const messages: Message<Item>[] = [];
  stream.subscribe((batch) => void messages.push(...batch));
  return { api, stream, shape: new Shape(stream as ShapeStreamInterface<Item>), messages, errors };
}

const ids = (shape: Shape<Item>) => shape.currentRows.map((item) => item.id).sort((a, b) => a - b);

describe.each([{ liveSse: false }, { liveSse: true }])('the TypeScript client, live_sse $liveSse', (mode) => {
  test('syncs, follows changes, and survives a rotation', async () => {
    const { api, stream, shape, errors } = await open(mode);
    await shape.rows;
    expect(ids(shape)).toEqual([1, 2]);
    expect(shape.currentRows[0]?.id).toBeTypeOf('number');

    const expected = [1, 2];
    for (let number = 3; number <= 60; number += 1) {
      const lsn = BigInt(number) * 1_000n;
      await api.router.commit([{ lsn, entries: { [stream.shapeHandle as string]: [change(number, lsn)] } }]);
      expected.push(number);
      if (number % 10 === 0) await until(() => ids(shape).length === expected.length);
    }
    expect(ids(shape)).toEqual(expected);

    const before = stream.shapeHandle as string;
    await api.router.rotate(before);
    await until(() => stream.shapeHandle !== before && shape.currentRows.length === 2);
    expect(ids(shape)).toEqual([1, 2]);
    const after = stream.shapeHandle as string;
    await api.router.commit([{ lsn: 90_000n, entries: { [after]: [change(9, 90_000n)] } }]);
    await until(() => ids(shape).includes(9));
    expect(errors).toEqual([]);
  });

  test('stays with its handle through timeouts', async () => {
    const { api, stream, shape, messages, errors } = await open(mode);
    await shape.rows;
    const handle = stream.shapeHandle;
    const upToDates = () => messages.filter((message) => message.headers.control === 'up-to-date').length;
    if (!mode.liveSse) await until(() => upToDates() >= 3);
    await api.router.commit([{ lsn: 5_000n, entries: { [handle as string]: [change(3, 5_000n)] } }]);
    await until(() => ids(shape).length === 3);
    expect(stream.shapeHandle).toBe(handle);
    expect(errors).toEqual([]);
  });

  test('goes on from a stored place, and starts over when its handle is gone', async () => {
    const first = await open(mode);
    await first.shape.rows;
    const handle = first.stream.shapeHandle as string;
    await first.api.router.commit([{ lsn: 5_000n, entries: { [handle]: [change(3, 5_000n)] } }]);
    const resumed = await open({ ...mode, offset: '0_inf', handle });
    await until(() => resumed.messages.some((message) => 'key' in message));
    expect(resumed.messages.filter((message) => 'key' in message)).toHaveLength(1);

    await first.api.router.rotate(handle);
    const stale = await open({ ...mode, offset: '5000_0', handle });
    await until(() => stale.shape.currentRows.length === 2);
    expect(stale.messages.filter((message) => message.headers.control === 'must-refetch')).toHaveLength(1);
    expect(stale.errors).toEqual([]);
  });
});
