import { checkFormat, comparePositions, POSITION_ZERO, SNAPSHOT_END, type Lsn, type Position } from '@shapecast/log';
import type { AppliedNote } from '../applied-note.ts';
import type { ShapeStoreLimits } from '../limits.ts';
import {
  isVisible,
  type AttemptStart,
  type CreateRequest,
  type InterruptedSnapshot,
  type LogEntry,
  type PendingEdit,
  type ShapeFailure,
  type ShapeHead,
  type ShapeRecord,
  type ShapeState,
  type ShapeUse,
  type SnapshotRead,
  type SnapshotDoubt,
  type SnapshotPart,
  type SnapshotSegment,
  type SnapshotVisibility,
  type VisibilityOutcome,
} from '../shape-store.ts';
import { MemoryLog } from './memory-log.ts';

/** One shape of the memory store: its record, snapshot and log. Knows nothing of its shard, which keeps versions. */
export class MemoryShape {
  readonly handle: string;
  /** Milliseconds since 1970; undefined when it never was. */
  readAt: number | undefined;
  /** Milliseconds since 1970. */
  waitedUntil = -Infinity;
  readonly #request: CreateRequest;
  readonly #regLsn: Lsn;
  #state: ShapeState = 'creating';
  #token: string | undefined;
  /** When the attempt was last heard of. */
  #beat = -Infinity;
  #doubts: SnapshotDoubt[] = [];
  #visibility: SnapshotVisibility | undefined;
  #failure: ShapeFailure | undefined;
  /** Pieces by chunk; the last one is open unless the snapshot is complete. */
  readonly #chunks: Uint8Array[][] = [];
  #closedChunks = 0;
  #snapshotBytes = 0;
  #started = false;
  #complete = false;
  /** Of the last piece, if the snapshot can be gone on with. */
  #mark: string | undefined;
  #segments: SnapshotSegment[] = [];
  /** How often it was, and since when nothing was written. */
  #resumed = { times: 0, fresh: false };
  /** Position of the last entry taken in, also of one that the filter dropped. */
  #stored: Position = POSITION_ZERO;
  #pending: LogEntry[] = [];
  #pendingBytes = 0;
  readonly #log: MemoryLog;
  /** Of the newest entry of the log. */
  #note: { readonly position: Position; readonly note: AppliedNote } | undefined;

  constructor(handle: string, request: CreateRequest, regLsn: Lsn) {
    this.handle = handle;
    this.#request = request;
    this.#regLsn = regLsn;
    this.#log = new MemoryLog(request.chunkBytes);
  }

  get state(): ShapeState {
    return this.#state;
  }

  get digest(): string {
    return this.#request.digest;
  }

