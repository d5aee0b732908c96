import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startNats, waitFor, type TestServer } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshName, gate, text } from '../messaging.contract.ts';
import type { Messaging } from '../messaging.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

/** What becomes of streams when a process or NATS goes away in the middle. */
describe('a stream over NATS', () => {
  let nats: TestServer;
  const opened: Messaging[] = [];
  beforeAll(async () => {
    nats = await startNats();
  });
  afterAll(async () => {
    for (const messaging of opened) await messaging.close();
    await nats.stop();
  });

  async function open(): Promise<Messaging> {
    const parts = { clock: systemClock, log: silentLogger };
    const messaging = await openNatsMessaging({ url: nats.url }, parts, AbortSignal.timeout(60_000));
    opened.push(messaging);
    return messaging;
  }

  const patient = () => ({ timeoutMs: 60_000, signal: AbortSignal.timeout(60_000) });

  /** Serves frames without end, `pausedAfter` of them at once; tells how the handler ended. */
  function serve(server: Messaging, pausedAfter = Infinity) {
    const subject = `shapecast.rpc.${freshName()}`;
    const [began, ended] = [gate(), gate<string>()];
    server.rpc.serveStream(subject, async function* (_, signal) {
      began.open();
      signal.addEventListener('abort', () => ended.open((signal.reason as Error).message));
      for (let i = 0; i < pausedAfter; i += 1) yield bytes(`${i}`);
      await ended.opened;
    });
    return { subject, began, ended };
  }

  /** The frames that came before the stream failed, and the error. Asks again while the server is not known yet. */
  async function consume(messaging: Messaging, subject: string, onFrame: (frame: string) => Promise<void> | void) {
    for (;;) {
      let frames = 0;
      try {
        for await (const frame of messaging.rpc.stream(subject, {}, patient())) {
          frames += 1;
          await onFrame(text(frame));
        }
        return { frames, error: undefined };
      } catch (error) {
        if (!/no process serves/.test(String(error))) return { frames, error };
      }
    }
  }

  test('fails soon when the process that serves it dies', async () => {
    const [one, other] = [await open(), await open()];
    const { subject } = serve(other, 3);
    const outcome = await consume(one, subject, async (frame) => {
      if (frame === '2') await other.close();
    });
    expect(outcome).toMatchObject({ frames: 3, error: { code: 'NOT_READY' } });
    expect(String(outcome.error)).toMatch(/server went away/);
  });

  test('ends the handler soon when the process that consumes it dies, be the handler waiting for it or not', async () => {
    for (const pausedAfter of [3, Infinity]) {
      const [one, other] = [await open(), await open()];
      const { subject, ended } = serve(other, pausedAfter);
      const consuming = consume(one, subject, async (frame) => {
        if (frame === '2') await one.close();
      });
      expect(await ended.opened).toMatch(/consumer/);
      expect((await consuming).error).toMatchObject({ code: 'NOT_READY' });
    }
  });

  test('fails at both ends when NATS dies, and never goes on with a gap', async () => {
    const [one, other] = [await open(), await open()];
    const { subject, ended } = serve(other);
    let expected = 0;
    const outcome = await consume(one, subject, async (frame) => {
      expect(frame).toBe(`${expected}`);
      expected += 1;
      if (expected === 50) {
        await nats.kill();
        await nats.start();
        await waitFor(() => one.connected() && other.connected());
      }
    });
    expect(outcome).toMatchObject({ frames: 50, error: { code: 'NOT_READY' } });
    expect(await ended.opened).toMatch(/connection to NATS was lost/);
  });

  test('that is asked for while NATS is away asks when it is back', async () => {
    const [one, other] = [await open(), await open()];
    const { subject } = serve(other);
    await nats.kill();
    await waitFor(() => !one.connected() && !other.connected());
    const first = one.rpc.stream(subject, {}, patient())[Symbol.asyncIterator]();
    const frame = first.next();
    await nats.start();
    // Whether the server is back before the request is a race; a request that nobody took is an error and not a wait.
    const outcome = await frame.then(
      ({ value }) => text(value as Uint8Array),
      (error: Error) => error.message,
    );
    expect(outcome).toMatch(/^0$|no process serves/);
    await first.return?.();
  });
});
