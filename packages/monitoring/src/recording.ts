import type { MetricName } from '@shapecast/telemetry';
import { BY_SOURCE } from './alerts/alert.ts';
import { threshold } from './alerts/thresholds.ts';
import { gauge, maxBy, observations, observationsUpTo, rate, sumBy } from './promql/select.ts';

/** Windows that error budgets are looked at in: short ones say that it still goes on, long ones that it matters. */
const BURN_WINDOWS = ['5m', '30m', '1h', '6h', '3d'] as const;
export type BurnWindow = (typeof BURN_WINDOWS)[number];

/** Promises to clients (spec D 7.4): what is counted, and what of it was bad. */
const OBJECTIVES = ['delivery_fast', 'delivery_slow', 'requests'] as const;
export type Objective = (typeof OBJECTIVES)[number];

const DELIVERY = 'shapecast.api.delivery.latency' satisfies MetricName;
const REQUESTS = 'electric.plug.serve_shape.requests.count' satisfies MetricName;

function countOf(objective: Objective, window: string): string {
  return sumBy(BY_SOURCE, objective === 'requests' ? rate(REQUESTS, window) : observations(DELIVERY, window));
}

function badOf(objective: Objective, window: string): string {
  switch (objective) {
    case 'requests':
      // A source without any 5xx has no such series, and its share is 0 and not unknown.
      return `(${sumBy(BY_SOURCE, rate(REQUESTS, window, { status: '=~5..|cut' }))} or ${countOf(objective, window)} * 0)`;
    case 'delivery_fast':
      return `(${countOf(objective, window)} - ${sumBy(BY_SOURCE, observationsUpTo(DELIVERY, 500, window))})`;
    case 'delivery_slow':
      return `(${countOf(objective, window)} - ${sumBy(BY_SOURCE, observationsUpTo(DELIVERY, 2_000, window))})`;
  }
}

/** A rate times its window is what was counted in it. */
const SECONDS = { '1h': 3_600, '6h': 21_600, '3d': 259_200 } as const;

const retained = 'electric.postgres.replication.slot_retained_wal_size';
const limit = `(${maxBy(BY_SOURCE, gauge('shapecast.slot.max_keep_size'))} or ${maxBy(BY_SOURCE, gauge(retained))} * 0 + ${threshold('walUnlimited', 'critical')})`;

/** Expressions that are read often, or over days: what is computed in advance, by its name in Prometheus. */
export const RECORDED: ReadonlyMap<string, string> = new Map([
  [recordedWal(), `${maxBy(BY_SOURCE, gauge(retained))} / ${limit}`],
  ...OBJECTIVES.flatMap((objective) =>
    BURN_WINDOWS.map(
      (window) =>
        [badShare(objective, window), `${badOf(objective, window)} / (${countOf(objective, window)} > 0)`] as const,
    ),
  ),
  ...OBJECTIVES.flatMap((objective) =>
    (['1h', '6h', '3d'] as const).map(
      (window) => [counted(objective, window), `${countOf(objective, window)} * ${SECONDS[window]}`] as const,
    ),
  ),
]);

/** WAL kept for the slot, as a share of the limit. */
export function recordedWal(): string {
  return 'shapecast:slot_retained_wal:ratio';
}

/** Share of what was bad in a window. */
export function badShare(objective: Objective, window: BurnWindow): string {
  return `shapecast:${objective}_bad:ratio_rate${window}`;
}

/** How much was counted in a window. */
export function counted(objective: Objective, window: '1h' | '6h' | '3d'): string {
  return `shapecast:${objective}:increase${window}`;
}
