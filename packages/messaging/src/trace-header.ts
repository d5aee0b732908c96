/** Name of the header (W3C Trace Context). */
export const TRACEPARENT = 'traceparent';
/** Of the version that there is. */
const LENGTH = 55;

/** What goes with a message: what is only looked at must not make a message too large to be stored. */
export function carriedTrace(traceparent: string | undefined): string | undefined {
  return traceparent !== undefined && traceparent.length <= LENGTH ? traceparent : undefined;
}
