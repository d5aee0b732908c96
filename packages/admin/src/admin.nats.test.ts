import { openNatsMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { openRedisShapeStore } from '@shapecast/shape-store';
import { sharedNatsUrl, sharedRedisUrl } from '@shapecast/testkit/vitest';
import { describeActions } from './actions.contract.ts';
import { describeAdmin } from './admin.contract.ts';

const open = async () => {
  const parts = { clock: systemClock, log: silentLogger };
  const messaging = await openNatsMessaging({ url: sharedNatsUrl() }, parts, AbortSignal.timeout(60_000));
  const store = openRedisShapeStore({ url: sharedRedisUrl() }, parts);
  return { messaging, store, close: async () => void (await Promise.all([messaging.close(), store.close()])) };
};

describeAdmin('NATS and Redis', open);
describeActions('NATS and Redis', open);
