import http from 'k6/http';
import { readAnswer } from '../lib/answer.ts';
import { arrive as arriveAs } from '../lib/arriving.ts';
import { configOf } from '../lib/config.ts';
import { Harness } from '../lib/harness.ts';
import { catchUp } from '../lib/metrics.ts';
import { optionsOf } from '../lib/options.ts';
import { TABLE } from '../lib/rows.ts';
import { ShapeReader, type Place } from '../lib/shape-reader.ts';
import { summaryOf } from '../lib/summary.ts';
import { CORRECTNESS, EVERY_CLIENT_CAME, NOBODY_REFUSED } from '../lib/thresholds.ts';

/** How fast is a client up to date that was away for a while? All come back to the same place and read what was written since. */
const config = configOf('catch-up');
const { parameters } = config;
export const options = optionsOf(config, CORRECTNESS, NOBODY_REFUSED, EVERY_CLIENT_CAME, {
  shape_catch_up: [`p(95)<${parameters.syncP95Ms}`],
});

interface Left {
  readonly place: Place;
  readonly rows: number;
  readonly check: number;
}

/** The client that all of them are: up to date before the writer began. */
export function setup(): Left {
  const reader = new ShapeReader(0);
  const secret = config.secrets[''] === undefined ? '' : `&secret=${encodeURIComponent(config.secrets[''])}`;
  const shape = `${secret}&table=${TABLE}&where=${encodeURIComponent('channel = 0')}`;
  for (let requests = 0; !reader.upToDate; requests += 1) {
    const { status, headers, body } = http.get(`${config.baseUrl}/v1/shape?${reader.query(false)}${shape}`);
    if (requests > 100 || reader.take(readAnswer(status, headers, body as string)) === undefined) {
      throw new Error(`the shape cannot be read: status ${status}`);
    }
  }
  const { place } = reader;
  const [rows = 0, check = 0] = new Harness(config.writerUrl).writeAll()['']?.[0] ?? [];
  return { place, rows, check };
}

export async function arrive({ place, rows, check }: Left): Promise<void> {
  await arriveAs(config, () => ({ channel: 0, place, expected: { rows, check }, duration: catchUp }));
}
export const handleSummary = summaryOf(config);
