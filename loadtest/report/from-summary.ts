import type { Check, Metric, Result, Threshold } from './result.ts';

/** What k6 hands to handleSummary, as far as we use it. */
export interface SummaryData {
  readonly metrics: Readonly<Record<string, SummaryMetric>>;
  readonly root_group?: SummaryGroup;
}

interface SummaryMetric {
  readonly type: string;
  readonly values: Readonly<Record<string, number>>;
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>;
}

interface SummaryGroup {
  readonly checks?: readonly Check[];
}

type Asked = Pick<Result, 'scenario' | 'profile' | 'parameters' | 'phases' | 'through' | 'finishedAt'>;

export function resultOf({ metrics, root_group: group }: SummaryData, asked: Asked): Result {
  const thresholds: Threshold[] = [];
  const kept: Record<string, Metric> = {};
  for (const [metric, { type, values, thresholds: judged = {} }] of Object.entries(metrics)) {
    for (const [expression, { ok }] of Object.entries(judged)) thresholds.push({ metric, expression, ok });
    kept[metric] = { type: type as Metric['type'], values };
  }
  const checks = (group?.checks ?? []).map(({ name, passes, fails }) => ({ name, passes, fails }));
  return { ...asked, passed: thresholds.every(({ ok }) => ok), thresholds, checks, metrics: kept };
}
