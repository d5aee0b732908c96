import type { Threshold } from 'k6/options';

type Thresholds = Readonly<Record<string, Threshold[]>>;

/** What has to hold whatever the load: a run that breaks it is over at once. */
export const CORRECTNESS: Thresholds = {
  shape_gaps: [{ threshold: 'count==0', abortOnFail: true }],
  shape_duplicates: [{ threshold: 'count==0', abortOnFail: true }],
  shape_out_of_order: [{ threshold: 'count==0', abortOnFail: true }],
  shape_foreign_rows: [{ threshold: 'count==0', abortOnFail: true }],
  checks: [{ threshold: 'rate>0.999', abortOnFail: true, delayAbortEval: '15s' }],
  http_req_failed: ['rate<0.001'],
  // Everything above holds where nothing happens.
  shape_changes: ['count>0'],
};

/** Nobody was turned away: the load is within what the service has room for. */
export const NOBODY_REFUSED: Thresholds = { shape_refused: ['count==0'] };

export const EVERY_CLIENT_CAME: Thresholds = { dropped_iterations: ['count==0'] };

interface Limits {
  readonly p95Ms: number;
  readonly p99Ms: number;
}

/** Of the rows with these tags, such as `kind:steady,phase:after`; at least one must have come, for the percentiles of none are 0. */
export function latency({ p95Ms, p99Ms }: Limits, ...tags: readonly string[]): Thresholds {
  return Object.fromEntries(
    tags.map((each) => [`shape_live_latency{${each}}`, [`p(95)<${p95Ms}`, `p(99)<${p99Ms}`, 'max>0']]),
  );
}

/** Of first reads, or those with this tag. */
export function initialSync({ syncP95Ms }: { readonly syncP95Ms: number }, tag?: string): Thresholds {
  return { [`shape_initial_sync${tag === undefined ? '' : `{${tag}}`}`]: [`p(95)<${syncP95Ms}`] };
}
