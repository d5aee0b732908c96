import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedNatsUrl } from '@shapecast/testkit/vitest';
import type { OpenMessaging } from '../messaging.contract.ts';
import { describeHints } from '../hints.contract.ts';
import { describeRegistry } from '../registry.contract.ts';
import { describeHandleMemory } from '../rotation-journal.contract.ts';
import { describeRpcStream } from '../rpc-stream.contract.ts';
import { describeRpc } from '../rpc.contract.ts';
import { describeSourceSleep } from '../source-sleep.contract.ts';
import { describeTxStream } from '../tx-stream.contract.ts';
import { describeUsage } from '../usage.contract.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

const open: OpenMessaging = async () => {
  const parts = { clock: systemClock, log: silentLogger };
  const options = { url: sharedNatsUrl(), streamMaxBytes: 64 * 1024 ** 2 };
  const signal = AbortSignal.timeout(60_000);
  const [one, other] = await Promise.all([
    openNatsMessaging(options, parts, signal),
    openNatsMessaging(options, parts, signal),
  ]);
  return {
    one,
    other,
    async close() {
      await Promise.all([one.close(), other.close()]);
    },
  };
};

describeTxStream('NATS messaging', open);
describeHints('NATS messaging', open);
describeRpc('NATS messaging', open);
describeRpcStream('NATS messaging', open);
describeRegistry('NATS messaging', open, { passTtl: async () => {} });
describeHandleMemory('NATS messaging', open);
describeSourceSleep('NATS messaging', open);
describeUsage('NATS messaging', open);
