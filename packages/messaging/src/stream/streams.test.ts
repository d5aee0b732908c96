import { isShapecastError } from '@shapecast/errors';
import { systemClock, type Clock } from '@shapecast/service-kit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IncomingStream } from './incoming-stream.ts';
import { OutgoingStream, type Send } from './outgoing-stream.ts';
import { decodeMessage, encodeMessage, STREAM_LIMITS } from './wire.ts';

/** Timers that fire when time is passed by hand. */
class ManualTime {
  #now = 0;
  readonly #timers = new Map<() => void, number>();
  readonly clock: Clock = {
    ...systemClock,
    now: () => this.#now,
    after: (ms, callback) => {
      const timer = (): void => callback();
      this.#timers.set(timer, this.#now + ms);
      return () => this.#timers.delete(timer);
    },
  };

  async pass(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, at]) => at <= until).sort(([, a], [, b]) => a - b)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.#now = due[1];
      due[0]();
      await settle();
    }
    this.#now = until;
    await settle();
  }

  get pending(): number {
    return this.#timers.size;
  }
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const containing = (text: string): string => expect.stringContaining(text) as string;
const frame = (text: string): Uint8Array => Buffer.from(text);
const NOWHERE: Send = () => {};

function incoming(time: ManualTime, send: Send = NOWHERE): IncomingStream {
  return new IncomingStream({ clock: time.clock, send }, { subject: 's', timeoutMs: 60_000 });
}

const piece = (count: number, text = `p${count}`, last = true): Uint8Array =>
  encodeMessage({ kind: 'piece', count, last, bytes: frame(text) });

describe('the messages of a stream', () => {
  test('come out as they went in', () => {
    const count = fc.nat({ max: 0xffffffff });
    const bytes = fc.uint8Array({ maxLength: 50 });
    const message = fc.oneof(
      fc.record({ kind: fc.constantFrom('open' as const, 'beat' as const, 'end' as const, 'credit' as const), count }),
      fc.record({ kind: fc.constant('piece' as const), count, last: fc.boolean(), bytes }),
      fc.record({ kind: fc.constant('error' as const), count, answer: bytes }),
      fc.constant({ kind: 'leave' as const }),
    );
    fc.assert(
      fc.property(message, (given) => {
        expect(decodeMessage(encodeMessage(given))).toEqual({ ...given });
      }),
    );
  });

  test('that are none are told apart', () => {
    expect(decodeMessage(new Uint8Array())).toBeUndefined();
    expect(decodeMessage(Uint8Array.of(200, 0, 0, 0, 0))).toBeUndefined();
    expect(decodeMessage(Uint8Array.of(1, 0, 0))).toBeUndefined();
  });
});

describe('the consumer of a stream', () => {
  test('never takes a gap for the stream, whichever message is lost', async () => {
    const messages = [
      encodeMessage({ kind: 'open', count: 0 }),
      piece(1),
      piece(2, 'half', false),
      piece(3),
      encodeMessage({ kind: 'beat', count: 3 }),
      piece(4),
      encodeMessage({ kind: 'end', count: 4 }),
    ];
    const outcomes: string[] = [];
    for (let lost = -1; lost < messages.length; lost += 1) {
      const time = new ManualTime();
      const stream = incoming(time);
      const got: string[] = [];
      const consuming = (async () => {
        for (let next = await stream.next(); next; next = await stream.next()) got.push(Buffer.from(next).toString());
      })().then(
        () => `all of ${got.join()}`,
        (error: unknown) => (isShapecastError(error, 'NOT_READY') ? 'error' : String(error)),
      );
      for (const [i, message] of messages.entries()) if (i !== lost) stream.onMessage(message);
      await time.pass(60_000);
      outcomes.push(await consuming);
    }
    const whole = 'all of p1,halfp3,p4';
    // Without the open or the beat nothing is missing; without the end the server goes silent.
    expect(outcomes).toEqual([whole, whole, 'error', 'error', 'error', whole, 'error', 'error']);
  });

  test('notices a server that goes silent before the next frame is due', async () => {
    const time = new ManualTime();
    const stream = incoming(time);
    stream.onMessage(encodeMessage({ kind: 'open', count: 0 }));
    const next = stream.next();
    const failing = expect(next).rejects.toMatchObject({ code: 'NOT_READY', message: containing('silent') });
    await time.pass(10_000);
    stream.onMessage(encodeMessage({ kind: 'beat', count: 0 }));
    await time.pass(10_000);
    expect(await Promise.race([next.catch(() => 'failed'), settle().then(() => 'waiting')])).toBe('waiting');
    await time.pass(10_000);
    await failing;
    expect(time.pending).toBe(0);
  });

  test('waits no longer for a frame than it may, however lively the server', async () => {
    const time = new ManualTime();
    const stream = incoming(time);
    const failing = expect(stream.next()).rejects.toMatchObject({ code: 'NOT_READY', message: containing('in time') });
    stream.onMessage(encodeMessage({ kind: 'open', count: 0 }));
    for (let i = 0; i < 30; i += 1) {
      stream.onMessage(encodeMessage({ kind: 'beat', count: 0 }));
      await time.pass(2_000);
    }
    await failing;
    expect(time.pending).toBe(0);
  });

  test('frames that were not taken when it was aborted are not taken for the end', async () => {
    const stream = incoming(new ManualTime());
    stream.onMessage(piece(1));
    stream.onMessage(encodeMessage({ kind: 'end', count: 1 }));
    stream.fail(new Error('the client left'));
    await expect(stream.next()).rejects.toThrow('the client left');
  });

  test('refuses a frame that would not fit into memory', async () => {
    const time = new ManualTime();
    const limits = { ...STREAM_LIMITS, frameBytes: 10 };
    const stream = new IncomingStream({ clock: time.clock, send: NOWHERE }, { subject: 's', timeoutMs: 1 }, limits);
    const failing = expect(stream.next()).rejects.toMatchObject({
      code: 'NOT_READY',
      message: containing('too large'),
    });
    stream.onMessage(piece(1, 'x'.repeat(6), false));
    stream.onMessage(piece(2, 'x'.repeat(6), false));
    await failing;
  });
});

