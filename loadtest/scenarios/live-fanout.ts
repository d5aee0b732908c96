import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** How long until everybody has a row that everybody wants? Many readers of one shape; see the figure of the last reader. */
const config = configOf('live-fanout');
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
