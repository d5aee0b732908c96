import type { AppliedNote, EntryOrigin } from '../applied-note.ts';

// A note takes the place of the failure at the end of a head, which only dead shapes have: as JSON, because that is what programs
// that know of no notes expect there. The times after the first are what they are later than the one before, which is shorter.

const TRACE = '[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}';
const NOTE = new RegExp(`^\\{"note":"(\\d+) (-?\\d+) (-?\\d+)(?: (${TRACE}))?"\\}$`);
const TRACEPARENT = new RegExp(`^${TRACE}$`);

export function encodeNote({ committedMs, publishedMs, traceparent }: EntryOrigin, appliedMs: number): string {
  const committed = Math.round(committedMs);
  const published = Math.round(publishedMs);
  const trace = traceparent === undefined ? '' : ` ${storedTraceparent(traceparent)}`.trimEnd();
  return `{"note":"${committed} ${published - committed} ${Math.round(appliedMs) - published}${trace}"}`;
}

/** Empty for what is no trace context of the version that there is: it comes from elsewhere, and stands between spaces. */
export function storedTraceparent(traceparent: string | undefined): string {
  return traceparent !== undefined && TRACEPARENT.test(traceparent) ? traceparent : '';
}

/** Undefined for everything that is not a note: it is only for looking at. */
export function decodeNote(text: string): AppliedNote | undefined {
  const [whole, committed, later, latest, traceparent] = NOTE.exec(text) ?? [];
  if (whole === undefined) return undefined;
  const committedMs = Number(committed);
  const publishedMs = committedMs + Number(later);
  return {
    committedMs,
    publishedMs,
    appliedMs: publishedMs + Number(latest),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}
