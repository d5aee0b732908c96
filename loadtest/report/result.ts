/** What came of one run: result.json. k6 gives the first part; the harness, which sees more, adds the rest. */
export interface Result {
  readonly scenario: string;
  readonly profile: string;
  readonly parameters: Readonly<Record<string, number>>;
  readonly through: string;
  readonly finishedAt: string;
  readonly passed: boolean;
  readonly thresholds: readonly Threshold[];
  readonly checks: readonly Check[];
  /** By name, with its tags where it is a part of one: `shape_live_latency{kind:quiet}`. */
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly phases: readonly string[];
  readonly harness?: HarnessResult;
}

export interface Threshold {
  readonly metric: string;
  readonly expression: string;
  readonly ok: boolean;
}

export interface Check {
  readonly name: string;
  readonly passes: number;
  readonly fails: number;
}

export interface Metric {
  readonly type: 'counter' | 'gauge' | 'rate' | 'trend';
  readonly values: Readonly<Record<string, number>>;
}

export interface HarnessResult {
  readonly commit: string;
  /** Whether files differed from the commit. */
  readonly dirty: boolean;
  readonly machine: Readonly<Record<string, string | number>>;
  readonly k6: string;
  readonly writer: WriterFigures;
  readonly series: readonly SeriesPoint[];
  readonly lastReader: readonly LastReader[];
  readonly processes: readonly ProcessUsage[];
  readonly verified: Verification;
  readonly problems: readonly string[];
}

export interface WriterFigures {
  readonly written: number;
  /** Rows that were due while too many waited for Postgres. */
  readonly dropped: number;
  readonly lateP50Ms: number;
  readonly lateP99Ms: number;
  readonly perSecond: readonly number[];
}

export interface SeriesPoint {
  /** Since the writer began. */
  readonly second: number;
  readonly kinds: Readonly<Record<string, { rows: number; p50: number; p95: number; p99: number }>>;
}

/** From a row's time stamp until the last of all readers of its shape had it. */
export interface LastReader {
  readonly kind: string;
  readonly readers: number;
  readonly rows: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

export interface ProcessUsage {
  readonly name: string;
  /** Of one core, a point a second from the moment the writer began. */
  readonly cpuPercent: readonly number[];
  readonly rssMiB: readonly number[];
}

/** After everything was quiet: shapes read from their start and compared with SELECT, row by row and column by column. */
export interface Verification {
  readonly shapes: number;
  readonly rows: number;
  readonly differences: readonly string[];
}
