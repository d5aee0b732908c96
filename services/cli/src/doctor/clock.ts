import type { ClockOffset } from '@shapecast/service-kit';
import type { CheckId } from './checks.ts';
import { ok, skipped, warn, type Finding } from './finding.ts';
import { durationText } from '../output/quantities.ts';

/** Nothing correct depends on clocks (spec I10); logs, metrics and waits for other machines become hard to read. */
const MAX_SKEW_MS = 1_000;

/** An offset is only known to half of the round trip. */
export function judgeClock(id: CheckId, server: string, offset: ClockOffset | undefined): Finding {
  if (offset === undefined) return skipped(id, `${server} does not tell its time.`);
  const { aheadMs, roundTripMs } = offset;
  const skew = `${durationText(aheadMs)} ${aheadMs < 0 ? 'behind' : 'ahead of'} this machine (± ${durationText(roundTripMs / 2)})`;
  if (Math.abs(aheadMs) - roundTripMs / 2 <= MAX_SKEW_MS) return ok(id, `The clock of ${server} is ${skew}.`);
  return warn(id, `The clock of ${server} is ${skew}.`, 'Let NTP set the clocks of all machines.');
}
