import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** Does it work at all? A few readers of three shapes, a few rows a second. */
const config = configOf('smoke');
const { parameters } = config;
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  latency(parameters, 'kind:reader'),
  initialSync(parameters),
);
export const read = readersOf(config);
export const handleSummary = summaryOf(config);
