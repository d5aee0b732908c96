import type { ShapeFailure } from '@shapecast/shape-store';

/** Why a shape ended that could be read (spec R 15.7). */
type RotationReason =
  | 'truncated'
  | 'schema_changed'
  | 'partitions_changed'
  | 'unpublished'
  | 'unusable_change'
  | 'new_incarnation'
  | 'stream_gap'
  | 'poison'
  | 'stalled'
  | 'scan_limit'
  | 'snapshot_failed'
  | 'pending_overflow'
  | 'storage_lost'
  | 'operator';

/** Why a shape was ended by plan. */
type RemovalReason = 'expired' | 'memory' | 'quota' | 'too_large' | 'deleted';

export type EndReason =
  | { readonly kind: 'rotated'; readonly reason: RotationReason }
  | { readonly kind: 'removed'; readonly reason: RemovalReason };

/**
 * How the text of a failure begins: what the store and the journal keep of an end, whoever made it. The first that fits counts; a code
 * without a text is for all the others that have it.
 */
const ENDS: readonly (readonly [code: string, text: string, EndReason])[] = [
  ['SCHEMA_CHANGED', 'The table was truncated', rotated('truncated')],
  ['SCHEMA_CHANGED', 'The partitions of the table changed', rotated('partitions_changed')],
  ['SCHEMA_CHANGED', 'The table was not published', rotated('unpublished')],
  ['SCHEMA_CHANGED', 'A change of the table could not be applied', rotated('unusable_change')],
  ['SCHEMA_CHANGED', 'Changes are no longer stored', rotated('stream_gap')],
  ['SCHEMA_CHANGED', 'A change could not be evaluated', rotated('poison')],
  ['SCHEMA_CHANGED', 'A transaction could not be applied', rotated('stalled')],
  ['SCHEMA_CHANGED', 'The shape was deleted', removed('deleted')],
  ['SCHEMA_CHANGED', 'An operator rotated', rotated('operator')],
  ['SCHEMA_CHANGED', '', rotated('schema_changed')],
  ['SCAN_LIMIT_EXCEEDED', '', rotated('scan_limit')],
  ['SNAPSHOT_FAILED', 'Too many changes arrived', rotated('pending_overflow')],
  ['SHAPE_DATA_LOST', '', rotated('storage_lost')],
  ['SHAPE_EXPIRED', 'There were more shapes', removed('expired')],
  ['SHAPE_EXPIRED', 'The store ran short', removed('memory')],
  ['SHAPE_EXPIRED', '', removed('quota')],
  ['LOG_TOO_LARGE', '', removed('too_large')],
];

const OTHER: EndReason = { kind: 'rotated', reason: 'snapshot_failed' };

/** All there are. */
export const END_REASONS: readonly EndReason[] = [
  ...ENDS.map(([, , end]) => end),
  OTHER,
  { kind: 'rotated', reason: 'new_incarnation' },
];

/** Everything else keeps a snapshot from being finished, whatever its code. */
export function endReason({ code, message }: ShapeFailure): EndReason {
  const found = ENDS.find(([of, text]) => of === code && message.startsWith(text));
  return found?.[2] ?? OTHER;
}

function rotated(reason: RotationReason): EndReason {
  return { kind: 'rotated', reason };
}

function removed(reason: RemovalReason): EndReason {
  return { kind: 'removed', reason };
}
