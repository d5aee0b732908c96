import { arrive as arriveAs } from '../lib/arriving.ts';
import { configOf } from '../lib/config.ts';
import { initialSync as duration } from '../lib/metrics.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, EVERY_CLIENT_CAME, initialSync, latency, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** Can shapes come and go all the time? New ones are made at a rate, read once and left, while others follow theirs. */
const config = configOf('churn');
const { parameters } = config;
export const options = optionsOf(
  config,
  CORRECTNESS,
  NOBODY_REFUSED,
  EVERY_CLIENT_CAME,
  latency(parameters, 'kind:reader'),
  initialSync(parameters, 'kind:arrival'),
);
export const read = readersOf(config);

/** Below the lowest row, so that every shape has all rows and a clause that no other has. The row that ends the channel is one more. */
export async function arrive(): Promise<void> {
  await arriveAs(config, (index) => ({ channel: 1, floor: -index, expected: { rows: parameters.rows + 1 }, duration }));
}
export const handleSummary = summaryOf(config);
