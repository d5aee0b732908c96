import type { NatsMessagingOptions } from '@shapecast/messaging';
import { natsConnection } from '@shapecast/service-kit';
import type { ReplicatorConfig } from './config.ts';

/** How a replicator connects to NATS. `name` is for NATS's monitoring. */
export function natsOptions(config: ReplicatorConfig, name: string): NatsMessagingOptions {
  const { streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs } = config;
  return { ...natsConnection(config), streamReplicas, streamMaxAgeMs, streamMaxBytes, duplicateWindowMs, name };
}
