import { isShapecastError } from '@shapecast/errors';
import { decodeRecord } from '@shapecast/log';
import type { TxStream } from '@shapecast/messaging';
import type { LastRecord } from './resynchronise.ts';

/**
 * The last record of the stream, as a writer has to know it after a failure; undefined when there is none, or no stream. Throws what no
 * trying again would cure, and retryable errors while the stream is unavailable.
 */
export async function readLastRecord(
  stream: TxStream,
  writer: { readonly epoch: number; readonly acknowledgedSeq: number; readonly inFlight: number },
): Promise<LastRecord | undefined> {
  try {
    const last = await stream.last();
    if (last === undefined) return undefined;
    const [{ seq }, { epoch }] = [last, decodeRecord(last.payload)];
    // With more in flight it would not be known which of them are stored.
    if (epoch >= writer.epoch || writer.inFlight > 1) return { seq, epoch };
    const ownSeq = await lastOwnBefore(stream, seq, writer);
    return ownSeq === undefined ? { seq, epoch } : { seq, epoch, ownSeq };
  } catch (err) {
    // Not a server that does not answer: one that says so (spec O F111).
    if (isShapecastError(err) && err.retryable && err.details['reason'] === 'no-stream') return undefined;
    throw err;
  }
}

/** Whether asking again later may help. One of a newer version leads otherwise: waiting for it to be over would not. */
export function isPassing(err: unknown): boolean {
  return isShapecastError(err) && err.retryable && err.code !== 'FORMAT_UNKNOWN';
}

/** The last record of the writer's epoch before `seq`, none of which was acknowledged later than it. */
async function lastOwnBefore(
  stream: TxStream,
  seq: number,
  writer: { readonly epoch: number; readonly acknowledgedSeq: number },
): Promise<number | undefined> {
  for (let before = seq - 1; before >= writer.acknowledgedSeq; before -= 1) {
    const message = await stream.get(before);
    if (message !== undefined && decodeRecord(message.payload).epoch === writer.epoch) return before;
  }
  return undefined;
}
