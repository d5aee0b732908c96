import type { Result } from '../../../loadtest/report/result.ts';

/** A run of which everything is known that a report can show. */
export function sampleResult(): Result {
  const trend = {
    count: 200,
    min: 1,
    avg: 9,
    'p(10)': 3,
    'p(25)': 4,
    med: 8,
    'p(75)': 12,
    'p(90)': 20,
    'p(95)': 31,
    'p(99)': 77,
    'p(99.9)': 90,
    max: 91,
  };
  return {
    scenario: 'live-fanout',
    profile: 'ci',
    parameters: { subscribers: 10 },
    through: 'directly',
    finishedAt: '2026-11-22T06:00:00.000Z',
    passed: false,
    thresholds: [
      { metric: 'shape_gaps', expression: 'count==0', ok: false },
      { metric: 'shape_live_latency{kind:reader}', expression: 'p(95)<500', ok: true },
    ],
    checks: [
      { name: 'a reader has what Postgres has', passes: 9, fails: 1 },
      { name: 'the answer is one of a shape', passes: 5_000, fails: 1 },
    ],
    metrics: {
      shape_gaps: { type: 'counter', values: { count: 3, rate: 0.1 } },
      'shape_live_latency{kind:reader}': { type: 'trend', values: trend },
      http_req_duration: { type: 'trend', values: trend },
    },
    phases: ['steady'],
    harness: {
      commit: 'abc123',
      dirty: false,
      k6: 'k6 v2',
      machine: { cpu: 'A <fast> processor', cores: 2, memoryGiB: 8, os: 'Linux', node: 'v24' },
      writer: { written: 20, dropped: 0, lateP50Ms: 1, lateP99Ms: 2, perSecond: [10, 10] },
      series: [
        { second: 0, kinds: { reader: { rows: 100, p50: 8, p95: 30, p99: 70 } } },
        { second: 1, kinds: {} },
        { second: 2, kinds: { reader: { rows: 100, p50: 9, p95: 31, p99: 77 } } },
      ],
      lastReader: [{ kind: 'reader', readers: 10, rows: 20, p50Ms: 30, p99Ms: 80, maxMs: 91 }],
      processes: [{ name: 'api-1', cpuPercent: [20, 30, 25], rssMiB: [100, 110, 111] }],
      verified: { shapes: 1, rows: 120, differences: ['channel 0: row 7 is missing'] },
      problems: ['1 differences to SELECT'],
    },
  };
}
