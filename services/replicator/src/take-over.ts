import { randomUUID } from 'node:crypto';
import type { ReplicationSession, SlotState, SourceDatabase } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { encodeRecord, formatRefusal, POSITION_ZERO } from '@shapecast/log';
import {
  BUCKETS,
  type FormatRecord,
  type Messaging,
  type SourceRecord,
  type TxStream,
  type TxStreamRetention,
} from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { findBreak, type Break } from './continuity.ts';
import { refuseBesideLivingLeader } from './living-leader.ts';
import { readStreamEnd, type StreamEnd } from './stream-end.ts';
import { StoredSource } from './stored-source.ts';

export interface TakeOverOptions {
  readonly sourceId: string;
  readonly holder: string;
  readonly slotName: string;
  readonly shards: number;
  /** How often a leader tells that it lives. */
  readonly heartbeatMs: number;
  /** Copies that the tx stream must have (spec O 8.2.1). */
  readonly minStreamReplicas: number;
  /** What its tx streams keep, where that is not what all of the process's keep. */
  readonly retention?: TxStreamRetention;
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
const STREAM_RECHECK_MS = 500;

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
    readonly clock: Clock;
    readonly log: Logger;
  },
  options: TakeOverOptions,
  signal: AbortSignal,
): Promise<Epoch> {
  const { messaging, session, log } = deps;
  await refuseUnknownFormats(messaging, options.sourceId);
  let stored = await StoredSource.open(messaging, options.sourceId);
  const { identity, slot } = session;
  const { systemId, timeline, database } = identity;
  if (stored.record !== undefined && stored.record.systemId !== systemId) {
    await refuseBesideLivingLeader(deps, { ...options, systemId }, signal);
    stored = await StoredSource.open(messaging, options.sourceId);
  }
  let found = stored.record && (await findStream(messaging, stored, options));
  if (stored.record && found === undefined) {
    // Servers that are starting may not know their streams yet, and all shapes depend on the answer.
    await deps.clock.sleep(STREAM_RECHECK_MS, signal);
    found = await findStream(messaging, stored, options);
  }
  let { walLsn } = identity;
  if (found && walLsn < found.end.chain.position.lsn) walLsn = (await deps.database.progress(signal)).walLsn;
  const why = findBreak(
    {
      ...{ record: stored.record, stream: found?.end },
      ...{ divergedIncarnation: stored.divergedIncarnation, unwantedIncarnation: stored.unwantedIncarnation },
    },
    { identity, walLsn, slot, ...options },
  );
  if (why === undefined && found !== undefined && stored.record !== undefined) {
    await requireReplicas(found.stream, options);
    const epoch = await startEpoch(found, stored, options.holder);
    const now: SourceRecord = { ...stored.record, timeline, database, ...publicationOf(slot) };
    const before = stored.record;
    const same = (['timeline', 'database', 'publicationOid'] as const).every((name) => now[name] === before[name]);
    if (!same && !(await stored.publish(now))) throw fenced('wrote the source record');
    return epoch;
  }
  const epoch = await startIncarnation(deps, stored, options);
  logSwitch(log, stored.record?.incarnation, epoch.incarnation, why ?? 'stream_lost');
  const { slotName, shards } = options;
  const { incarnation } = epoch;
  const record: SourceRecord = { incarnation, shards, systemId, timeline, database, slotName, ...publicationOf(slot) };
  if (!(await stored.publish(record))) throw fenced('wrote the source record');
  return epoch;
}

/** A program that was put back to an older version leaves the source to newer ones (spec O F179). */
async function refuseUnknownFormats(messaging: Messaging, source: string): Promise<void> {
  const formats = await messaging.registries.open<FormatRecord>(BUCKETS.formats.name);
  const used = (await formats.get(source))?.value;
  const message = used && formatRefusal({ record: used.record });
  if (message !== undefined) throw new ShapecastError('FORMAT_UNKNOWN', message, { type: 'format_unknown' });
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
  { sourceId: source, retention }: Pick<TakeOverOptions, 'sourceId' | 'retention'>,
): Promise<FoundStream | undefined> {
  const incarnation = stored.record?.incarnation ?? 0;
  const stream = await messaging.txStreams.open({ source, incarnation }, { reconcile: true, retention });
  if (!stream) return undefined;
  const { createdAt, lastSeq } = await stream.info();
  const end = await readStreamEnd(stream, stored.begunEpoch(incarnation));
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
  const begun = stored.begunEpoch(incarnation);
  const epoch = Math.max(end.epoch, begun) + 1;
  if (!(await stored.begin(incarnation, epoch))) throw fenced('starts an epoch');
  for (let attempt = 0; attempt < LEADER_ATTEMPTS; attempt++) {
    const payload = encodeRecord({ kind: 'leader', incarnation, epoch, prev: end.chain, holder });
    // Unique: two replicators that want the same epoch must not be taken for one that repeats itself.
    const msgId = `${incarnation}:${epoch}:leader:${randomUUID()}`;
    const outcome = await stream.publish(payload, { expectedLastSeq: end.seq, msgId });
    if (outcome.kind === 'stored') {
      return { incarnation, epoch, stream, createdAt, stored, end: { ...end, epoch, seq: outcome.seq } };
    }
    const now = await readStreamEnd(stream, begun);
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
    const stream = await messaging.txStreams.create({ source: options.sourceId, incarnation }, options.retention);
    await requireReplicas(stream, options).catch(async (error: unknown) => {
      await messaging.txStreams.delete(stream.id);
      throw error;
    });
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

/** What the settings ask for is not always what the servers have (spec O 8.2.1). */
async function requireReplicas(stream: TxStream, { minStreamReplicas }: TakeOverOptions): Promise<void> {
  const { replicas } = await stream.info();
  if (replicas >= minStreamReplicas) return;
  const text =
    `The tx stream has ${replicas} ${replicas === 1 ? 'copy' : 'copies'} and must have ${minStreamReplicas}, or a failure of one NATS server ` +
    'loses data: use a NATS cluster of three servers, or set SHAPECAST_ALLOW_UNSAFE=true for development.';
  throw new ShapecastError('SOURCE_MISCONFIGURED', text, { type: 'stream_not_replicated' });
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
