/** Numbers of one scenario; all of them, so that `--set name=value` may change each. */
interface Common {
  /** Limits of the latency from the row's time stamp to the reader, in milliseconds. */
  readonly p95Ms: number;
  readonly p99Ms: number;
  /** Limit of a first read until up to date. */
  readonly syncP95Ms: number;
  /** Virtual users of k6 that the readers are shared out among; each holds several. */
  readonly vus: number;
}

interface Reading extends Common {
  readonly subscribers: number;
  readonly rampSeconds: number;
  readonly writesPerSecond: number;
  readonly seconds: number;
}

export interface Parameters {
  readonly smoke: Reading & { readonly rows: number };
  readonly 'initial-sync': Common & {
    readonly rows: number;
    readonly shapes: number;
    readonly clientsPerSecond: number;
    readonly seconds: number;
    readonly maxClients: number;
  };
  readonly 'live-fanout': Reading;
  /** As many shapes as subscribers. */
  readonly 'many-shapes': Reading;
  readonly 'catch-up': Common & {
    readonly rowsBehind: number;
    readonly rowsPerTransaction: number;
    readonly writesPerSecond: number;
    readonly clientsPerSecond: number;
    readonly seconds: number;
    readonly maxClients: number;
  };
  readonly churn: Reading & {
    readonly rows: number;
    readonly shapesPerSecond: number;
    readonly maxClients: number;
  };
  readonly spike: Reading & {
    readonly burstPerSecond: number;
    readonly burstSeconds: number;
    readonly rowsPerTransaction: number;
    /** Holds in the burst itself, whose queue may take a while to drain. */
    readonly burstP99Ms: number;
  };
  readonly 'reconnect-storm': Reading & { readonly returning: number };
  readonly 'noisy-neighbour': Reading & {
    readonly sources: number;
    readonly quota: number;
    readonly times: number;
  };
  readonly edge: Reading;
  readonly overload: Reading & {
    readonly rows: number;
    readonly clientsPerSecond: number;
    readonly overPerSecond: number;
    readonly overSeconds: number;
    /** Within which it must be as before again: what was let in is still to be served when the load ends. */
    readonly recoverySeconds: number;
    readonly maxClients: number;
    /** First reads that one API process of the local cluster has under way at most. */
    readonly initialLimit: number;
  };
}

export type ScenarioName = keyof Parameters;

/** Every question, with the numbers it is asked with. */
export type Profile = Parameters;

/** The same profile with other numbers for some scenarios. */
export type Changes = { readonly [S in ScenarioName]?: Partial<Parameters[S]> };

export function changed(profile: Profile, changes: Changes): Profile {
  const names = Object.keys(profile) as ScenarioName[];
  return Object.fromEntries(names.map((name) => [name, { ...profile[name], ...changes[name] }])) as unknown as Profile;
}
