import type { SourceSums } from '@shapecast/messaging';
import type { SourceLimits } from '@shapecast/sources';

/** One axis of what a source may use: what was declared, and what processes say of it. */
export interface QuotaSight {
  readonly axis: string;
  /** Absent when there is none. */
  readonly limit?: number;
  /** What counts against the limit now, of all processes; absent where none says. */
  readonly used?: number;
  /** Since the processes started. */
  readonly refused: number;
}

/** Axes that have a limit, those that were declared first. */
export function quotasOf(limits: SourceLimits, { usage }: SourceSums): readonly QuotaSight[] {
  const told = usage.quotas ?? {};
  const declared = Object.entries(limits as Readonly<Record<string, number | undefined>>).filter(
    ([, limit]) => limit !== undefined,
  );
  const axes = new Map(declared);
  for (const [axis, { limit }] of Object.entries(told)) if (!axes.has(axis)) axes.set(axis, limit);
  return [...axes].map(([axis, limit]) => ({
    axis,
    ...(limit === undefined ? {} : { limit }),
    ...(told[axis] === undefined ? {} : { used: told[axis].used }),
    refused: told[axis]?.refused ?? 0,
  }));
}
