import type { AppliedNote } from '@shapecast/shape-store';

/** What is measured of an answer that brings entries: one for all requests that it answers. */
export interface News {
  /** Of its last entry, where that is the shape's last one. */
  readonly note: AppliedNote | undefined;
  /** When the hint came, on the clock of this process; 0: none did, polling found them or they were there before the request. */
  readonly announcedAt: number;
  /** Somebody had seen the end of the log and waited there. */
  readonly awaited: boolean;
}

/** How old the newest entry of a shape is, by the part of the way that took the time; in milliseconds. */
export interface Lag {
  readonly publish: number;
  readonly apply: number;
  readonly serve: number;
  /** Without the time in which nobody was here to be told. */
  readonly total: number;
}

/** A reader that was away for longer catches up, and how old what it reads is says nothing about us. */
const MOST_AWAY_MS = 5_000;

/**
 * How long news took to a reader that is told now. `now` and `wall` are the same moment on the process's clock and on the calendar, in
 * which the note is; `since` is when the reader came, on the process's clock. A reader that came after the entry was applied had been
 * away, and that time is its own. Undefined: it catches up, or the store has no note.
 */
export function lagOf({ note, awaited }: News, now: number, wall: number, since: number): Lag | undefined {
  if (note === undefined) return undefined;
  const { committedMs, publishedMs, appliedMs } = note;
  const awayMs = awaited ? 0 : Math.max(0, wall - (now - since) - appliedMs);
  if (awayMs > MOST_AWAY_MS) return undefined;
  // Clocks of machines differ: no part of the way takes less than no time.
  return {
    publish: Math.max(0, publishedMs - committedMs),
    apply: Math.max(0, appliedMs - publishedMs),
    serve: Math.max(0, wall - appliedMs - awayMs),
    total: Math.max(0, wall - committedMs - awayMs),
  };
}

/** Value of `server-timing`: what a browser shows beside the request. */
export function serverTiming({ publish, apply, serve }: Lag): string {
  return `publish;dur=${publish}, apply;dur=${apply}, serve;dur=${serve}`;
}
