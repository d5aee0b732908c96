import { changed, type Profile } from '../lib/profile.ts';
import { ci } from './ci.ts';

/** Two cores with nothing else to do. Its limits are what Shapecast aims at on such a machine. */
const limits = { p95Ms: 150, p99Ms: 500, syncP95Ms: 1_500, seconds: 60 } as const;

export const laptop: Profile = changed(ci, {
  'initial-sync': { ...limits, clientsPerSecond: 200, maxClients: 2_000 },
  'live-fanout': { ...limits, subscribers: 1_000, vus: 20, rampSeconds: 10 },
  'many-shapes': { ...limits, subscribers: 1_000, vus: 20, rampSeconds: 20, writesPerSecond: 200 },
  'catch-up': { ...limits, rowsBehind: 20_000, clientsPerSecond: 40, maxClients: 400 },
  churn: { ...limits, subscribers: 100, shapesPerSecond: 50, maxClients: 500 },
  spike: { ...limits, subscribers: 200, burstPerSecond: 3_000, burstSeconds: 10 },
  'reconnect-storm': { ...limits, subscribers: 200, returning: 1_000, vus: 20, rampSeconds: 15 },
  'noisy-neighbour': { ...limits, sources: 10, subscribers: 10 },
  edge: { ...limits, subscribers: 1_000, vus: 20, rampSeconds: 10, seconds: 30 },
  overload: { ...limits, subscribers: 100, overPerSecond: 400, overSeconds: 30, maxClients: 3_000, initialLimit: 10 },
});
