import type { Profile } from '../lib/profile.ts';

/** Less than five minutes each on two cores with everything on them, beside other work: limits find a hang or a flood, not a slow day. */
const reading = {
  subscribers: 200,
  rampSeconds: 5,
  writesPerSecond: 20,
  seconds: 30,
  vus: 8,
  p95Ms: 1_000,
  p99Ms: 2_500,
  syncP95Ms: 5_000,
} as const;

export const ci: Profile = {
  smoke: { ...reading, subscribers: 6, rampSeconds: 1, writesPerSecond: 10, seconds: 5, vus: 2, rows: 30 },
  'initial-sync': { ...reading, rows: 500, shapes: 10, clientsPerSecond: 40, maxClients: 400 },
  'live-fanout': { ...reading, subscribers: 500 },
  'many-shapes': { ...reading, writesPerSecond: 100 },
  'catch-up': {
    ...reading,
    rowsBehind: 5_000,
    rowsPerTransaction: 50,
    writesPerSecond: 1_000,
    clientsPerSecond: 20,
    maxClients: 200,
  },
  churn: { ...reading, subscribers: 50, rows: 100, shapesPerSecond: 20, maxClients: 200 },
  spike: {
    ...reading,
    subscribers: 100,
    burstPerSecond: 1_000,
    burstSeconds: 5,
    rowsPerTransaction: 20,
    burstP99Ms: 10_000,
  },
  'reconnect-storm': { ...reading, subscribers: 50, returning: 250 },
  'noisy-neighbour': { ...reading, subscribers: 5, sources: 4, writesPerSecond: 5, quota: 50, times: 20 },
  edge: { ...reading, subscribers: 300, seconds: 20 },
  overload: {
    ...reading,
    subscribers: 50,
    rows: 300,
    clientsPerSecond: 2,
    overPerSecond: 100,
    overSeconds: 10,
    recoverySeconds: 30,
    maxClients: 500,
    initialLimit: 4,
  },
};
