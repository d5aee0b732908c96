import { bytes, count } from '@shapecast/service-kit';
import { z } from 'zod';

/** Numbers may be written as numbers; the formats of settings take text. */
const text = z.union([z.string(), z.number().transform(String)]).optional();
const number = (description: string, min = 1) => text.pipe(count(undefined, description, min));
const size = (description: string) => text.pipe(bytes(undefined, description));

/**
 * What one source may use, so that it leaves enough for the others. What is not set has no limit of its own, or that of the
 * process. Rates may be exceeded for a moment: each has a burst of several seconds.
 */
export const sourceLimits = z.strictObject({
  maxShapes: number('Shapes; beyond it those that were not read for the longest time end.'),
  newShapesPerSecond: number('Shapes created in a second.'),
  unindexableClauses: number('Different where clauses of one table that no index serves.', 0),
  parkedReaders: number('Requests that wait for news at a time.'),
  concurrentInitial: number('Requests in progress that begin a shape.'),
  concurrentExisting: number('Requests in progress that read on, those that wait included.'),
  requestsPerSecond: number('Requests in a second.'),
  egressBytesPerSecond: size('Bytes of answers in a second.'),
  snapshotSlots: number('Snapshots that one router takes at a time.'),
  subsetSlots: number('Subset queries that one router runs at a time.'),
  snapshotBytes: size('Encoded size of one snapshot.'),
  snapshotBytesPerSecond: size('Encoded bytes of snapshots stored in a second.'),
  changesPerSecond: number('Row changes replicated in a second; Postgres keeps what is beyond it until later.'),
  publishBytesPerSecond: size('Bytes of transactions replicated in a second; Postgres keeps what is beyond it.'),
  logBytes: size('JSON bytes of the log of one shape, which ends beyond it.'),
  redisBytes: size('Bytes in Redis; beyond it those that were not read for the longest time end, and none begins.'),
});

/** Bytes are bytes, rates are per second and for all processes together unless the field says otherwise. */
export type SourceLimits = z.output<typeof sourceLimits>;
