import type { Options, Scenario, Threshold } from 'k6/options';
import type { Config } from './config.ts';
import { arrivalSeconds, share, writeSeconds } from './plan.ts';
import type { ScenarioName } from './profile.ts';

/** Clients that arrive begin when the readers are there. */
const ARRIVALS_AFTER_SECONDS = 5;
/** Longer than a live request waits. */
const GRACEFUL_STOP = '90s';

/** What k6 runs for a plan: readers with `exec: 'read'`, arriving clients with `exec: 'arrive'`. */
export function optionsOf(
  { plan, parameters, scenario }: Config<ScenarioName>,
  ...thresholds: readonly Readonly<Record<string, Threshold[]>>[]
): Options {
  const ramp = Math.max(0, ...plan.readers.map(({ rampSeconds }) => rampSeconds));
  const seconds = ramp + Math.max(writeSeconds(plan), arrivalSeconds(plan) + ARRIVALS_AFTER_SECONDS);
  const perVu = Math.max(1, ...plan.readers.map(({ subscribers }) => Math.ceil(subscribers / parameters.vus)));
  const scenarios: Record<string, Scenario> = {};
  for (const [i, group] of plan.readers.entries()) {
    scenarios[`readers-${i}`] = {
      executor: 'per-vu-iterations',
      exec: 'read',
      vus: share(group.subscribers, parameters.vus).length,
      iterations: 1,
      maxDuration: `${seconds + 300}s`,
      gracefulStop: GRACEFUL_STOP,
      env: { GROUP: String(i) },
    };
  }
  const { arrivals } = plan;
  if (arrivals !== undefined) {
    const [first] = arrivals.stages;
    scenarios['arrivals'] = {
      executor: 'ramping-arrival-rate',
      exec: 'arrive',
      startTime: plan.readers.length === 0 ? '0s' : `${ramp + ARRIVALS_AFTER_SECONDS}s`,
      startRate: first?.perSecond ?? 0,
      // Steps and not slopes: what a stage is called is what it was.
      stages: arrivals.stages.flatMap(({ seconds: length, perSecond }) => [
        { target: perSecond, duration: '0s' },
        { target: perSecond, duration: `${length}s` },
      ]),
      preAllocatedVUs: Math.min(50, arrivals.maxClients),
      maxVUs: arrivals.maxClients,
      gracefulStop: GRACEFUL_STOP,
    };
  }
  return {
    scenarios,
    thresholds: Object.assign({}, ...thresholds) as Record<string, Threshold[]>,
    tags: { load: scenario },
    // The connections that a virtual user keeps open when idle are as many: each of its readers needs one.
    batch: 2 * perVu,
    batchPerHost: 2 * perVu,
    setupTimeout: `${seconds + 300}s`,
    summaryTrendStats: [
      'count',
      'min',
      'avg',
      'p(10)',
      'p(25)',
      'med',
      'p(75)',
      'p(90)',
      'p(95)',
      'p(99)',
      'p(99.9)',
      'max',
    ],
    // Without URLs: each differs.
    systemTags: ['status', 'method', 'name', 'scenario', 'expected_response', 'error_code', 'check', 'group'],
    userAgent: 'shapecast-loadtest',
  };
}
