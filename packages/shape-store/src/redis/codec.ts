import { checkFormat, SNAPSHOT_END, type LogOffset, type Lsn, type Position } from '@shapecast/log';
import type { Fingerprint, ShapeDefinition } from '@shapecast/shape';
import type { AppliedNote } from '../applied-note.ts';
import type {
  InterruptedSnapshot,
  ShapeFailure,
  ShapeRecord,
  ShapeState,
  ShardCursor,
  ShardMeta,
  SnapshotVisibility,
} from '../shape-store.ts';
import { decodeNote } from './note.ts';

// How our values are written in Redis. Everything 64 bits wide is a zero-padded decimal of 20 digits, so that scripts
// compare it as text (spec R 12.3.2a).

const WIDTH = 20;
const MAX_U64 = '18446744073709551615';

export function padded(value: bigint | number): string {
  return String(value).padStart(WIDTH, '0');
}

/** A position as a stream id: `<lsn>-<op>`, both padded. */
export function encodeId(position: Position): string {
  return `${padded(position.lsn)}-${padded(position.op)}`;
}

/** Reads a stream id, padded or as Redis writes it. */
export function decodeId(id: string): Position {
  const dash = id.indexOf('-');
  return { lsn: BigInt(id.slice(0, dash)) as Lsn, op: Number(id.slice(dash + 1)) };
}

export const ZERO_ID = encodeId({ lsn: 0n as Lsn, op: 0 });

/** The stream id at or below which everything is covered by an offset. Snapshot offsets come before the first entry. */
export function encodeOffset(offset: LogOffset): string {
  if (offset.tx <= 0n) return ZERO_ID;
  return `${padded(offset.tx)}-${offset.op === Infinity ? MAX_U64 : padded(offset.op)}`;
}

/** The tail as readers see it: `0_inf` while there is no entry (spec R 11.1.3). */
export function decodeTail(id: string): LogOffset {
  if (id === ZERO_ID) return SNAPSHOT_END;
  const { lsn, op } = decodeId(id);
  return { tx: lsn, op };
}

/** `<seq> <id> <open transaction>`: compared as a whole. */
export function encodeCursor(cursor: ShardCursor): string {
  return `${cursor.seq} ${encodeId(cursor.position)} ${cursor.openTxSeq}`;
}

export function decodeCursor(text: string): ShardCursor {
  const [seq, id, open] = text.split(' ') as [string, string, string];
  return { seq: Number(seq), position: decodeId(id), openTxSeq: Number(open) };
}

/** Fields of the meta hash, in the order in which they are asked for. */
export const META_FIELDS = ['epoch', 'owner', 'ver', 'cursor', 'vis', 'wm'] as const;
export type MetaFields = [epoch: string, owner: string, ver: string, cursor: string, vis: string, wm: string];

export function decodeMeta([epoch, owner, ver, cursor, vis, wm]: MetaFields): ShardMeta {
  return {
    epoch: Number(epoch),
    owner,
    ver,
    cursor: decodeCursor(cursor),
    visible: decodeId(vis),
    watermark: BigInt(wm) as Lsn,
  };
}

const STATES: Readonly<Record<string, ShapeState>> = {
  c: 'creating',
  s: 'snapshotting',
  p: 'promoting',
  l: 'live',
  d: 'dead',
};

/** The text of a head; `head.lua` describes the fields. */
export interface Head {
  readonly state: ShapeState;
  /** JSON bytes at which a chunk of the log closes. */
  readonly chunkBytes: number;
  readonly closedChunks: number;
  readonly snapshotStarted: boolean;
  readonly snapshotComplete: boolean;
  /** Its pieces have been looked at and compressed where that helps. */
  readonly snapshotCompressed: boolean;
  readonly logBytes: number;
  readonly snapshotBytes: number;
  readonly heldBytes: number;
  /** JSON bytes of changes that wait for the snapshot; 0 once the shape is live. */
  readonly pendingBytes: number;
  /** Padded id of the last closed chunk's end; zeros when there is none. */
  readonly lastChunk: string;
  /** Padded id of the last sealed chunk's end; zeros when there is none. */
  readonly sealedTo: string;
  readonly failure?: ShapeFailure;
  /** Of the newest entry. */
  readonly note?: AppliedNote;
}

/** Fields of a head before the failure or the note, which may contain spaces. */
const HEAD_FIELDS = 14;

