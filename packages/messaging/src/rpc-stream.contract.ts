import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { systemClock } from '@shapecast/service-kit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshName, gate, text, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';

/** What every implementation promises of streams. */
export function describeRpcStream(name: string, open: OpenMessaging): void {
  describe(`rpc streams of ${name}`, () => {
    let pair: MessagingPair;
    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    const patient = () => ({ timeoutMs: 30_000, signal: AbortSignal.timeout(60_000) });
    const frames = async (stream: AsyncIterable<Uint8Array>): Promise<string[]> => {
      const all: string[] = [];
      for await (const frame of stream) all.push(text(frame));
      return all;
    };

    /** Waits until requests find the server: others know of it a moment after `serveStream`. */
    async function served(subject: string): Promise<void> {
      for (;;) {
        try {
          return void (await frames(pair.one.rpc.stream(subject, 'ping', patient())));
        } catch (error) {
          if (!isShapecastError(error, 'NOT_READY') || !/no process serves/.test(error.message)) throw error;
        }
      }
    }

    /** Serves a fresh subject at the other member. A ping is answered with nothing. */
    async function serve(
      handler: (request: unknown, signal: AbortSignal) => AsyncIterable<Uint8Array>,
    ): Promise<{ subject: string; stop: () => void }> {
      const subject = `shapecast.rpc.${freshName()}`;
      const stop = pair.other.rpc.serveStream(subject, async function* (request, signal) {
        if (request !== 'ping') yield* handler(request, signal);
      });
      await served(subject);
      return { subject, stop };
    }

    const aborted = (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        if (signal.aborted) resolve();
        else signal.addEventListener('abort', () => resolve(), { once: true });
      });

    test('delivers the frames of the server in order, then ends', async () => {
      const { subject, stop } = await serve(async function* (request) {
        const { count } = request as { count: number };
        for (let i = 0; i < count; i += 1) yield bytes(`frame ${i}`);
      });
      const expected = Array.from({ length: 1_000 }, (_, i) => `frame ${i}`);
      expect(await frames(pair.one.rpc.stream(subject, { count: 1_000 }, patient()))).toEqual(expected);
      expect(await frames(pair.one.rpc.stream(subject, { count: 0 }, patient()))).toEqual([]);
      stop();
    });

    test('carries empty and large frames whole, also next to each other', async () => {
      const sizes = [0, 1, 512 * 1024, 512 * 1024 + 1, 0, 6_000_000, 3];
      const { subject, stop } = await serve(async function* () {
        for (const [i, size] of sizes.entries()) yield new Uint8Array(size).fill(i + 1);
      });
      const got: [number, number][] = [];
      for await (const frame of pair.one.rpc.stream(subject, {}, patient())) {
        got.push([frame.length, new Set(frame).size === 1 ? (frame[0] ?? 0) : 0]);
      }
      expect(got).toEqual(sizes.map((size, i) => [size, size === 0 ? 0 : i + 1]));
      stop();
    });

    test('streams beside each other do not mix', async () => {
      const { subject, stop } = await serve(async function* (request) {
        for (let i = 0; i < 50; i += 1) yield bytes(`${String(request)}/${i}`);
      });
      const streams = Array.from({ length: 20 }, (_, n) => frames(pair.one.rpc.stream(subject, `s${n}`, patient())));
      for (const [n, got] of (await Promise.all(streams)).entries()) {
        expect(got).toEqual(Array.from({ length: 50 }, (_, i) => `s${n}/${i}`));
      }
      stop();
    });

    test('each request goes to one of the servers of a subject', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const began: unknown[] = [];
      const stops = [pair.one, pair.other].map((member) =>
        member.rpc.serveStream(subject, async function* (request) {
          if (request === 'ping') return;
          began.push(request);
          yield bytes(String(request));
        }),
      );
      await served(subject);
      for (let i = 0; i < 20; i += 1)
        expect(await frames(pair.one.rpc.stream(subject, i, patient()))).toEqual([`${i}`]);
      expect(began).toEqual(Array.from({ length: 20 }, (_, i) => i));
      for (const stop of stops) stop();
    });

    test('the server is not asked for more than the consumer has room for', async () => {
      let produced = 0;
      const { subject, stop } = await serve(async function* () {
        for (; produced < 5_000; produced += 1) yield bytes(`${produced}`);
      });
      let taken = 0;
      let mostAhead = 0;
      for await (const frame of pair.one.rpc.stream(subject, {}, patient())) {
        expect(text(frame)).toBe(`${taken}`);
        taken += 1;
        if (taken % 100 === 0) {
          // Whatever is under way may arrive: it is the window and not the time that holds the server back.
          for (let i = 0; i < 5; i += 1) await systemClock.sleep(1);
          mostAhead = Math.max(mostAhead, produced - taken);
        }
      }
      expect(taken).toBe(5_000);
      expect(mostAhead).toBeGreaterThan(0);
      expect(mostAhead).toBeLessThanOrEqual(16);
      stop();
    });

    test('leaving the loop cancels the work of the server', async () => {
      const [left, finished] = [gate(), gate()];
      const { subject, stop } = await serve(async function* (_, signal) {
        void aborted(signal).then(() => left.open());
        try {
          for (let i = 0; ; i += 1) yield bytes(`${i}`);
        } finally {
          finished.open();
        }
      });
      for await (const frame of pair.one.rpc.stream(subject, {}, patient())) {
        if (text(frame) === '20') break;
      }
      await left.opened;
      await expect(finished.opened).resolves.toBeUndefined();
      stop();
    });

    test('leaving before the first frame cancels the work of the server', async () => {
      const [called, left] = [gate(), gate()];
      const { subject, stop } = await serve(async function* (_, signal) {
        called.open();
        await aborted(signal);
        left.open();
        yield bytes('too late');
      });
      const leaving = new AbortController();
      const stream = frames(pair.one.rpc.stream(subject, {}, { timeoutMs: 30_000, signal: leaving.signal }));
      void called.opened.then(() => leaving.abort(new Error('the client left')));
      await expect(stream).rejects.toThrow('the client left');
      await expect(left.opened).resolves.toBeUndefined();
      stop();
    });

    test('aborting ends the stream at once, and what was not taken is no end', async () => {
      const { subject, stop } = await serve(async function* () {
        for (let i = 0; i < 4; i += 1) yield bytes(`${i}`);
      });
      const leaving = new AbortController();
      const stream = pair.one.rpc.stream(subject, {}, { timeoutMs: 30_000, signal: leaving.signal });
      const iterator = stream[Symbol.asyncIterator]();
      expect(text(((await iterator.next()) as { value: Uint8Array }).value)).toBe('0');
      leaving.abort(new Error('the client left'));
      await expect(iterator.next()).rejects.toThrow('the client left');
      expect((await iterator.next()).done).toBe(true);
      const before = frames(pair.one.rpc.stream(subject, {}, { timeoutMs: 30_000, signal: leaving.signal }));
      await expect(before).rejects.toThrow('the client left');
      stop();
    });

    test('an error of the server arrives after the frames before it, with code, message and details', async () => {
      const { subject, stop } = await serve(async function* (request) {
        const { after } = request as { after: number };
        for (let i = 0; i < after; i += 1) yield bytes(`${i}`);
        throw new ShapecastError('INVALID_REQUEST', 'no such label', { field: 'where' }, new Error('driver'));
      });
      for (const after of [0, 1, 30]) {
        const got: string[] = [];
        const consuming = (async () => {
          for await (const frame of pair.one.rpc.stream(subject, { after }, patient())) got.push(text(frame));
        })();
        await expect(consuming).rejects.toMatchObject({
          name: 'ShapecastError',
          code: 'INVALID_REQUEST',
          message: 'no such label',
          details: { field: 'where' },
        });
        expect(got).toHaveLength(after);
      }
      stop();
    });

    test('a fault of the server arrives as NOT_READY without its text', async () => {
      const { subject, stop } = await serve(async function* () {
        yield bytes('one');
        throw new TypeError('secret of the implementation');
      });
      const error = await frames(pair.one.rpc.stream(subject, {}, patient())).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'NOT_READY', details: {} });
      expect(String(error)).not.toContain('secret');
      stop();
    });

    test('a stream nobody serves fails with NOT_READY', async () => {
      const stream = frames(pair.one.rpc.stream(`shapecast.rpc.${freshName()}`, {}, patient()));
      await expect(stream).rejects.toMatchObject({ code: 'NOT_READY' });
    });

    test('a frame that is late fails the stream with NOT_READY and cancels the work of the server', async () => {
      const left = gate();
      const { subject, stop } = await serve(async function* (_, signal) {
        yield bytes('one');
        await aborted(signal);
        left.open();
      });
      const got: string[] = [];
      const consuming = (async () => {
        const options = { timeoutMs: 50, signal: AbortSignal.timeout(60_000) };
        for await (const frame of pair.one.rpc.stream(subject, {}, options)) got.push(text(frame));
      })();
      await expect(consuming).rejects.toMatchObject({
        code: 'NOT_READY',
        message: expect.stringContaining('in time') as string,
      });
      expect(got.length).toBeLessThanOrEqual(1);
      await expect(left.opened).resolves.toBeUndefined();
      stop();
    });

    test('a server that stops serving in the middle is an error and not an end', async () => {
      const left = gate();
      const { subject, stop } = await serve(async function* (_, signal) {
        yield bytes('one');
        await aborted(signal);
        left.open();
      });
      const got: string[] = [];
      const consuming = (async () => {
        for await (const frame of pair.one.rpc.stream(subject, {}, patient())) {
          got.push(text(frame));
          stop();
        }
      })();
      await expect(consuming).rejects.toMatchObject({ code: 'NOT_READY' });
      expect(got).toEqual(['one']);
      await expect(left.opened).resolves.toBeUndefined();
    });

    test('a handler that does not listen to its signal holds nobody up', async () => {
      const { subject, stop } = await serve(async function* () {
        yield bytes('one');
        await new Promise(() => {});
      });
      for await (const frame of pair.one.rpc.stream(subject, {}, patient())) {
        expect(text(frame)).toBe('one');
        break;
      }
      const again = pair.one.rpc.stream(subject, {}, patient())[Symbol.asyncIterator]();
      expect((await again.next()).done).toBe(false);
      await again.return?.();
      stop();
    });
  });
}
