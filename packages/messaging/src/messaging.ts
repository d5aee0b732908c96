import type { Hints, Rpc } from './hints.ts';
import type { Registries } from './registry.ts';
import type { TxStreams } from './tx-stream.ts';

/** Everything the services say to each other goes through here. */
export interface Messaging {
  readonly txStreams: TxStreams;
  readonly hints: Hints;
  readonly rpc: Rpc;
  readonly registries: Registries;
  /** False while the connection is down. */
  connected(): boolean;
  close(): Promise<void>;
}