export function decodeHead(text: string): Head {
  const fields = text.split(' ', HEAD_FIELDS);
  const rest = text.slice(fields.join(' ').length + 1);
  const state = STATES[fields[0] as string] as ShapeState;
  const flag = fields[8];
  return {
    state,
    chunkBytes: Number(fields[5]),
    closedChunks: Number(fields[7]),
    snapshotStarted: flag !== 'n',
    snapshotComplete: flag === 'f' || flag === 'z',
    snapshotCompressed: flag === 'z',
    logBytes: Number(fields[9]),
    snapshotBytes: Number(fields[10]),
    heldBytes: Number(fields[11]),
    pendingBytes: state === 'live' || state === 'dead' ? 0 : Number(fields[4]),
    lastChunk: idOrZero(fields[12]),
    sealedTo: idOrZero(fields[13]),
    ...(rest === '' ? {} : decodeRest(state, rest)),
  };
}

function decodeRest(state: ShapeState, rest: string): Pick<Head, 'failure' | 'note'> {
  if (state === 'dead') return { failure: JSON.parse(rest) as ShapeFailure };
  const note = decodeNote(rest);
  return note === undefined ? {} : { note };
}

function idOrZero(text: string | undefined): string {
  return text === undefined || text === '-' ? ZERO_ID : text;
}

/** One line: the record of a shape ends its definition at the first line break. */
export function encodeFailure({ code, message }: ShapeFailure): string {
  return JSON.stringify({ code, message });
}

/** Of a shape whose log has the first format nothing is said: that is how the first version wrote it. */
export function encodeFingerprint(f: Fingerprint, logFormat = 1): string {
  return `${logFormat === 1 ? '' : `${logFormat}\n`}${JSON.stringify(f)}`;
}

/** From the text of what never changes about a shape. Throws FORMAT_UNKNOWN when its log is not to be read by this version. */
export function decodeFingerprint(fixed: string): Fingerprint {
  checkFormat('log', decodeLogFormat(fixed));
  return JSON.parse(fixed.slice(fixed.lastIndexOf('\n') + 1)) as Fingerprint;
}

/** Lines: registration, definition, the format unless it is the first, fingerprint. */
function decodeLogFormat(fixed: string): number {
  const lines = fixed.split('\n');
  return lines.length > 3 ? Number(lines[2]) : 1;
}

/** A snapshot attempt; written by scripts, numbers that may pass 2^53 as padded text. */
interface Attempt {
  readonly token: string;
  readonly xmin?: string;
  readonly xmax?: string;
  readonly xip?: string;
  readonly insert?: string;
  readonly pub?: string;
  /** Of the last piece of a snapshot that can be gone on with. */
  readonly mark?: string;
  /** Of the snapshots that went on with it. */
  readonly segs?: readonly (Pick<Attempt, 'xmin' | 'xmax' | 'xip' | 'insert' | 'pub'> & { readonly after: string })[];
}

export function encodeVisibility(v: SnapshotVisibility): string[] {
  return [padded(v.xmin), padded(v.xmax), v.xip.map(padded).join(','), padded(v.insertLsn), v.published ?? ''];
}

/** A record from its three texts: what never changes, the head, and the snapshot attempt if there was one. */
export function decodeRecord(handle: string, fixed: string, head: string, attempt: string | null): ShapeRecord {
  const [first, definition] = fixed.split('\n') as [string, string];
  const [regLsn, chunkBytes, digest, traceparent] = first.split(' ') as [string, string, string, string?];
  const snapshot = attempt ? decodeVisibility(JSON.parse(attempt) as Attempt) : undefined;
  return {
    handle,
    digest,
    definition: JSON.parse(definition) as ShapeDefinition,
    fingerprint: decodeFingerprint(fixed),
    state: STATES[head[0] as string] as ShapeState,
    regLsn: BigInt(regLsn) as Lsn,
    chunkBytes: Number(chunkBytes),
    logFormat: decodeLogFormat(fixed),
    ...(snapshot ? { snapshot } : {}),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** Undefined when another attempt has begun, or there is nothing to go on with. */
export function decodeInterrupted(text: string, token: string): InterruptedSnapshot | undefined {
  const attempt = JSON.parse(text) as Attempt;
  const { mark, segs = [] } = attempt;
  const first = decodeVisibility(attempt);
  if (attempt.token !== token || mark === undefined || first === undefined) return undefined;
  const later = segs.map((segment) => ({ ...(decodeVisibility(segment) ?? first), after: segment.after }));
  return { mark, segments: [first, ...later] };
}

function decodeVisibility(attempt: Omit<Attempt, 'token'>): SnapshotVisibility | undefined {
  if (attempt.xmin === undefined) return undefined;
  return {
    xmin: BigInt(attempt.xmin),
    xmax: BigInt(attempt.xmax as string),
    xip: attempt.xip ? attempt.xip.split(',').map(BigInt) : [],
    insertLsn: BigInt(attempt.insert as string) as Lsn,
    ...(attempt.pub ? { published: attempt.pub } : {}),
  };
}
