/** What happens in one run, worked out from a profile. The harness prepares and writes by it, k6 reads by it. */
export interface Plan {
  /** One per source; the only one has no id unless the cluster has many sources. */
  readonly writers: readonly WriterPlan[];
  readonly readers: readonly ReaderGroup[];
  /** Clients that come, read a shape once and go. */
  readonly arrivals?: Arrivals;
  /** Settings of the services, where the question needs other than the usual ones. */
  readonly env?: Readonly<Record<string, string>>;
  /** The local cluster gets a caching proxy, even if not asked for. */
  readonly edge?: boolean;
  /** Names of the writer's phases; latency is told apart by them. */
  readonly phases: readonly string[];
}

export interface WriterPlan {
  readonly source?: string;
  /** Row changes per second that this source may have replicated. */
  readonly quota?: number;
  readonly channels: number;
  /** Rows in each channel before anybody reads. */
  readonly rowsBefore: number;
  readonly padBytes: number;
  /** All writers of a plan have as many, of the same length. */
  readonly phases: readonly WritePhase[];
}

export interface WritePhase {
  readonly seconds: number;
  /** Rows per second, whether or not those before have been committed. */
  readonly perSecond: number;
  /** Rows in each transaction. Default 1. */
  readonly together?: number;
  /** Channels that are written to, one after the other: the first, and how many. Default all. */
  readonly channels?: readonly [first: number, count: number];
}

/** Readers that stay until the writer has finished. */
export interface ReaderGroup {
  /** Becomes the tag `kind`. */
  readonly kind: string;
  readonly subscribers: number;
  /** The i-th reads channel `first + i % count`. */
  readonly channels: readonly [first: number, count: number];
  readonly source?: string;
  /** Reads through the edge, where there is one. Default true. */
  readonly edge?: boolean;
  /** Waits until this phase of the writer has begun. Default 0: the writer waits for it. */
  readonly fromPhase?: number;
  /** All of its requests break off when this phase begins, and come again at once. */
  readonly cutAtPhase?: number;
  /** They leave when the writer has finished, whether or not they have everything: their source is kept back by its quota. */
  readonly leave?: boolean;
  /** Seconds over which they come. */
  readonly rampSeconds: number;
}

export interface Arrivals {
  readonly stages: readonly ArrivalStage[];
  /** Most that may be under way; k6 starts no more, and counts those it did not start. */
  readonly maxClients: number;
}

/** `perSecond` holds for the whole stage. */
interface ArrivalStage {
  readonly name: string;
  readonly seconds: number;
  readonly perSecond: number;
}

export function writeSeconds(plan: Plan): number {
  const phases = plan.writers[0]?.phases ?? [];
  return phases.reduce((sum, { seconds }) => sum + seconds, 0);
}

export function arrivalSeconds({ arrivals }: Plan): number {
  return (arrivals?.stages ?? []).reduce((sum, { seconds }) => sum + seconds, 0);
}

/** The phase or stage that is on `atMs` after the first has begun; the last one stays. */
export function phaseAt(stages: readonly { readonly seconds: number }[], atMs: number): number {
  let end = 0;
  for (const [i, { seconds }] of stages.entries()) {
    end += seconds * 1_000;
    if (atMs < end) return i;
  }
  return Math.max(0, stages.length - 1);
}

/** Shares `count` out among at most `vus` groups, as evenly as it goes. */
export function share(count: number, vus: number): readonly number[] {
  const groups = Math.min(count, Math.max(1, vus));
  return Array.from({ length: groups }, (_, i) => Math.floor((count + i) / groups));
}
