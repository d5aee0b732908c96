import { arrive as arriveAs } from '../lib/arriving.ts';
import { configOf } from '../lib/config.ts';
import { initialSync as duration } from '../lib/metrics.ts';
import { optionsOf } from '../lib/options.ts';
import { readersOf } from '../lib/readers.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, initialSync, latency } from '../lib/thresholds.ts';

/**
 * What happens beyond what there is room for? New clients come at a rate that cannot be served: those without room are to be told so, soon
 * and with the time to come again, those who follow are to be served, and when the load ends nobody is turned away any more.
 */
const config = configOf('overload');
const { parameters } = config;
export const options = optionsOf(
  config,
  CORRECTNESS,
  latency(parameters, 'kind:reader,phase:after'),
  initialSync(parameters, 'phase:after'),
  {
    // Or the load was not beyond what there is room for, and the scenario has shown nothing.
    'shape_refused{phase:over}': ['count>0'],
    'shape_refused{phase:after}': ['count==0'],
    shape_refused_without_retry_after: ['count==0'],
    shape_refusal_time: [`p(95)<${parameters.syncP95Ms}`],
  },
);
export const read = readersOf(config);

export async function arrive(): Promise<void> {
  await arriveAs(config, (index) => ({ channel: 1, floor: -index, expected: { rows: parameters.rows + 1 }, duration }));
}
export const handleSummary = summaryOf(config);
