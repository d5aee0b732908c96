import { arrive as arriveAs } from '../lib/arriving.ts';
import { configOf } from '../lib/config.ts';
import { Harness } from '../lib/harness.ts';
import { initialSync as duration } from '../lib/metrics.ts';
import { optionsOf } from '../lib/options.ts';
import type { Finals } from '../lib/reports.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, EVERY_CLIENT_CAME, initialSync, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** How fast is a client served that has nothing yet, when very many come? They arrive at a rate, whether or not those before are served. */
const config = configOf('initial-sync');
const { parameters } = config;
export const options = optionsOf(config, CORRECTNESS, NOBODY_REFUSED, EVERY_CLIENT_CAME, initialSync(parameters));

export function setup(): Finals {
  return new Harness(config.writerUrl).writeAll();
}

export async function arrive(finals: Finals): Promise<void> {
  await arriveAs(config, (index) => {
    const channel = index % parameters.shapes;
    const [rows = 0, check = 0] = finals['']?.[channel] ?? [];
    return { channel, expected: { rows, check }, duration };
  });
}
export const handleSummary = summaryOf(config);