  read(at: number, waitedUntil: number): void {
    if (this.#state === 'dead') return;
    this.readAt = Math.max(this.readAt ?? at, at);
    this.waitedUntil = Math.max(this.waitedUntil, waitedUntil);
  }

  get definition(): CreateRequest['definition'] {
    return this.#request.definition;
  }

  /** Throws FORMAT_UNKNOWN. */
  record(): ShapeRecord {
    const { digest, definition, fingerprint, chunkBytes, logFormat = 1, traceparent } = this.#request;
    checkFormat('log', logFormat);
    return {
      handle: this.handle,
      digest,
      definition,
      fingerprint,
      state: this.#state,
      regLsn: this.#regLsn,
      chunkBytes,
      logFormat,
      ...(this.#visibility ? { snapshot: this.#visibility } : {}),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }

  head(visible: Position, watermark: Lsn): ShapeHead {
    const readable = this.#state === 'live' || this.#state === 'dead';
    return {
      handle: this.handle,
      state: this.#state,
      tail: readable ? this.#log.tailAt(visible) : SNAPSHOT_END,
      visible,
      watermark,
      closedChunks: this.#closedChunks,
      snapshotComplete: this.#complete,
      snapshotStarted: this.#started,
      ...(this.#failure ? { error: this.#failure } : {}),
      ...(this.#note && comparePositions(this.#note.position, visible) <= 0 ? { note: this.#note.note } : {}),
    };
  }

  get compaction(): boolean {
    return this.#request.compaction ?? false;
  }

  /** Nothing is compressed in memory. */
  use(): ShapeUse {
    const logBytes = this.#log.bytes;
    const snapshotBytes = this.#snapshotBytes;
    return {
      handle: this.handle,
      state: this.#state,
      logBytes,
      snapshotBytes,
      heldBytes: logBytes + snapshotBytes,
      ...(this.#state === 'live' || this.#state === 'dead' ? {} : { pendingBytes: this.#pendingBytes }),
      snapshotToSeal: false,
      compaction: this.compaction,
    };
  }

  get log(): MemoryLog {
    return this.#log;
  }

  /** Takes entries in. False when the pending log is full: the shape cannot go on. */
  append(entry: LogEntry, limits: ShapeStoreLimits, appliedMs?: number): boolean {
    if (this.#state === 'dead' || comparePositions(entry.position, this.#stored) <= 0) return true;
    if (this.#state === 'live') {
      if (!this.#isShown(entry)) {
        this.#log.append(entry.position, entry.bytes);
        const { position, origin } = entry;
        this.#note =
          origin === undefined || appliedMs === undefined ? undefined : { position, note: { ...origin, appliedMs } };
      }
    } else {
      this.#pendingBytes += entry.bytes.length;
      if (this.#pending.length >= limits.pendingMaxEntries || this.#pendingBytes > limits.pendingMaxBytes) return false;
      this.#pending.push(entry);
    }
    this.#stored = entry.position;
    return true;
  }

  begin(token: string, now: number, { leaseMs, resumptions }: ShapeStoreLimits): AttemptStart | 'again' {
    if (this.#state === 'snapshotting') {
      const same = this.#token === token;
      if (!same && now - this.#beat < leaseMs) return 'alive';
      if (this.#started) {
        if (same) return this.#resumed.fresh ? 'resumed' : 'readable';
        if (this.#mark === undefined || this.#resumed.times >= resumptions) return 'readable';
        this.#resumed = { times: this.#resumed.times + 1, fresh: true };
        this.#token = token;
        this.#beat = now;
        return 'resumed';
      }
      if (!same) this.#visibility = undefined;
      this.#token = token;
      this.#beat = now;
      return 'again';
    }
    if (this.#state !== 'creating') return 'over';
    this.#state = 'snapshotting';
    this.#token = token;
    this.#beat = now;
    return 'begun';
  }

  beat(token: string, now: number): boolean {
    if (!this.#isCurrent(token)) return false;
    this.#beat = now;
    return true;
  }

  interrupted(token: string): InterruptedSnapshot | undefined {
    if (!this.#isCurrent(token) || this.#mark === undefined || this.#visibility === undefined) return undefined;
    return { mark: this.#mark, segments: [this.#visibility, ...this.#segments] };
  }

  known(token: string, visibility: SnapshotVisibility, now: number): VisibilityOutcome {
    if (!this.beat(token, now)) return 'over';
    if (this.#started) {
      if (this.#mark === undefined || this.#resumed.times === 0) return 'over';
      this.#segments.push({ ...visibility, after: this.#mark });
      return 'known';
    }
    if (this.#doubts.some(({ lsn, xid }) => lsn > visibility.insertLsn || !isVisible(visibility, xid))) return 'unseen';
    this.#doubts = [];
    this.#visibility = visibility;
    return 'known';
  }

  /** True when it is known already that the snapshot does not show the transaction. */
  doubt(doubt: SnapshotDoubt): boolean {
    if (this.#state === 'dead') return false;
    const snapshot = this.#visibility;
    if (snapshot) return doubt.lsn > snapshot.insertLsn || !isVisible(snapshot, doubt.xid);
    this.#doubts.push(doubt);
    return false;
  }

  part(token: string, part: SnapshotPart, now: number): boolean {
    if (part.chunk !== this.#closedChunks || !this.beat(token, now)) return false;
    if (part.bytes.length === 0 && !part.close) return true;
    const open = (this.#chunks[part.chunk] ??= []);
    if (part.bytes.length > 0) open.push(part.bytes);
    this.#snapshotBytes += part.bytes.length;
    if (part.close) this.#closedChunks += 1;
    this.#started = true;
    this.#mark = part.mark;
    this.#resumed.fresh = false;
    return true;
  }

  pending(token: string, after: Position, limit: number): readonly LogEntry[] | undefined {
    if (!this.#isCurrent(token)) return undefined;
    return this.#pending.filter(({ position }) => comparePositions(position, after) > 0).slice(0, limit);
  }

  amend(token: string, edits: readonly PendingEdit[]): boolean {
    if (!this.#isCurrent(token)) return false;
    const bytes = new Map(edits.map((edit) => [`${edit.position.lsn}_${edit.position.op}`, edit.bytes]));
    this.#pending = this.#pending.flatMap((entry) => {
      const key = `${entry.position.lsn}_${entry.position.op}`;
      if (!bytes.has(key)) return [entry];
      const changed = bytes.get(key);
      return changed === undefined ? [] : [{ ...entry, bytes: changed }];
    });
    this.#pendingBytes = this.#pending.reduce((sum, entry) => sum + entry.bytes.length, 0);
    return true;
  }

  done(token: string): 'done' | 'again' | undefined {
    if (this.#state === 'promoting' && this.#token === token) return 'again';
    if (!this.#isCurrent(token)) return undefined;
    const open = this.#chunks.length > this.#closedChunks;
    if (this.#visibility === undefined || open || this.#closedChunks === 0) {
      throw new Error('a snapshot was ended with an open chunk, without any chunk, or without its visibility');
    }
    this.#state = 'promoting';
    this.#complete = true;
    return 'done';
  }

  /** Whether a failure of this attempt ends the shape: 'now', or 'before' for a repeated call. */
  failing(token: string, failure: ShapeFailure): 'now' | 'before' | undefined {
    if (this.#token !== token) return undefined;
    if (this.#state === 'dead') {
      const { code, message } = this.#failure as ShapeFailure;
      return code === failure.code && message === failure.message ? 'before' : undefined;
    }
    return this.#state === 'snapshotting' || this.#state === 'promoting' ? 'now' : undefined;
  }

  /** The rows of an attempt that failed are nobody's. */
  dropSnapshot(): void {
    this.#chunks.length = 0;
  }

  promote(limit: number): number | undefined {
    if (this.#state !== 'promoting') return undefined;
    for (const entry of this.#pending.splice(0, limit)) {
      this.#pendingBytes -= entry.bytes.length;
      if (!this.#isShown(entry)) this.#log.append(entry.position, entry.bytes);
    }
    if (this.#pending.length === 0) this.#state = 'live';
    return this.#pending.length;
  }

  die(failure: ShapeFailure, visible: Position): void {
    // A transaction that was applied half-way must not show when the shard moves on without the shape.
    if (this.#state === 'live') this.#log.cutAfter(visible);
    else this.#log.cutAfter(POSITION_ZERO);
    this.#state = 'dead';
    this.#failure = failure;
    this.#note = undefined;
    this.#pending = [];
  }

  readSnapshot(chunk: number, fromPart: number, maxBytes: number): SnapshotRead | undefined {
    const pieces = this.#chunks[chunk];
    if (!pieces) return undefined;
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for (let i = fromPart; i < pieces.length; i += 1) {
      const piece = pieces[i] as Uint8Array;
      if (bytes > 0 && bytes + piece.length > maxBytes) break;
      bytes += piece.length;
      parts.push(piece);
    }
    const nextPart = fromPart + parts.length;
    return { parts, nextPart, closed: chunk < this.#closedChunks && nextPart >= pieces.length };
  }

  #isCurrent(token: string): boolean {
    return this.#state === 'snapshotting' && this.#token === token;
  }

  /** The snapshot shows the entry's transaction, so the log must not repeat it (spec R 10.6.4). */
  #isShown({ position, xid }: LogEntry): boolean {
    const snapshot = this.#visibility;
    return snapshot !== undefined && position.lsn <= snapshot.insertLsn && isVisible(snapshot, xid);
  }
}
