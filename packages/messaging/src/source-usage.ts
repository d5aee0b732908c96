/**
 * What a process did for a source and what it holds for it now. Counters grow from the start of the process; everything else is as it
 * is at the moment. Bytes are bytes. A process leaves out what it has nothing to do with.
 */
export interface SourceUsage {
  readonly counters?: {
    /** Row changes received from Postgres. */
    readonly changes?: number;
    /** Encoded bytes of transactions written to the tx stream. */
    readonly publishedBytes?: number;
    /** Entries written to shape logs, and their bytes. */
    readonly entries?: number;
    readonly entryBytes?: number;
    readonly snapshots?: number;
    readonly snapshotRows?: number;
    readonly snapshotBytes?: number;
    readonly rotations?: number;
    readonly requests?: number;
    /** Bytes of answers. */
    readonly egressBytes?: number;
    /** Shapes created. */
    readonly created?: number;
    /** Milliseconds that requests were held. */
    readonly heldMs?: number;
  };
  readonly gauges?: {
    readonly shapes?: number;
    /** Requests that wait for news. */
    readonly parked?: number;
    readonly inProgress?: number;
    readonly redisBytes?: number;
    readonly streamBytes?: number;
    /** WAL that Postgres keeps for the slot. */
    readonly retainedWalBytes?: number;
    /** From a commit until it is in the tx stream, and until it is visible in the store: of the latest transactions. */
    readonly publishLagMs?: number;
    readonly applyLagMs?: number;
    /** From visible in the store until a live answer with it was written, and all the way from the commit to there. */
    readonly serveLagMs?: number;
    readonly deliveryLagMs?: number;
  };
  /** Per axis of quota that has a limit: what counts against it in this process, its share of the limit, refused requests since the start. */
  readonly quotas?: Readonly<
    Record<string, { readonly used: number; readonly limit: number; readonly refused: number }>
  >;
}

/** What a process can say of a source when somebody asks; more than it would tell every two seconds. */
export interface SourceDetails {
  /** Requests that wait for news, by handle, most first; at most `most` handles. API pods. */
  readonly readers?: (most: number) => readonly (readonly [handle: string, waiting: number])[];
  /** How where clauses are found, plain data of bounded size without constants. Routers. */
  readonly matching?: () => unknown;
}

/** What a process tells the others: everything now and then, in between the sources whose numbers changed. */
export interface UsageReport {
  readonly v: 1;
  readonly process: string;
  readonly role: 'replicator' | 'router' | 'api';
  /** Milliseconds since the process started. */
  readonly uptimeMs: number;
  /** The process stops: it has no sources any more. */
  readonly leaving?: true;
  /** One that the process no longer has is empty. */
  readonly sources: Readonly<Record<string, SourceUsage>>;
}

export type UsageCounter = keyof NonNullable<SourceUsage['counters']>;
export type UsageGauge = keyof NonNullable<SourceUsage['gauges']>;

/** What every process sees whole, or the worst of what each sees; of all other gauges each has a part. */
const HIGHEST: ReadonlySet<string> = new Set<UsageGauge>([
  'streamBytes',
  'retainedWalBytes',
  'publishLagMs',
  'applyLagMs',
  'serveLagMs',
  'deliveryLagMs',
]);

/** Quotas of one shape, which are the same for every process: what the largest has. */
const OF_ONE_SHAPE: ReadonlySet<string> = new Set(['snapshotBytes', 'logBytes']);

/** The usage of two processes, or of two parts of one, together. */
export function addUsage(a: SourceUsage, b: SourceUsage): SourceUsage {
  const quotas: Record<string, { used: number; limit: number; refused: number }> = {};
  for (const [axis, { used, limit, refused }] of [
    ...Object.entries(a.quotas ?? {}),
    ...Object.entries(b.quotas ?? {}),
  ]) {
    const sum = (quotas[axis] ??= { used: 0, limit: 0, refused: 0 });
    sum.used = OF_ONE_SHAPE.has(axis) ? Math.max(sum.used, used) : sum.used + used;
    sum.limit = OF_ONE_SHAPE.has(axis) ? Math.max(sum.limit, limit) : sum.limit + limit;
    sum.refused += refused;
  }
  return {
    ...(a.counters || b.counters ? { counters: together(a.counters, b.counters) } : {}),
    ...(a.gauges || b.gauges ? { gauges: together(a.gauges, b.gauges) } : {}),
    ...(a.quotas || b.quotas ? { quotas } : {}),
  };
}

const COUNTERS: Readonly<Record<UsageCounter, true>> = {
  ...{ changes: true, publishedBytes: true, entries: true, entryBytes: true, snapshots: true, snapshotRows: true },
  ...{ snapshotBytes: true, rotations: true, requests: true, egressBytes: true, created: true, heldMs: true },
};

export function isUsageCounter(name: string): name is UsageCounter {
  return Object.hasOwn(COUNTERS, name);
}

const decoder = new TextDecoder();

/** Undefined for what is no report, or one of a version to come. Numbers that are none are left out. */
export function decodeUsageReport(payload: Uint8Array): UsageReport | undefined {
  let report: Partial<Record<keyof UsageReport, unknown>>;
  try {
    report = JSON.parse(decoder.decode(payload)) as typeof report;
  } catch {
    return undefined;
  }
  const { v, process, role, uptimeMs, leaving, sources } = report;
  if (v !== 1 || typeof process !== 'string' || typeof uptimeMs !== 'number' || !isMap(sources)) return undefined;
  if (role !== 'replicator' && role !== 'router' && role !== 'api') return undefined;
  const readable = Object.entries(sources).map(([source, usage]) => [source, readableUsage(usage)]);
  return {
    ...{ v, process, role, uptimeMs },
    ...(leaving === true ? { leaving } : {}),
    sources: Object.fromEntries(readable) as UsageReport['sources'],
  };
}

function readableUsage(usage: unknown): SourceUsage {
  if (!isMap(usage)) return {};
  const quotas = isMap(usage['quotas']) ? Object.entries(usage['quotas']) : [];
  return {
    ...(isMap(usage['counters']) ? { counters: numbers(usage['counters']) } : {}),
    ...(isMap(usage['gauges']) ? { gauges: numbers(usage['gauges']) } : {}),
    ...(quotas.length === 0
      ? {}
      : { quotas: Object.fromEntries(quotas.map(([axis, quota]) => [axis, quotaOf(quota)])) }),
  };
}

function quotaOf(quota: unknown): { used: number; limit: number; refused: number } {
  const { used = 0, limit = 0, refused = 0 } = isMap(quota) ? numbers(quota) : {};
  return { used, limit, refused };
}

function numbers(map: Readonly<Record<string, unknown>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(map).flatMap(([name, value]) => (Number.isFinite(value) ? [[name, value as number]] : [])),
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

type Numbers = Readonly<Record<string, number | undefined>>;

function together(a: Numbers = {}, b: Numbers = {}): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const [name, value] of [...Object.entries(a), ...Object.entries(b)]) {
    if (value === undefined) continue;
    const before = sums[name];
    sums[name] = before === undefined ? value : HIGHEST.has(name) ? Math.max(before, value) : before + value;
  }
  return sums;
}
