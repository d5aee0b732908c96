import { changed, type Profile } from '../lib/profile.ts';
import { laptop } from './laptop.ts';

/** An installation of a few pods with servers of its own; k6 on another machine of at least four cores. */
const limits = { p95Ms: 100, p99Ms: 300, syncP95Ms: 1_000, seconds: 120, vus: 50, rampSeconds: 30 } as const;

export const small: Profile = changed(laptop, {
  'initial-sync': { ...limits, rows: 1_000, clientsPerSecond: 500, maxClients: 5_000 },
  'live-fanout': { ...limits, subscribers: 5_000 },
  'many-shapes': { ...limits, subscribers: 5_000, writesPerSecond: 1_000 },
  'catch-up': { ...limits, rowsBehind: 50_000, clientsPerSecond: 100, maxClients: 1_000 },
  churn: { ...limits, subscribers: 500, shapesPerSecond: 100, maxClients: 1_000 },
  spike: { ...limits, subscribers: 1_000, burstPerSecond: 5_000, burstSeconds: 20, rowsPerTransaction: 50 },
  'reconnect-storm': { ...limits, subscribers: 500, returning: 5_000 },
  'noisy-neighbour': { ...limits, sources: 20, subscribers: 20, quota: 200 },
  edge: { ...limits, subscribers: 5_000 },
  overload: {
    ...limits,
    subscribers: 500,
    overPerSecond: 2_000,
    overSeconds: 60,
    maxClients: 10_000,
    initialLimit: 50,
  },
});
