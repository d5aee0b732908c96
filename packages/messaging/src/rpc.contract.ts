import { isShapecastError, ShapecastError } from '@shapecast/errors';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freshName, gate, type MessagingPair, type OpenMessaging } from './messaging.contract.ts';

/** What every implementation of Rpc promises. */
export function describeRpc(name: string, open: OpenMessaging): void {
  describe(`rpc of ${name}`, () => {
    let pair: MessagingPair;
    beforeAll(async () => {
      pair = await open();
    });
    afterAll(() => pair.close());

    const patient = () => ({ timeoutMs: 30_000, signal: AbortSignal.timeout(60_000) });

    /** Calls again while nobody serves yet: a server is known to others a moment after `serve`. */
    async function call(subject: string, request: unknown): Promise<unknown> {
      for (;;) {
        try {
          return await pair.one.rpc.call(subject, request, patient());
        } catch (error) {
          if (!isShapecastError(error, 'NOT_READY') || !/no process serves/.test(error.message)) throw error;
        }
      }
    }

    test('a request is answered by the process that serves its subject', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const stop = pair.other.rpc.serve(subject, async (request) => ({ got: request }));
      expect(await call(subject, { table: 'items', n: [1, null] })).toEqual({ got: { table: 'items', n: [1, null] } });
      expect(await call(subject, undefined)).toEqual({ got: null });
      stop();
    });

    test('an answer may be null or nothing', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const stop = pair.other.rpc.serve(subject, async (request) => (request === 'null' ? null : undefined));
      expect(await call(subject, 'null')).toBeNull();
      expect(await call(subject, 'nothing')).toBeUndefined();
      stop();
    });

    test('each request goes to one of the servers of a subject', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const served: string[] = [];
      const stops = [pair.one, pair.other].map((member, i) =>
        member.rpc.serve(subject, async () => {
          served.push(`server ${i}`);
        }),
      );
      for (let i = 0; i < 40; i += 1) await call(subject, i);
      expect(served).toHaveLength(40);
      for (const stop of stops) stop();
    });

    test('an error of the server arrives with code, message and details', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const stop = pair.other.rpc.serve(subject, async () => {
        throw new ShapecastError(
          'SOURCE_MISCONFIGURED',
          'the table has no key',
          { table: 'items' },
          new Error('driver'),
        );
      });
      const failed = call(subject, {});
      await expect(failed).rejects.toMatchObject({
        name: 'ShapecastError',
        code: 'SOURCE_MISCONFIGURED',
        message: 'the table has no key',
        details: { table: 'items' },
      });
      stop();
    });

    test('a fault of the server arrives as NOT_READY without its text', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const stop = pair.other.rpc.serve(subject, async () => {
        throw new TypeError('secret of the implementation');
      });
      const error = await call(subject, {}).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'NOT_READY', details: {} });
      expect(String(error)).not.toContain('secret');
      stop();
    });

    test('a request nobody serves fails with NOT_READY', async () => {
      const calling = pair.one.rpc.call(`shapecast.rpc.${freshName()}`, {}, patient());
      await expect(calling).rejects.toMatchObject({ code: 'NOT_READY' });
    });

    test('a request that is not answered in time fails with NOT_READY', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const called = gate();
      const stop = pair.other.rpc.serve(subject, (_, signal) => {
        called.open();
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(null)));
      });
      const first = call(subject, {}).catch(() => {});
      await called.opened;
      const calling = pair.one.rpc.call(subject, {}, { timeoutMs: 50, signal: AbortSignal.timeout(60_000) });
      await expect(calling).rejects.toMatchObject({
        code: 'NOT_READY',
        message: expect.stringContaining('in time') as string,
      });
      stop();
      await first;
    });

    test('the caller’s signal ends the waiting with its reason', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const called = gate();
      const stop = pair.other.rpc.serve(subject, (_, signal) => {
        called.open();
        return new Promise((resolve) => signal.addEventListener('abort', () => resolve(null)));
      });
      const leaving = new AbortController();
      const calling = (async () => {
        for (;;) {
          try {
            return await pair.one.rpc.call(subject, {}, { timeoutMs: 30_000, signal: leaving.signal });
          } catch (error) {
            if (!isShapecastError(error, 'NOT_READY')) throw error;
          }
        }
      })();
      void called.opened.then(() => leaving.abort(new Error('the client left')));
      await expect(calling).rejects.toThrow('the client left');
      stop();
    });

    test('stopping to serve aborts the signal of what is being served', async () => {
      const subject = `shapecast.rpc.${freshName()}`;
      const [called, aborted] = [gate(), gate()];
      const stop = pair.other.rpc.serve(subject, async (_, signal) => {
        called.open();
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
        aborted.open();
      });
      const calling = call(subject, {}).catch(() => {});
      await called.opened;
      stop();
      await expect(aborted.opened).resolves.toBeUndefined();
      await calling;
    });
  });
}
