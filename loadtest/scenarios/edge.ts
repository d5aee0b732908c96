import { configOf } from '../lib/config.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** What does a caching proxy take off the service, and what does it add to the latency? The same readers without it, then through it. */
const config = configOf('edge');
const { parameters } = config;
if (config.edgeUrl === undefined) throw new Error('EDGE_URL is missing: this scenario compares it with BASE_URL');
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  latency(parameters, 'kind:direct', 'kind:through-edge'),
  initialSync(parameters),
  // At least nine of ten requests are answered without asking the service.
  { 'shape_edge_miss{kind:through-edge}': ['rate<0.1'] },
);
export const read = readersOf(config);
export const handleSummary = summaryOf(config);
