import { systemClock, wallTime } from '@shapecast/service-kit';
import { Metrics } from '@shapecast/telemetry';
import { lagOf, type News } from './news.ts';
import { SourceTelemetry, type EndedRequest } from './source-telemetry.ts';

/**
 * Nanoseconds that counting adds to one answer, one JSON line per case. To be held against the 40 to 60 microseconds that an answer to a
 * parked request takes in all (`npm run bench -- parked`). Run: `node services/api/src/telemetry/answer.bench.ts`.
 */
const clock = systemClock;
const ROUND = 200_000;
const ROUNDS = 9;

const now = wallTime(clock);
const note = { committedMs: now - 20, publishedMs: now - 8, appliedMs: now - 3 };
const news: News = { note, announcedAt: clock.now() - 2, awaited: true };

/** As an exchange has it: half of it is only known at the end. */
class Request implements EndedRequest {
  readonly began = clock.now();
  readonly live: boolean;
  readonly empty: boolean;
  readonly knownError = false;
  readonly status = 200;
  readonly bodyBytes = 1_234;

  constructor(live: boolean, empty: boolean) {
    this.live = live;
    this.empty = empty;
  }
}

const telemetry = new SourceTelemetry(new Metrics(), 'bench', () => clock.now());

const CASES: Readonly<Record<string, () => void>> = {
  'live, with news': () => {
    const request = new Request(true, false);
    telemetry.waits.data.record(12_345);
    const at = clock.now();
    telemetry.told(news, lagOf(news, at, wallTime(clock), request.began), at);
    telemetry.ended(request, clock.now());
  },
  'live, without news': () => {
    const request = new Request(true, true);
    telemetry.waits.timeout.record(20_000);
    telemetry.ended(request, clock.now());
  },
  'not live': () => {
    telemetry.ended(new Request(false, false), clock.now());
  },
};

function nanosOf(run: () => void): number {
  const start = performance.now();
  for (let i = 0; i < ROUND; i += 1) run();
  return ((performance.now() - start) * 1e6) / ROUND;
}

for (const [name, run] of Object.entries(CASES)) {
  // The best round has the least of what else the machine does.
  const nanos = Math.min(...Array.from({ length: ROUNDS }, () => nanosOf(run)));
  process.stdout.write(`${JSON.stringify({ answer: name, nanoseconds: Math.round(nanos) })}\n`);
}
