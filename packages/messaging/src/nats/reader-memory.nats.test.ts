import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedNatsUrl } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { freshStreamId } from '../messaging.contract.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

const MESSAGES = 300;
const KIB = 1024;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

test('a reader that never quite catches up does not keep what it has read', async () => {
  const messaging = await openNatsMessaging(
    { url: sharedNatsUrl(), streamMaxBytes: 64 * KIB * KIB, streamReplicas: 1 },
    { clock: systemClock, log: silentLogger },
    AbortSignal.timeout(60_000),
  );
  onTestFinished(() => messaging.close());
  const stream = await messaging.txStreams.create(freshStreamId());
  const payload = Buffer.alloc(64 * KIB, 'x');
  for (let n = 0; n < MESSAGES; n += 1) await stream.publish(payload, { expectedLastSeq: n, msgId: String(n) });
  const read: WeakRef<object>[] = [];
  let kept = 0;
  for await (const { payload: bytes } of stream.read(
    1,
    { maxBufferedBytes: 16 * 64 * KIB },
    AbortSignal.timeout(60_000),
  )) {
    read.push(new WeakRef(bytes.buffer));
    // Long enough for more to arrive: what is read next is there already.
    await systemClock.sleep(2);
    if (read.length < MESSAGES - 20) continue;
    collectGarbage();
    kept = read.filter((ref) => ref.deref() !== undefined).length;
    break;
  }
  expect(read.length).toBe(MESSAGES - 20);
  expect(kept).toBeLessThan(64);
});
