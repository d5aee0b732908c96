import { openMemoryMessaging } from '@shapecast/messaging';
import { systemClock } from '@shapecast/service-kit';
import { openMemoryShapeStore } from '@shapecast/shape-store';
import { describeActions } from './actions.contract.ts';
import { describeAdmin } from './admin.contract.ts';

const open = async () => {
  const messaging = openMemoryMessaging(systemClock);
  const store = openMemoryShapeStore(systemClock);
  return { messaging, store, close: async () => void (await Promise.all([messaging.close(), store.close()])) };
};

describeAdmin('memory', open);
describeActions('memory', open);
