import { isShapecastError } from '@shapecast/errors';
import { systemClock } from '@shapecast/service-kit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshStreamId, take, text, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';
import type { StoredMessage, TxStream } from './tx-stream.ts';

const BUFFER = { maxBufferedBytes: 1024 * 1024 };

/** What every implementation of TxStream promises. */
export function describeTxStream(name: string, open: OpenMessaging): void {
  describe(`tx stream of ${name}`, () => {
    let pair: MessagingPair;
    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    const fresh = (): Promise<TxStream> => pair.one.txStreams.create(freshStreamId());
    /** Stores m1..m<count> in an empty stream. */
    const fill = (stream: TxStream, count: number) =>
      Promise.all(
        Array.from({ length: count }, (_, i) =>
          stream.publish(bytes(`m${i + 1}`), { expectedLastSeq: i, msgId: `id${i + 1}` }),
        ),
      );

    test('a stream that was never made cannot be opened', async () => {
      expect(await pair.one.txStreams.open(freshStreamId())).toBeUndefined();
    });

    test('creating a stream that exists keeps what it holds, and the other member sees it', async () => {
      const stream = await fresh();
      await fill(stream, 2);
      const again = await pair.other.txStreams.create(stream.id);
      expect(await again.info()).toEqual(await stream.info());
      expect((await pair.other.txStreams.open(stream.id))?.id).toEqual(stream.id);
    });

    test('an empty stream starts one past its end', async () => {
      const info = await (await fresh()).info();
      expect(info).toMatchObject({ firstSeq: 1, lastSeq: 0, bytes: 0 });
    });

    test('a stream that was deleted and made again has another identity and is empty', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      const before = await stream.info();
      await pair.one.txStreams.delete(stream.id);
      expect(await pair.one.txStreams.open(stream.id)).toBeUndefined();
      const after = await (await pair.one.txStreams.create(stream.id)).info();
      expect(after).toMatchObject({ firstSeq: 1, lastSeq: 0 });
      expect(after.createdAt).not.toBe(before.createdAt);
    });

    test('the incarnations of a source that have a stream are listed in order, and no others', async () => {
      const { source } = freshStreamId();
      const { txStreams } = pair.one;
      expect(await txStreams.incarnations(source)).toEqual([]);
      for (const incarnation of [10, 2, 9]) await txStreams.create({ source, incarnation });
      await txStreams.create({ source: `${source}_1`, incarnation: 3 });
      await txStreams.delete({ source, incarnation: 9 });
      expect(await pair.other.txStreams.incarnations(source)).toEqual([2, 10]);
    });

    test('deleting a stream that does not exist does nothing', async () => {
      await expect(pair.one.txStreams.delete(freshStreamId())).resolves.toBeUndefined();
    });

    test('pipelined publishes are stored in call order, with consecutive sequences', async () => {
      const stream = await fresh();
      const outcomes = await fill(stream, 500);
      expect(outcomes).toEqual(Array.from({ length: 500 }, (_, i) => ({ kind: 'stored', seq: i + 1 })));
      expect(await stream.info()).toMatchObject({ firstSeq: 1, lastSeq: 500 });
      expect(text((await stream.get(137))?.payload ?? bytes(''))).toBe('m137');
    });

    test('a writer with an old expected sequence is refused and told the last one', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      const zombie = await pair.other.txStreams.create(stream.id);
      const outcome = await zombie.publish(bytes('late'), { expectedLastSeq: 2, msgId: 'late' });
      expect(outcome).toEqual({ kind: 'conflict', lastSeq: 3 });
      expect((await stream.info()).lastSeq).toBe(3);
    });

    test('of two writers to an empty stream one is refused', async () => {
      const stream = await fresh();
      const rival = await pair.other.txStreams.create(stream.id);
      const outcomes = await Promise.all([
        stream.publish(bytes('a'), { expectedLastSeq: 0, msgId: 'a' }),
        rival.publish(bytes('b'), { expectedLastSeq: 0, msgId: 'b' }),
      ]);
      expect(outcomes.map((outcome) => outcome.kind).sort()).toEqual(['conflict', 'stored']);
      expect((await stream.info()).lastSeq).toBe(1);
    });

    test('a writer that expects an empty stream is refused by one that is not', async () => {
      const stream = await fresh();
      await fill(stream, 2);
      const outcome = await stream.publish(bytes('first'), { expectedLastSeq: 0, msgId: 'first' });
      expect(outcome).toEqual({ kind: 'conflict', lastSeq: 2 });
      expect((await stream.info()).lastSeq).toBe(2);
    });

    test('when one of a pipeline conflicts, the later ones do too', async () => {
      const stream = await fresh();
      await fill(stream, 5);
      const outcomes = await Promise.all(
        [3, 4, 5, 6, 7].map((expectedLastSeq) =>
          stream.publish(bytes('x'), { expectedLastSeq, msgId: `z${expectedLastSeq}` }),
        ),
      );
      const fenced = stream.fencesPipelines ? 5 : 2;
      expect(outcomes.slice(0, fenced).map((outcome) => outcome.kind)).toEqual(Array(fenced).fill('conflict'));
      expect((await stream.info()).lastSeq).toBe(stream.fencesPipelines ? 5 : 8);
    });

    test('a pipelined publish is not stored behind the message of another writer that took its predecessor’s place', async () => {
      const stream = await fresh();
      await fill(stream, 5);
      const successor = await pair.other.txStreams.create(stream.id);
      expect(await successor.publish(bytes('leader'), { expectedLastSeq: 5, msgId: 'leader' })).toMatchObject({
        seq: 6,
      });
      // The second expects sequence 6, which exists by now, but is not the message it is to follow.
      const outcomes = await Promise.all([
        stream.publish(bytes('six'), { expectedLastSeq: 5, msgId: 'six' }),
        stream.publish(bytes('seven'), { expectedLastSeq: 6, msgId: 'seven' }),
        stream.publish(bytes('eight'), { expectedLastSeq: 7, msgId: 'eight' }),
      ]);
      if (stream.fencesPipelines) expect(outcomes).toEqual(Array(3).fill({ kind: 'conflict', lastSeq: 6 }));
      // It is not fenced: what readers and writers have to do about it is written at `publish`.
      else expect(outcomes[0]).toMatchObject({ kind: 'conflict' });
    });

    test('the same publish again is stored under the same sequence', async () => {
      const stream = await fresh();
      await fill(stream, 4);
      const outcome = await stream.publish(bytes('m3'), { expectedLastSeq: 2, msgId: 'id3' });
      expect(outcome).toEqual({ kind: 'stored', seq: 3 });
      expect((await stream.info()).lastSeq).toBe(4);
    });

    test('a whole pipeline again is stored under the same sequences and goes on behind them', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      expect((await fill(stream, 6)).map((outcome) => outcome.kind)).toEqual(Array(6).fill('stored'));
      expect((await stream.info()).lastSeq).toBe(6);
    });

    test('an id known under another sequence is a conflict', async () => {
      const stream = await fresh();
      await fill(stream, 4);
      const outcome = await stream.publish(bytes('m3'), { expectedLastSeq: 4, msgId: 'id3' });
      expect(outcome).toEqual({ kind: 'conflict', lastSeq: 4 });
    });

    test('a payload over the limit is a bug of the caller and disturbs nothing else', async () => {
      const stream = await fresh();
      const tooLarge = new Uint8Array(stream.maxPayloadBytes + 1);
      const refused = stream.publish(tooLarge, { expectedLastSeq: 0, msgId: 'large' });
      await expect(refused).rejects.toThrow(/exceeds the limit/);
      const largest = new Uint8Array(stream.maxPayloadBytes).fill(7);
      expect(await stream.publish(largest, { expectedLastSeq: 0, msgId: 'fits' })).toEqual({ kind: 'stored', seq: 1 });
      expect(Buffer.compare((await stream.last())?.payload ?? bytes(''), largest)).toBe(0);
      const read = stream.read(1, { maxBufferedBytes: 1_000 }, AbortSignal.timeout(60_000));
      expect((await take(read, 1))[0]?.text.length).toBe(largest.length);
    });

    test('get and last find what is stored and nothing else', async () => {
      const stream = await fresh();
      expect(await stream.last()).toBeUndefined();
      expect(await stream.get(1)).toBeUndefined();
      await fill(stream, 2);
      expect(await stream.last()).toMatchObject({ seq: 2 });
      const [first, last] = [await stream.get(1), await stream.last()];
      expect(first).toMatchObject({ seq: 1 });
      // The server is this machine; a clock of nanoseconds or seconds would be far off.
      expect(Math.abs((first?.publishedMs ?? 0) - systemClock.now())).toBeLessThan(3_600_000);
      expect(last?.publishedMs).toBeGreaterThanOrEqual(first?.publishedMs ?? Infinity);
      expect(await stream.get(3)).toBeUndefined();
    });

    test('a reader gets what is stored, then what comes', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      const reader = await pair.other.txStreams.open(stream.id);
      const reading = take(reader!.read(2, BUFFER, AbortSignal.timeout(60_000)), 4);
      await stream.publish(bytes('m4'), { expectedLastSeq: 3, msgId: 'id4' });
      await stream.publish(bytes('m5'), { expectedLastSeq: 4, msgId: 'id5' });
      expect(await reading).toEqual([2, 3, 4, 5].map((seq) => ({ seq, text: `m${seq}` })));
    });

    test('a reader learns when a message was stored, and the trace that it belongs to', async () => {
      const stream = await fresh();
      const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      await stream.publish(bytes('m1'), { expectedLastSeq: 0, msgId: 'id1' });
      await stream.publish(bytes('m2'), { expectedLastSeq: 1, msgId: 'id2', traceparent });
      await stream.publish(bytes('m3'), { expectedLastSeq: 2, msgId: 'id3', traceparent: 'x'.repeat(56) });
      const reader = await pair.other.txStreams.open(stream.id);
      const read: StoredMessage[] = [];
      for await (const message of reader!.read(1, BUFFER, AbortSignal.timeout(60_000))) {
        read.push(message);
        if (read.length === 3) break;
      }
      expect(read.map((message) => message.traceparent)).toEqual([undefined, traceparent, undefined]);
      for (const { seq, publishedMs, traceparent: trace } of read) {
        const found = await stream.get(seq);
        expect(found).toMatchObject({ seq, publishedMs });
        expect(found?.traceparent).toBe(trace);
      }
    });

    test('a reader with a small buffer gets everything, large and small', async () => {
      const stream = await fresh();
      const sizes = Array.from({ length: 200 }, (_, i) => (i % 10 === 0 ? 50_000 : i));
      await Promise.all(
        sizes.map((size, i) => stream.publish(new Uint8Array(size), { expectedLastSeq: i, msgId: `id${i}` })),
      );
      const read = await take(stream.read(1, { maxBufferedBytes: 20_000 }, AbortSignal.timeout(60_000)), sizes.length);
      expect(read.map((message) => message.seq)).toEqual(sizes.map((_, i) => i + 1));
      expect(read.map((message) => message.text.length)).toEqual(sizes);
    });

    test('a reader ends when its signal aborts', async () => {
      const stream = await fresh();
      await fill(stream, 1);
      const stop = new AbortController();
      const seen: number[] = [];
      for await (const message of stream.read(1, BUFFER, stop.signal)) {
        seen.push(message.seq);
        queueMicrotask(() => stop.abort());
      }
      expect(seen).toEqual([1]);
    });

    test('a reader of a stream that is deleted fails with STREAM_UNAVAILABLE', async () => {
      const stream = await fresh();
      await fill(stream, 1);
      const reading = take(stream.read(1, BUFFER, AbortSignal.timeout(60_000)), 2);
      const failed = expect(reading).rejects.toSatisfy((error) => isShapecastError(error, 'STREAM_UNAVAILABLE'));
      await take(stream.read(1, BUFFER, AbortSignal.timeout(60_000)), 1);
      await pair.other.txStreams.delete(stream.id);
      await failed;
    });

    test('a reader that wants more than the end of the stream is told that it went backwards', async () => {
      const stream = await fresh();
      await fill(stream, 2);
      const reading = take(stream.read(4, BUFFER, AbortSignal.timeout(60_000)), 1);
      await expect(reading).rejects.toMatchObject({
        code: 'STREAM_UNAVAILABLE',
        details: { reason: 'went-backwards' },
      });
    });

    test('trimming drops what is below, and a reader from there starts at what is left', async () => {
      const stream = await fresh();
      await fill(stream, 10);
      await stream.trim(7);
      expect(await stream.info()).toMatchObject({ firstSeq: 7, lastSeq: 10 });
      expect(await stream.get(6)).toBeUndefined();
      const read = await take(stream.read(3, BUFFER, AbortSignal.timeout(60_000)), 4);
      expect(read.map((message) => message.seq)).toEqual([7, 8, 9, 10]);
    });

    test('trimming everything keeps the sequence, and publishing goes on', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      await stream.trim(100);
      expect(await stream.info()).toMatchObject({ firstSeq: 4, lastSeq: 3 });
      expect(await stream.last()).toBeUndefined();
      expect(await stream.publish(bytes('m4'), { expectedLastSeq: 3, msgId: 'id4' })).toEqual({
        kind: 'stored',
        seq: 4,
      });
      expect((await take(stream.read(1, BUFFER, AbortSignal.timeout(60_000)), 1))[0]?.seq).toBe(4);
    });

    test('trimming below the first message does nothing', async () => {
      const stream = await fresh();
      await fill(stream, 3);
      await stream.trim(2);
      await stream.trim(1);
      expect(await stream.info()).toMatchObject({ firstSeq: 2, lastSeq: 3 });
    });
  });
}