describe('the server of a stream', () => {
  function serve(time: ManualTime, frames: (signal: AbortSignal) => AsyncIterable<Uint8Array>) {
    const sent: string[] = [];
    const send: Send = (data) => {
      const message = decodeMessage(data);
      sent.push(message?.kind === 'piece' ? Buffer.from(message.bytes).toString() : (message?.kind ?? '?'));
    };
    const stream = new OutgoingStream({ clock: time.clock, send });
    return { stream, sent, done: stream.run(() => frames(stream.signal)) };
  }

  async function* endless(): AsyncGenerator<Uint8Array> {
    for (let i = 0; ; i += 1) yield frame(`${i}`);
  }

  const credit = (count: number): Uint8Array => encodeMessage({ kind: 'credit', count });

  test('sends no more than the window beyond what was consumed', async () => {
    const time = new ManualTime();
    const { stream, sent, done } = serve(time, endless);
    await settle();
    expect(sent).toEqual(['open', '0', '1', '2', '3', '4', '5', '6', '7']);
    stream.onMessage(credit(3));
    await settle();
    expect(sent.slice(-3)).toEqual(['8', '9', '10']);
    // Credits that come late or promise the future change nothing.
    stream.onMessage(credit(2));
    stream.onMessage(credit(1_000));
    await settle();
    expect(sent.at(-1)).toBe('10');
    stream.onMessage(encodeMessage({ kind: 'leave' }));
    await done;
    expect(time.pending).toBe(0);
  });

  test('gives a consumer up that went silent, and ends the handler', async () => {
    const time = new ManualTime();
    let ended = false;
    const { sent, done } = serve(time, async function* (signal) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      ended = true;
      yield frame('too late');
    });
    await time.pass(14_000);
    expect([ended, sent.filter((kind) => kind === 'beat').length]).toEqual([false, 7]);
    await time.pass(1_000);
    await done;
    expect(ended).toBe(true);
    expect(sent.at(-1)).toBe('beat');
    expect(time.pending).toBe(0);
  });

  test('gives a consumer up that is there and takes nothing, and tells it', async () => {
    const time = new ManualTime();
    let ended = false;
    const { stream, sent, done } = serve(time, async function* () {
      try {
        yield* endless();
      } finally {
        ended = true;
      }
    });
    for (let i = 0; i < 15; i += 1) {
      await settle();
      expect(stream.signal.aborted).toBe(false);
      await time.pass(2_000);
      stream.onMessage(credit(0));
    }
    await done;
    expect(stream.signal.aborted).toBe(true);
    await settle();
    expect([ended, sent.at(-1)]).toEqual([true, 'error']);
    expect(time.pending).toBe(0);
  });
});

describe('both ends together', () => {
  test('whatever the frames, the pieces and the pace, what arrives is what was sent', async () => {
    const scenario = fc.record({
      frames: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 40 }),
      pieceBytes: fc.integer({ min: 1, max: 16 }),
      window: fc.integer({ min: 1, max: 8 }),
      pauses: fc.infiniteStream(fc.boolean()),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ frames, pieceBytes, window, pauses }) => {
        const time = new ManualTime();
        const limits = { ...STREAM_LIMITS, pieceBytes, window };
        const toServer: Send = (message) => queueMicrotask(() => server.onMessage(message));
        const toConsumer: Send = (message) => queueMicrotask(() => consumer.onMessage(message));
        const consumer = new IncomingStream(
          { clock: time.clock, send: toServer },
          { subject: 's', timeoutMs: 60_000 },
          limits,
        );
        const server = new OutgoingStream({ clock: time.clock, send: toConsumer }, limits);
        const done = server.run(async function* () {
          yield* frames;
        });
        const got: Uint8Array[] = [];
        for (let next = await consumer.next(); next; next = await consumer.next()) {
          got.push(new Uint8Array(next));
          if (pauses.next().value) await Promise.resolve();
        }
        await done;
        expect(got).toEqual(frames);
        expect(time.pending).toBe(0);
      }),
    );
  });
});
