import { formatLsn, type Lsn } from '@shapecast/log';
import { percentile } from './checker/catch-up.ts';
import type { Checker } from './checker/checker.ts';
import type { Violation } from './checker/events.ts';
import type { History } from './history.ts';
import type { Truth } from './truth/truth.ts';
import type { Written } from './writers/writers.ts';

export interface ChaosReport extends Written {
  readonly seed: number;
  readonly minutes: number;
  /** Transactions that Postgres committed to the tracked tables, and the rows they changed. */
  readonly committed: number;
  readonly rowChanges: number;
  readonly readers: number;
  /** Handles that readers met. */
  readonly handles: number;
  /** Handles that came back for a moment because Redis had lost that their table was truncated. */
  readonly revived: number;
  /** Entries that readers were given, and distinct ones. */
  readonly entries: number;
  readonly distinctEntries: number;
  /** Up-to-dates that were compared with Postgres. */
  readonly compared: number;
  readonly uncompared: number;
  /** Watermarks that went back because a cache gave an older answer. */
  readonly cachedStepsBack: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly failedFaults: readonly string[];
  /** Times a reader was sent to the start, and why that was right. */
  readonly rotations: number;
  readonly explained: Readonly<Record<string, number>>;
  /** Why shapes ended, in the words of the log. */
  readonly rotationReasons: Readonly<Record<string, number>>;
  /** From all healed until every reader had everything, in milliseconds; without those that another fault disturbed. */
  readonly catchUp: CatchUpFigures;
  /** What must not be; empty when all is well. */
  readonly violations: readonly string[];
}

export interface CatchUpFigures {
  readonly measured: number;
  readonly p50: number | undefined;
  readonly p99: number | undefined;
  readonly max: number | undefined;
  /** After which faults it took longest, and who was last. */
  readonly slowest: readonly string[];
  readonly disturbed: number;
}

export function catchUpFigures({ catchUp }: Checker): CatchUpFigures {
  const calm = catchUp.measured.filter(({ disturbed }) => !disturbed);
  const values = calm.map(({ ms }) => Math.round(ms));
  const slowest = [...calm].sort((a, b) => b.ms - a.ms).slice(0, 5);
  return {
    measured: calm.length,
    p50: percentile(values, 0.5),
    p99: percentile(values, 0.99),
    max: percentile(values, 1),
    slowest: slowest.map(({ ms, reader, after }) => `${Math.round(ms)} ms after ${after.join(' and ')}, ${reader}`),
    disturbed: catchUp.measured.length - calm.length,
  };
}

export function violationText({ rule, reader, text }: Violation): string {
  return `${rule}${reader === undefined ? '' : `, ${reader}`}: ${text}`;
}

/** What was going on around a violation: the reader's last answers, the faults, and the transactions before it. */
export function surroundings(
  violation: Violation,
  { history, truth, checker }: { readonly history: History; readonly truth: Truth; readonly checker: Checker },
): string {
  const { reader } = violation;
  const track = checker.tracks.find(({ kind }) => kind.name === reader);
  const below = track?.watermark ?? truth.position;
  const transactions = truth
    .between(0n, below > truth.position ? truth.position : below)
    .slice(-12)
    .map(({ lsn, xid, changes, truncated }) => {
      const rows = changes.slice(0, 6).map(({ table, key, before, after }) => {
        const how = before === undefined ? 'insert' : after === undefined ? 'delete' : 'update';
        return `${how} ${table} ${key} ${JSON.stringify(after ?? before)}`;
      });
      const more = changes.length > 6 ? ` and ${changes.length - 6} more` : '';
      return `  ${lsn} (${formatLsn(lsn as Lsn)}) xid ${xid}: ${truncated.map((table) => `truncate ${table}; `).join('')}${rows.join('; ')}${more}`;
    });
  return [
    violationText(violation),
    ...(track === undefined ? [] : [`shape: ${track.kind.shape.name}`]),
    ...(reader === undefined ? [] : [`what ${reader} got last:`, ...history.last(reader).slice(-15).map(indent)]),
    'faults:',
    ...history.last('nemesis').slice(-15).map(indent),
    'transactions before:',
    ...transactions,
  ].join('\n');
}

function indent(line: string): string {
  return `  ${line.length > 1_500 ? `${line.slice(0, 1_500)}...` : line}`;
}
