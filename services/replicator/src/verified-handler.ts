import type { ReplicationHandler } from '@shapecast/change-source';
import type { Divergence, ResentCheck } from './resent-check.ts';

/**
 * Lets through what Postgres sends once it is certain that it goes on with the history of the stream. `onDivergence` says
 * what to throw when it does not; `fail` is told when that turns out between two calls.
 */
export function verifiedHandler(
  check: ResentCheck,
  inner: ReplicationHandler,
  onDivergence: (divergence: Divergence) => Promise<Error>,
  fail: (error: unknown) => void,
): ReplicationHandler {
  // One after the other: an idle moment is not waited for by whoever reports it.
  let last: Promise<void> = Promise.resolve();
  const inTurn = (ask: () => Promise<Divergence | undefined>): Promise<void> => {
    last = last.then(ask).then(async (divergence) => {
      if (divergence) throw await onDivergence(divergence);
    });
    return last;
  };
  return {
    onParts: async (parts, bytes) => {
      if (!check.done) await inTurn(() => check.check(parts));
      await inner.onParts(parts, bytes);
    },
    onIdle: (walEnd) => {
      if (check.done) return inner.onIdle(walEnd);
      last = inTurn(() => check.passed(walEnd)).then(() => inner.onIdle(walEnd));
      last.catch(fail);
    },
    onRelation: (relation) => inner.onRelation?.(relation),
    onUnusable: (reason) => inner.onUnusable?.(reason),
  };
}
