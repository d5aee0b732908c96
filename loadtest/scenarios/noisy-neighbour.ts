import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** What do other tenants notice of one that writes many times what it may? It has no limit of latency itself: it has to wait for its quota. */
const config = configOf('noisy-neighbour');
const { parameters } = config;
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  latency(parameters, 'kind:quiet,phase:before', 'kind:quiet,phase:meanwhile'),
  initialSync(parameters),
);
export const read = readersOf(config);
export const handleSummary = summaryOf(config);
