import { wallTime, type Clock } from './clock.ts';

/** How far a remote clock is from ours. */
export interface ClockOffset {
  /** Milliseconds that the remote clock is ahead; negative: behind. Right to half of the round trip. */
  readonly aheadMs: number;
  readonly roundTripMs: number;
}

const SAMPLES = 3;

/**
 * Asks a remote clock a few times and believes the quickest answer, which is taken to be of the middle between question and answer.
 * `read` gives milliseconds since 1970; undefined when the other side has none to tell.
 */
export async function clockOffset(
  clock: Clock,
  read: () => Promise<number | undefined>,
): Promise<ClockOffset | undefined> {
  let best: ClockOffset | undefined;
  for (let sample = 0; sample < SAMPLES; sample += 1) {
    const askedAt = wallTime(clock);
    const remote = await read();
    if (remote === undefined) return undefined;
    const answeredAt = wallTime(clock);
    const roundTripMs = answeredAt - askedAt;
    const aheadMs = remote - (askedAt + answeredAt) / 2;
    if (best === undefined || roundTripMs < best.roundTripMs) best = { aheadMs, roundTripMs };
  }
  return best;
}
