import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** What does a burst of writes do to those who read, and are they served as before when it is over? */
const config = configOf('spike');
const { parameters } = config;
const { burstP99Ms } = parameters;
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  latency(parameters, 'phase:before', 'phase:after'),
  latency({ p95Ms: burstP99Ms, p99Ms: burstP99Ms }, 'phase:burst'),
  initialSync(parameters),
);
export const read = readersOf(config);
export const handleSummary = summaryOf(config);
