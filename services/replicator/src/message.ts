import {
  chainAfter,
  encodeRecord,
  sliceRecord,
  type Change,
  type DataRecord,
  type Lsn,
  type RecordChain,
  type RecordHeader,
  type TransactionPart,
} from '@shapecast/log';
import { endOf, splitPart } from './packing.ts';

/** An encoded record on its way into the tx stream. */
export interface Message {
  readonly payload: Uint8Array;
  /** `<inc>:<epoch>:<lsn>:<first_op>:<part>`. Names the epoch, so that nobody is told "stored" for another's record (R 9.3.1a). */
  readonly id: string;
  /** What the stream carries once this is stored. */
  readonly chain: RecordChain;
  /** Once this is stored, the stream holds every transaction that commits below; undefined when it adds no commit. */
  readonly held: Lsn | undefined;
}

export interface MessageLimits {
  /** Largest message. */
  readonly maxBytes: number;
  /** Largest encoded change; a larger one becomes `unusable` and its shapes rotate (spec R 9.5.3). */
  readonly maxChangeBytes: number;
  /** Told how many rows are left out because they are too large. */
  readonly onOversize?: (rows: number) => void;
}

/**
 * Encodes parts as one message; as several when they turn out larger than they looked; in slices when one change alone
 * is (spec R 9.5.2). Operation offsets are the same either way.
 */
export function encodeParts(parts: readonly TransactionPart[], header: RecordHeader, limits: MessageLimits): Message[] {
  const record: DataRecord = { kind: 'data', ...header, parts };
  const encoded = tryEncode(record);
  if (encoded && encoded.length <= limits.maxBytes) return [dataMessage(record, encoded)];
  const halves = halve(parts);
  if (halves) {
    const first = encodeParts(halves[0], header, limits);
    const prev = first.at(-1)?.chain ?? header.prev;
    return [...first, ...encodeParts(halves[1], { ...header, prev }, limits)];
  }
  if (encoded && (encoded.length <= limits.maxChangeBytes || !hasRows(parts))) {
    return slice(record, encoded, limits.maxBytes);
  }
  limits.onOversize?.(parts.reduce((sum, part) => sum + part.changes.filter(hasRow).length, 0));
  return encodeParts(withoutRows(parts), header, limits);
}

function dataMessage(record: DataRecord, payload: Uint8Array): Message {
  return { payload, id: `${idPrefix(record)}:0`, chain: chainAfter(record), held: heldWith(record.parts) };
}

function slice(record: DataRecord, encoded: Uint8Array, maxBytes: number): Message[] {
  const slices = sliceRecord(encoded, record, maxBytes);
  return slices.map((part) => {
    const last = part.index === part.count - 1;
    return {
      payload: encodeRecord(part),
      id: `${idPrefix(record)}:${part.index}`,
      chain: last ? chainAfter(record) : record.prev,
      held: last ? heldWith(record.parts) : undefined,
    };
  });
}

function idPrefix(record: DataRecord): string {
  const part = record.parts[0];
  return `${record.incarnation}:${record.epoch}:${part?.lsn}:${part?.changes[0]?.op}`;
}

function heldWith(parts: readonly TransactionPart[]): Lsn | undefined {
  const last = parts.findLast((part) => part.commit);
  return last && endOf(last);
}

/** Undefined when the text would be longer than a string can be. */
function tryEncode(record: DataRecord): Uint8Array | undefined {
  try {
    return encodeRecord(record);
  } catch (err) {
    if (err instanceof RangeError) return undefined;
    throw err;
  }
}

function halve(parts: readonly TransactionPart[]): [TransactionPart[], TransactionPart[]] | undefined {
  if (parts.length > 1) {
    const middle = parts.length >> 1;
    return [parts.slice(0, middle), parts.slice(middle)];
  }
  const part = parts[0];
  if (!part || part.changes.length < 2) return undefined;
  const [front, rest] = splitPart(part, part.changes.length >> 1);
  return [[front], [rest]];
}

function hasRows(parts: readonly TransactionPart[]): boolean {
  return parts.some((part) => part.changes.some(hasRow));
}

function hasRow({ kind }: Change): boolean {
  return kind !== 'unusable' && kind !== 'truncate';
}

function withoutRows(parts: readonly TransactionPart[]): TransactionPart[] {
  const strip = ({ op, relation }: Change): Change => ({ kind: 'unusable', op, relation, reason: 'oversize' });
  return parts.map((part) => ({ ...part, changes: part.changes.map(strip) }));
}
