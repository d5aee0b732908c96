import { randomUUID } from 'node:crypto';
import type { ReplicationSession, SlotState, SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { encodeRecord, POSITION_ZERO } from '@shapecast/log';
import type { Messaging, SourceRecord, TxStream } from '@shapecast/messaging';
import { emitEvent, type Logger } from '@shapecast/service-kit';
import { findBreak, type Break } from './continuity.ts';
import { readStreamEnd, type StreamEnd } from './stream-end.ts';
import { StoredSource } from './stored-source.ts';

export interface TakeOverOptions {
  readonly sourceId: string;
  readonly holder: string;
  readonly slotName: string;
  readonly shards: number;
}

/** An epoch of this process: its leader record is stored, so nobody before it can publish any more. */
export interface Epoch {
  readonly incarnation: number;
  readonly epoch: number;
  readonly stream: TxStream;
  readonly createdAt: string;
  /** Where the stream stands with the leader record as its last. */
  readonly end: StreamEnd;
  readonly stored: StoredSource;
}

/** A successor cannot be slower than this without somebody else publishing all the time. */
const LEADER_ATTEMPTS = 10;

/**
 * From a session that holds the lock to the right to publish: decides whether the stored history goes on (spec R 6.5),
 * switches to a new incarnation when it does not (6.5.1), and starts an epoch (9.3.3). Throws STREAM_UNAVAILABLE, or
 * STREAM_FENCED when another replicator is doing the same.
 */
export async function takeOver(
  deps: {
    readonly messaging: Messaging;
    readonly session: ReplicationSession;
    readonly database: SourceDatabase;
    readonly log: Logger;
  },
  options: TakeOverOptions,
  signal: AbortSignal,
): Promise<Epoch> {
  const { messaging, session, log } = deps;
  const stored = await StoredSource.open(messaging, options.sourceId);
  const found = stored.record && (await findStream(messaging, stored, options.sourceId));
  const { identity, slot } = session;
  let { walLsn } = identity;
  if (found && walLsn < found.end.chain.position.lsn) walLsn = (await deps.database.progress(signal)).walLsn;
  const why = findBreak(
    { record: stored.record, stream: found?.end, divergedIncarnation: stored.divergedIncarnation },
    { identity, walLsn, slot, ...options },
  );
  const { systemId, timeline } = identity;
  if (why === undefined && found !== undefined && stored.record !== undefined) {
    const epoch = await startEpoch(found, stored, options.holder);
    const now: SourceRecord = { ...stored.record, timeline, ...publicationOf(slot) };
    const same = now.timeline === stored.record.timeline && now.publicationOid === stored.record.publicationOid;
    if (!same && !(await stored.publish(now))) throw fenced('wrote the source record');
    return epoch;
  }
  const epoch = await startIncarnation(deps, stored, options);
  logSwitch(log, stored.record?.incarnation, epoch.incarnation, why ?? 'stream_lost');
  const { slotName, shards } = options;
  const { incarnation } = epoch;
  const record: SourceRecord = { incarnation, shards, systemId, timeline, slotName, ...publicationOf(slot) };
  if (!(await stored.publish(record))) throw fenced('wrote the source record');
  return epoch;
}

interface FoundStream {
  readonly stream: TxStream;
  readonly incarnation: number;
  readonly createdAt: string;
  readonly end: StreamEnd;
}

/** The stream of the current incarnation and where it ends; undefined when that is lost. */
async function findStream(
  messaging: Messaging,
  stored: StoredSource,
  source: string,
): Promise<FoundStream | undefined> {
  const incarnation = stored.record?.incarnation ?? 0;
  const stream = await messaging.txStreams.open({ source, incarnation });
  if (!stream) return undefined;
  const { createdAt, lastSeq } = await stream.info();
  const end = await readStreamEnd(stream);
  if (end) return { stream, incarnation, createdAt, end };
  const { copy } = stored;
  // Sequences of another storage mean nothing here, and a stream shorter than the copy has lost something.
  if (copy?.incarnation !== incarnation || copy.createdAt !== createdAt || copy.seq > lastSeq) return undefined;
  const { epoch, chain, held } = copy;
  return { stream, incarnation, createdAt, end: { seq: lastSeq, epoch, chain, held, open: false } };
}

/** Publishes the leader record with compare-and-set. A conflict means reading again: an older epoch may still be writing. */
async function startEpoch(found: FoundStream, stored: StoredSource, holder: string): Promise<Epoch> {
  const { stream, incarnation, createdAt } = found;
  let { end } = found;
  const epoch = end.epoch + 1;
  for (let attempt = 0; attempt < LEADER_ATTEMPTS; attempt++) {
    const payload = encodeRecord({ kind: 'leader', incarnation, epoch, prev: end.chain, holder });
    // Unique: two replicators that want the same epoch must not be taken for one that repeats itself.
    const msgId = `${incarnation}:${epoch}:leader:${randomUUID()}`;
    const outcome = await stream.publish(payload, { expectedLastSeq: end.seq, msgId });
    if (outcome.kind === 'stored') {
      return { incarnation, epoch, stream, createdAt, stored, end: { ...end, epoch, seq: outcome.seq } };
    }
    const now = await readStreamEnd(stream);
    if (!now || now.epoch >= epoch) throw fenced('started an epoch');
    end = now;
  }
  throw fenced('keeps writing to the tx stream');
}

/** Allocates an incarnation, creates its stream and publishes the first record; the caller then makes it current. */
async function startIncarnation(
  deps: { readonly messaging: Messaging; readonly session: ReplicationSession },
  stored: StoredSource,
  options: TakeOverOptions,
): Promise<Epoch> {
  const { messaging, session } = deps;
  for (;;) {
    const incarnation = await stored.allocate();
    if (incarnation === undefined) throw fenced('allocated an incarnation');
    const stream = await messaging.txStreams.create({ source: options.sourceId, incarnation });
    const { createdAt, lastSeq } = await stream.info();
    // Used already, though the registries do not know it (F97): its number is taken.
    if (lastSeq > 0) continue;
    // Nothing that commits below the slot's position belongs to this incarnation, so it counts as stored.
    const held = session.slot.confirmedLsn;
    const chain = { position: POSITION_ZERO, progressLsn: held };
    return startEpoch(
      { stream, incarnation, createdAt, end: { seq: 0, epoch: 0, chain, held, open: false } },
      stored,
      options.holder,
    );
  }
}

function logSwitch(log: Logger, from: number | undefined, to: number, reason: Break): void {
  if (from === undefined) {
    // The event is known by its name; its usual text would be a false alarm (C6).
    log.info({ event: 'incarnation_changed', to, reason }, 'first incarnation of the source');
    return;
  }
  emitEvent(log, 'incarnation_changed', { from, to, reason });
  if (reason !== 'database_id_or_timeline_changed') return;
  const message = 'The database is another one, or was restored or promoted at an earlier point: every shape rotates.';
  emitEvent(log, 'warning', { type: reason, message });
}

function publicationOf({ publicationOid }: SlotState): Pick<SourceRecord, 'publicationOid'> {
  return publicationOid === undefined ? {} : { publicationOid };
}

function fenced(what: string): ShapecastError {
  return new ShapecastError('STREAM_FENCED', `Another replicator ${what}; this one waits for the lock again.`);
}
