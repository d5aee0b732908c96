import { changed, type Profile } from '../lib/profile.ts';
import { small } from './small.ts';

/** An installation that scales out, with several instances of k6 (k8s/testrun.yaml), each of which gets its share of the readers. */
const limits = { p95Ms: 250, p99Ms: 750, syncP95Ms: 2_000, seconds: 300, vus: 400, rampSeconds: 120 } as const;

export const large: Profile = changed(small, {
  'initial-sync': { ...limits, rows: 2_000, shapes: 100, clientsPerSecond: 2_000, maxClients: 20_000 },
  'live-fanout': { ...limits, subscribers: 50_000 },
  'many-shapes': { ...limits, subscribers: 50_000, writesPerSecond: 5_000 },
  'catch-up': { ...limits, rowsBehind: 200_000, clientsPerSecond: 200, maxClients: 4_000 },
  churn: { ...limits, subscribers: 2_000, shapesPerSecond: 400, maxClients: 4_000 },
  spike: { ...limits, subscribers: 5_000, burstPerSecond: 20_000, burstSeconds: 30, rowsPerTransaction: 100 },
  'reconnect-storm': { ...limits, subscribers: 5_000, returning: 45_000 },
  'noisy-neighbour': { ...limits, sources: 50, subscribers: 50, quota: 500 },
  edge: { ...limits, subscribers: 100_000 },
  overload: { ...limits, subscribers: 5_000, overPerSecond: 10_000, overSeconds: 120, maxClients: 50_000 },
});
