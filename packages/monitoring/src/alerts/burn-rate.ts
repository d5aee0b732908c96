import { badShare, counted, type BurnWindow, type Objective } from '../recording.ts';
import type { Stage } from './alert.ts';
import { threshold, type Severity, type ThresholdName } from './thresholds.ts';

type LongWindow = '1h' | '6h' | '3d';

/** Fast burns wake somebody within minutes, slow ones are seen before the budget of 28 days is gone. */
const WINDOWS: readonly {
  readonly severity: Severity;
  readonly short: BurnWindow;
  readonly long: LongWindow;
  readonly for: string;
}[] = [
  { severity: 'critical', short: '5m', long: '1h', for: '2m' },
  { severity: 'high', short: '30m', long: '6h', for: '15m' },
  { severity: 'warning', short: '6h', long: '3d', for: '1h' },
];

type Budget = Extract<ThresholdName, 'deliveryFast' | 'deliverySlow' | 'requestErrors'>;

/**
 * Stages of an alert about error budgets: both windows have to burn too fast, and enough has to have happened for that to mean something.
 * Several objectives in one alert say which one it is in the label `objective`.
 */
export function burnRateStages(objectives: readonly { readonly objective: Objective; readonly budget: Budget }[]) {
  return WINDOWS.map(({ severity, short, long, for: held }): Stage => {
    const expr = objectives.map(({ objective, budget }) => {
      const allowed = `${threshold('burnRate', severity)} * ${threshold(budget, 'critical')}`;
      const burns = [short, long].map((window) => `${badShare(objective, window)} > ${allowed}`);
      const enough = `${counted(objective, long)} > ${threshold('burnAtLeast', severity)}`;
      return `label_replace(${[...burns, enough].join(' and ')}, "objective", "${objective}", "", "")`;
    });
    return { severity, for: held, expr: expr.join(' or ') };
  });
}
