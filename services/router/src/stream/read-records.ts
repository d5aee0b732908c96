import { ShapecastError } from '@shapecast/errors';
import type { RecordDecoder } from '@shapecast/log';
import { SliceAssembler } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';
import type { StreamRecord } from './stream-record.ts';

export interface ReadOptions {
  /** What the messaging layer may hold unread. */
  readonly maxBufferedBytes: number;
  readonly decoder: RecordDecoder;
  /** Whose trace a record belongs to is asked for: that has to be looked up. */
  readonly traced?: boolean | undefined;
}

/**
 * Decodes the tx stream from `fromSeq` on and puts sliced records together. The first record shows by its `firstSeq` when
 * older ones are no longer stored. Throws STREAM_UNAVAILABLE when the stream is lost, skips a sequence, or belongs to another
 * incarnation (spec R 9.6.2); whoever reads starts again from where it is. Records of an epoch below one that was read are passed over: on
 * a NATS cluster a replicator that was replaced can get what it had in flight behind its successor's (ADR 24). That no operation is missing is for the consumer
 * to see, from the chain of positions: sequences may lack records that carried none.
 */
export async function* readRecords(
  stream: TxStream,
  fromSeq: number,
  options: ReadOptions,
  signal: AbortSignal,
): AsyncGenerator<StreamRecord> {
  const assembler = new SliceAssembler({ decoder: options.decoder });
  let previous: number | undefined;
  let firstSeq = 0;
  let bytes = 0;
  let epoch = 0;
  let traceparent: string | undefined;
  for await (const message of stream.read(fromSeq, { maxBufferedBytes: options.maxBufferedBytes }, signal)) {
    const { seq, payload, publishedMs } = message;
    if (previous !== undefined && seq !== previous + 1) throw broken('A message of the tx stream is missing.', { seq });
    previous = seq;
    const record = options.decoder.decode(payload);
    if (record.incarnation !== stream.id.incarnation) {
      throw broken('A message of the tx stream belongs to another incarnation.', { seq });
    }
    if (record.epoch < epoch) continue;
    epoch = record.epoch;
    if (assembler.pending === 0 || record.kind !== 'slice' || record.index === 0) {
      firstSeq = seq;
      bytes = 0;
      traceparent = undefined;
    }
    bytes += payload.length;
    if (options.traced === true) traceparent ??= message.traceparent;
    const whole = assembler.accept(record);
    if (whole === undefined) continue;
    let changes = 0;
    if (whole.kind === 'data') for (const part of whole.parts) changes += part.changes.length;
    const first = whole === record ? seq : firstSeq;
    yield { seq, firstSeq: first, record: whole, bytes, changes, publishedMs, traceparent };
  }
}

function broken(message: string, details: Readonly<Record<string, unknown>>): ShapecastError {
  return new ShapecastError('STREAM_UNAVAILABLE', message, details);
}
