/** Eight buckets for every doubling: an estimate is off by at most 9 %. */
const PER_DOUBLING = 8;

/** Counts by bucket of milliseconds, sparse: it goes over the wire as JSON. */
export type Histogram = Record<string, number>;

export function addTo(histogram: Histogram, ms: number, count = 1): void {
  const bucket = Math.round(Math.log2(Math.max(0, ms) + 1) * PER_DOUBLING);
  histogram[bucket] = (histogram[bucket] ?? 0) + count;
}

export function mergeInto(histogram: Histogram, other: Histogram): void {
  for (const [bucket, count] of Object.entries(other)) histogram[bucket] = (histogram[bucket] ?? 0) + count;
}

export function countOf(histogram: Histogram): number {
  return Object.values(histogram).reduce((sum, count) => sum + count, 0);
}

/** Milliseconds below which `share` of the values lie; undefined where there are none. */
export function percentile(histogram: Histogram, share: number): number | undefined {
  const buckets = Object.entries(histogram)
    .map(([bucket, count]) => [Number(bucket), count] as const)
    .sort(([a], [b]) => a - b);
  let left = countOf(histogram) * share;
  for (const [bucket, count] of buckets) {
    left -= count;
    if (left <= 0) return Math.round(10 * (2 ** (bucket / PER_DOUBLING) - 1)) / 10;
  }
  return undefined;
}
