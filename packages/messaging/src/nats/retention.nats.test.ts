import { randomBytes } from 'node:crypto';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedNatsUrl } from '@shapecast/testkit/vitest';
import { expect, onTestFinished, test } from 'vitest';
import { openNatsMessaging } from './open-nats-messaging.ts';

const MIB = 1024 ** 2;
const HOUR_MS = 3_600_000;

test('a tx stream may keep more or less than the others, and follows when that changes', async () => {
  const messaging = await openNatsMessaging(
    { url: sharedNatsUrl(), streamMaxBytes: 64 * MIB, streamMaxAgeMs: 48 * HOUR_MS },
    { clock: systemClock, log: silentLogger },
    AbortSignal.timeout(60_000),
  );
  const { txStreams } = messaging;
  onTestFinished(() => messaging.close());
  const id = { source: `s_${randomBytes(4).toString('hex')}`, incarnation: 1 };
  onTestFinished(() => txStreams.delete(id));
  const created = await txStreams.create(id, { maxBytes: 8 * MIB, maxAgeMs: 24 * HOUR_MS });
  expect(await created.info()).toMatchObject({ maxBytes: 8 * MIB, maxAgeMs: 24 * HOUR_MS });
  const opened = await txStreams.open(id, { reconcile: true, retention: { maxBytes: 16 * MIB } });
  expect(await opened?.info()).toMatchObject({ maxBytes: 16 * MIB, maxAgeMs: 48 * HOUR_MS });
});
