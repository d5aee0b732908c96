import { unavailable, type Answer } from './answers.ts';

/** Seconds; a source starts anew within minutes. */
const STALE_RETRY_S = 10;
/** WAL that was kept for long is not gone in seconds. */
const SHEDDING_RETRY_S = 30;

/** The slot of the source was dropped: its shapes have ended, though nobody has told their readers yet (spec H LV-2). */
export const STALE = unavailable(
  'The source is stale: changes made since its replication slot was dropped are unknown. It starts anew by itself.',
  STALE_RETRY_S,
  true,
);

/** Postgres keeps so much WAL for the source that nothing may be begun which keeps it busier. */
export const SHEDDING = unavailable(
  'New shapes are not accepted at the moment, because the database keeps too much WAL for replication. Please try again later.',
  SHEDDING_RETRY_S,
  true,
);

/**
 * What may be told of a shape whose source is stale: all that its log has, and not that this is all there is. So a reader comes
 * to the end of the log and waits there, until the source goes on and the handle is answered with 409.
 */
export function withoutPromise(answer: Answer): Answer {
  switch (answer.kind) {
    case 'log':
      if (!answer.upToDate) return answer;
      answer.body.release();
      return STALE;
    case 'not-modified':
      return answer.upToDate ? STALE : answer;
    case 'events':
      return STALE;
    case 'failure':
    case 'refetch':
    case 'snapshot':
    case 'subset':
      return answer;
  }
}
