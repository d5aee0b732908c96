import { ShapecastError } from '@shapecast/errors';

/** What a writer knows of itself when a publish did not come back as stored. */
export interface WriterState {
  readonly epoch: number;
  /** Last sequence whose acknowledgement arrived. */
  readonly acknowledgedSeq: number;
  /** Last sequence given to a record, acknowledged or not. */
  readonly assignedSeq: number;
}

export type Resynchronisation =
  /** Of ours, everything up to `storedSeq` is stored: publish what comes after behind `endSeq`, in order. */
  | { readonly kind: 'continue'; readonly storedSeq: number; readonly endSeq: number }
  | { readonly kind: 'step_down'; readonly reason: 'fenced' | 'stream_regressed' | 'stream_lost' };

/** The last record of the stream. */
export interface LastRecord {
  readonly seq: number;
  readonly epoch: number;
  /** When its epoch is over: the record of the writer's epoch that it slipped in behind, if it did. */
  readonly ownSeq?: number;
}

/**
 * What to do after a conflict or a lost answer, given the last record of the stream (spec R 9.3.2, 9.3.5, 9.3.7). While
 * the last record carries our epoch, every sequence after our leader record is ours: others could not have published
 * there without a leader record of their own.
 */
export function resynchronise(writer: WriterState, last: LastRecord | undefined): Resynchronisation {
  if (last === undefined) return { kind: 'step_down', reason: 'stream_lost' };
  if (last.epoch > writer.epoch) return { kind: 'step_down', reason: 'fenced' };
  // Nobody takes what a writer that was replaced had in flight (ADR 24), so ours goes on behind it.
  if (last.epoch < writer.epoch && last.ownSeq !== undefined && last.ownSeq >= writer.acknowledgedSeq) {
    return { kind: 'continue', storedSeq: last.ownSeq, endSeq: last.seq };
  }
  // An acknowledged tail is gone. Postgres still has it unless it was confirmed, which the next session checks (C3).
  if (last.epoch < writer.epoch || last.seq < writer.acknowledgedSeq) {
    return { kind: 'step_down', reason: 'stream_regressed' };
  }
  if (last.seq > writer.assignedSeq) return { kind: 'step_down', reason: 'fenced' };
  return { kind: 'continue', storedSeq: last.seq, endSeq: last.seq };
}

export function stepDownError(reason: 'fenced' | 'stream_regressed' | 'stream_lost'): ShapecastError {
  switch (reason) {
    case 'fenced':
      return new ShapecastError('STREAM_FENCED', 'Another replicator leads this source now.', { reason });
    case 'stream_regressed':
      return new ShapecastError(
        'STREAM_UNAVAILABLE',
        'The tx stream lost records it had acknowledged; Postgres is asked for them again.',
        { reason },
      );
    case 'stream_lost':
      return new ShapecastError('STREAM_UNAVAILABLE', 'The tx stream is gone or empty.', { reason });
  }
}
