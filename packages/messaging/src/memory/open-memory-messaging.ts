import { silentLogger, type Clock, type Logger } from '@shapecast/service-kit';
import type { Messaging } from '../messaging.ts';
import { MemoryHints } from './memory-hints.ts';
import { MemoryRegistries } from './memory-registry.ts';
import { MemoryRpc } from './memory-rpc.ts';
import { MemoryTxStreams } from './memory-tx-stream.ts';

export interface MemoryMessagingOptions {
  /** Payload bytes one tx stream holds; publishes wait when half of them are unread. 64 MiB unless given. */
  readonly streamMaxBytes?: number;
  readonly log?: Logger;
}

/** Messaging for everything in one process: the parts share the object. What it holds is gone with the process. */
export function openMemoryMessaging(clock: Clock, options: MemoryMessagingOptions = {}): Messaging {
  const log = options.log ?? silentLogger;
  const txStreams = new MemoryTxStreams(clock, { maxBytes: options.streamMaxBytes ?? 64 * 1024 ** 2 });
  let open = true;
  return {
    txStreams,
    hints: new MemoryHints(log),
    rpc: new MemoryRpc(clock, log),
    registries: new MemoryRegistries(clock, log),
    connected: () => open,
    async close() {
      open = false;
      txStreams.close();
    },
  };
}
