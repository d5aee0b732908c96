import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** Does a row find its one reader among many? As many shapes as readers, each row for one of them. */
const config = configOf('many-shapes');
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
