import type { Cluster } from '@shapecast/testkit';
import type { Chance } from '../../support/chance.ts';
import type { Loss } from '../checker/faults.ts';

export interface NemesisContext {
  readonly cluster: Cluster;
  readonly chance: Chance;
  readonly signal: AbortSignal;
  /** Folder of the files that set the clocks of processes (`jumping-clock.ts`). */
  readonly clocks: string;
  /** Name of the Redis server that is the primary; failovers change it. */
  redisPrimary: string;
}

/** What is being done, until it is mended. */
interface Harm {
  /** Such as `router-2`. */
  readonly target: string;
  /** How long it lasts when nothing else ends it. 0: it is over as soon as it is done. */
  readonly forMs: number;
  heal(): Promise<void>;
}

/** A kind of fault. */
export interface FaultKind {
  readonly name: string;
  /** Part of the cluster that no other fault may be at work on at the same time. */
  readonly part: 'postgres' | 'nats' | 'redis' | 'processes' | 'network' | 'size' | 'clock';
  readonly loss: Loss;
  /** Shapes end by it, by design: not in the default group. */
  readonly destructive?: true;
  /** Whether it can be done to this cluster. */
  possible(cluster: Cluster): boolean;
  /** Does it. Rejects when it could not. */
  begin(context: NemesisContext): Promise<Harm>;
}

export const always = (): boolean => true;
