import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** What do those notice who stayed, when very many lose their connections at once and come back? */
const config = configOf('reconnect-storm');
const { parameters } = config;
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  latency(parameters, 'kind:steady,phase:before', 'kind:steady,phase:storm', 'kind:steady,phase:after'),
  latency(parameters, 'kind:returning,phase:after'),
  initialSync(parameters),
  // Or there was no storm.
  { shape_cut: [`count>${Math.floor(parameters.returning * 0.9) - 1}`] },
);
export const read = readersOf(config);
export const handleSummary = summaryOf(config);
