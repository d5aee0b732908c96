import { systemClock, type Clock } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { bytes, freshStreamId, take, type MessagingPair } from '../messaging.contract.ts';
import { describeHints } from '../hints.contract.ts';
import { describeRegistry } from '../registry.contract.ts';
import { describeRpcStream } from '../rpc-stream.contract.ts';
import { describeHandleMemory } from '../rotation-journal.contract.ts';
import { describeRpc } from '../rpc.contract.ts';
import { describeSourceSleep } from '../source-sleep.contract.ts';
import { describeTxStream } from '../tx-stream.contract.ts';
import { describeUsage } from '../usage.contract.ts';
import { openMemoryMessaging } from './open-memory-messaging.ts';

/** Real timers; `now` moves when told. */
let passedMs = 0;
const clock: Clock = { ...systemClock, now: () => systemClock.now() + passedMs };

async function open(): Promise<MessagingPair> {
  const messaging = openMemoryMessaging(clock);
  return { one: messaging, other: messaging, close: () => messaging.close() };
}

describeTxStream('memory messaging', open);
describeHints('memory messaging', open);
describeRpc('memory messaging', open);
describeRpcStream('memory messaging', open);
describeHandleMemory('memory messaging', open);
describeSourceSleep('memory messaging', open);
describeUsage('memory messaging', open);
describeRegistry('memory messaging', open, {
  passTtl: async () => {
    passedMs += 1_000;
  },
});

describe('a memory tx stream at its bound', () => {
  /** Timers that fire when told. */
  function manualClock(): { clock: Clock; fire(): void } {
    const timers = new Set<() => void>();
    const after = (_ms: number, callback: () => void) => {
      timers.add(callback);
      return () => timers.delete(callback);
    };
    return {
      clock: { ...systemClock, after },
      fire() {
        const due = [...timers];
        timers.clear();
        for (const callback of due) callback();
      },
    };
  }

  const kib = new Uint8Array(1024);

  test('publishes wait for the slowest reader and go on, in order, once it has read', async () => {
    const messaging = openMemoryMessaging(clock, { streamMaxBytes: 20 * 1024 });
    const stream = await messaging.txStreams.create(freshStreamId());
    let stored = 0;
    const publishing = Promise.all(
      Array.from({ length: 100 }, (_, i) =>
        stream.publish(kib, { expectedLastSeq: i, msgId: `id${i}` }).then((outcome) => {
          stored += 1;
          return outcome.kind;
        }),
      ),
    );
    await new Promise(setImmediate);
    expect(stored).toBe(10);
    const read = await take(stream.read(1, { maxBufferedBytes: 1 }, AbortSignal.timeout(60_000)), 100);
    expect(read.map((message) => message.seq)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(new Set(await publishing)).toEqual(new Set(['stored']));
    expect((await stream.info()).bytes).toBeLessThanOrEqual(20 * 1024);
  });

  test('what was read last stays, for a reader that goes back', async () => {
    const messaging = openMemoryMessaging(clock, { streamMaxBytes: 20 * 1024 });
    const stream = await messaging.txStreams.create(freshStreamId());
    const reading = take(stream.read(1, { maxBufferedBytes: 1 }, AbortSignal.timeout(60_000)), 50);
    for (let i = 0; i < 50; i += 1) await stream.publish(kib, { expectedLastSeq: i, msgId: `id${i}` });
    await reading;
    const { firstSeq } = await stream.info();
    expect(firstSeq).toBeLessThanOrEqual(41);
    expect((await take(stream.read(41, { maxBufferedBytes: 1 }, AbortSignal.timeout(60_000)), 10)).length).toBe(10);
  });

  test('a publish that waited too long fails as full, and those behind it conflict', async () => {
    const manual = manualClock();
    const messaging = openMemoryMessaging(manual.clock, { streamMaxBytes: 4 * 1024 });
    const stream = await messaging.txStreams.create(freshStreamId());
    const outcomes = Promise.allSettled(
      [0, 1, 2, 3].map((i) => stream.publish(kib, { expectedLastSeq: i, msgId: `id${i}` })),
    );
    await new Promise(setImmediate);
    manual.fire();
    expect(await outcomes).toMatchObject([
      { value: { kind: 'stored' } },
      { value: { kind: 'stored' } },
      { reason: { code: 'STREAM_UNAVAILABLE', details: { reason: 'full' } } },
      { value: { kind: 'conflict', lastSeq: 2 } },
    ]);
  });

  test('trimming makes room', async () => {
    const messaging = openMemoryMessaging(clock, { streamMaxBytes: 4 * 1024 });
    const stream = await messaging.txStreams.create(freshStreamId());
    const publishing = Promise.all([0, 1, 2].map((i) => stream.publish(kib, { expectedLastSeq: i, msgId: `id${i}` })));
    await new Promise(setImmediate);
    await stream.trim(3);
    expect((await publishing)[2]).toEqual({ kind: 'stored', seq: 3 });
    expect(await stream.publish(bytes('x'), { expectedLastSeq: 3, msgId: 'x' })).toEqual({ kind: 'stored', seq: 4 });
  });
});
