import type { LogOffset, Lsn, Position } from '@shapecast/log';
import type { Fingerprint } from '@shapecast/shape';
import { silentLogger, type Clock, type Logger } from '@shapecast/service-kit';
import type { EntryMerger } from '../compaction.ts';
import { DEFAULT_LIMITS, type ShapeStoreLimits } from '../limits.ts';
import type {
  AppendBatch,
  AttemptStart,
  CreateRequest,
  PendingEdit,
  ShapeFailure,
  ShapeHead,
  ShapeReadTime,
  ShapeStore,
  ShardId,
  ShardMeta,
  ShardState,
  SnapshotDoubt,
  SnapshotPart,
  SnapshotVisibility,
  VisibilityOutcome,
  WriteOutcome,
} from '../shape-store.ts';
import { decodeFingerprint, decodeInterrupted, decodeMeta, META_FIELDS, type MetaFields } from './codec.ts';
import { RedisConnection, type RedisConnectionOptions } from './connection.ts';
import { randomToken, type StoreContext } from './context.ts';
import { ShardKeys } from './keys.ts';
import { dropSnapshot } from './drop-snapshot.ts';
import { loadShapes } from './load-shapes.ts';
import { amendPending, readPending } from './pending-log.ts';
import { readLog } from './read-log.ts';
import { readRing } from './read-ring.ts';
import { scanShapes } from './scan-shapes.ts';
import { acquire } from './scripts/acquire.ts';
import { append } from './scripts/append.ts';
import { find } from './scripts/find.ts';
import { getOrCreate } from './scripts/get-or-create.ts';
import { leastRead } from './scripts/least-read.ts';
import { loadDelta } from './scripts/load-delta.ts';
import { promote } from './scripts/promote.ts';
import { readHeads } from './scripts/read-heads.ts';
import { readSnapshot } from './scripts/read-snapshot.ts';
import { recordReads } from './scripts/record-reads.ts';
import { release } from './scripts/release.ts';
import { rotate, snapshotFailed } from './scripts/rotate.ts';
import { boundRing } from './scripts/bound-ring.ts';
import { snapshotBeat } from './scripts/snapshot-beat.ts';
import { snapshotBegin } from './scripts/snapshot-begin.ts';
import { snapshotDone } from './scripts/snapshot-done.ts';
import { snapshotDoubts } from './scripts/snapshot-doubts.ts';
import { snapshotKnown } from './scripts/snapshot-known.ts';
import { snapshotPart } from './scripts/snapshot-part.ts';
import { compact } from './sealed/compact.ts';
import { seal } from './sealed/seal.ts';
import { sealSnapshot } from './sealed/seal-snapshot.ts';
import { sweep } from './sweep.ts';
import { readIssued, readMemory, sweepOrphans, sweepRecords } from './sweep-orphans.ts';

export interface RedisShapeStoreOptions extends RedisConnectionOptions {
  readonly limits?: Partial<ShapeStoreLimits>;
}

/**
 * Shape logs in Redis or Valkey (spec R 12). Connects with the first call and retries for ever; while the connection is
 * down calls fail with STORE_UNAVAILABLE after `connectionWaitMs` (1 s).
 */
export function openRedisShapeStore(
  options: RedisShapeStoreOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): ShapeStore {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  // The server is the same, so one of the connections is enough to report an outage.
  const silent = () => ({ redis: new RedisConnection({ ...deps, log: silentLogger }, options), limits });
  return new RedisShapeStore({ redis: new RedisConnection(deps, options), limits }, silent(), silent());
}

/** Attempts whose pieces are counted at the same time; the oldest are forgotten, and then written without the count. */
const MAX_ATTEMPTS = 10_000;

/** Each verb is one script, or a few plain reads; this class only brings them together. */
class RedisShapeStore implements ShapeStore {
  readonly #context: StoreContext;
  /**
   * Appends have a connection of their own: a step is megabytes of arguments, and everything else, above all the snapshot
   * that somebody waits for, would stand in line behind it.
   */
  readonly #appends: StoreContext;
  /** So have the snapshots that are written: they must not slow the changes (spec O 3.2). */
  readonly #snapshots: StoreContext;
  /** Pieces written by the snapshot attempts of this process, by token; see `snapshot-part.lua`. */
  readonly #written = new Map<string, number>();

  constructor(context: StoreContext, appends: StoreContext, snapshots: StoreContext) {
    this.#context = context;
    this.#appends = appends;
    this.#snapshots = snapshots;
  }

  acquire(shard: ShardId, owner: string): Promise<ShardMeta> {
    return acquire(this.#context, new ShardKeys(shard), owner);
  }

  release(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void> {
    return release(this.#context, new ShardKeys(shard), state);
  }

  async readMeta(shard: ShardId): Promise<ShardMeta | undefined> {
    const { meta } = new ShardKeys(shard);
    const fields = await this.#context.redis.run('read-meta', (client) => client.hmget(meta, ...META_FIELDS));
    return fields[0] === null ? undefined : decodeMeta(fields as MetaFields);
  }

  loadShapes(shard: ShardId) {
    return loadShapes(this.#context, new ShardKeys(shard));
  }

  loadDelta(shard: ShardId, ver: string) {
    return loadDelta(this.#context, new ShardKeys(shard), ver);
  }

  append(shard: ShardId, expected: ShardState, batch: AppendBatch): Promise<WriteOutcome> {
    return append(this.#appends, new ShardKeys(shard), expected, batch);
  }

  getOrCreate(shard: ShardId, request: CreateRequest) {
    return getOrCreate(this.#context, new ShardKeys(shard), request);
  }

  find(shard: ShardId, digest: string): Promise<string | undefined> {
    return find(this.#context, new ShardKeys(shard), digest);
  }

  async snapshotBegin(shard: ShardId, handle: string, token: string): Promise<AttemptStart> {
    const begun = await snapshotBegin(this.#snapshots, new ShardKeys(shard), handle, token);
    if ((begun === 'begun' || begun === 'resumed') && !this.#written.has(token)) this.#written.set(token, 0);
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= MAX_ATTEMPTS) break;
      this.#written.delete(oldest);
    }
    return begun;
  }

  snapshotBeat(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return snapshotBeat(this.#context, new ShardKeys(shard), handle, token, 'renew');
  }

  snapshotYield(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return snapshotBeat(this.#context, new ShardKeys(shard), handle, token, 'give up');
  }

  async readInterrupted(shard: ShardId, handle: string, token: string) {
    const { attempts } = new ShardKeys(shard);
    const text = await this.#snapshots.redis.run('read-interrupted', (client) => client.hget(attempts, handle));
    return text === null ? undefined : decodeInterrupted(text, token);
  }

  readPending(shard: ShardId, handle: string, token: string, after: Position, limit: number) {
    return readPending(this.#snapshots, new ShardKeys(shard), handle, token, after, limit);
  }

  amendPending(shard: ShardId, handle: string, token: string, edits: readonly PendingEdit[]): Promise<boolean> {
    return amendPending(this.#snapshots, new ShardKeys(shard), handle, token, edits);
  }

  snapshotKnown(
    shard: ShardId,
    handle: string,
    token: string,
    visibility: SnapshotVisibility,
  ): Promise<VisibilityOutcome> {
    return snapshotKnown(this.#snapshots, new ShardKeys(shard), handle, token, visibility);
  }

  snapshotDoubts(shard: ShardId, doubts: readonly SnapshotDoubt[]): Promise<readonly string[]> {
    return snapshotDoubts(this.#appends, new ShardKeys(shard), doubts);
  }

  async snapshotPart(shard: ShardId, handle: string, token: string, part: SnapshotPart): Promise<boolean> {
    const before = this.#written.get(token);
    const written = await snapshotPart(this.#snapshots, new ShardKeys(shard), handle, token, part, before ?? -1);
    if (written && before !== undefined) this.#written.set(token, before + 1);
    return written;
  }

  async snapshotDone(shard: ShardId, handle: string, token: string): Promise<boolean> {
    const done = await snapshotDone(this.#snapshots, new ShardKeys(shard), handle, token);
    this.#written.delete(token);
    return done;
  }

  async snapshotFailed(shard: ShardId, handle: string, token: string, failure: ShapeFailure): Promise<boolean> {
    const keys = new ShardKeys(shard);
    const failed = await snapshotFailed(this.#context, keys, handle, token, failure);
    this.#written.delete(token);
    if (failed) await dropSnapshot(this.#context, keys, handle);
    return failed;
  }

  promote(shard: ShardId, handle: string, limit: number): Promise<number | undefined> {
    return promote(this.#snapshots, new ShardKeys(shard), handle, limit);
  }

  rotate(shard: ShardId, handle: string, failure: ShapeFailure): Promise<boolean> {
    return rotate(this.#context, new ShardKeys(shard), handle, failure);
  }

  readRing(shard: ShardId, upTo: Lsn) {
    return readRing(this.#context, new ShardKeys(shard), upTo);
  }

  async skipRing(shard: ShardId): Promise<void> {
    const { meta } = new ShardKeys(shard);
    await this.#context.redis.run('skip-ring', (client) => client.hset(meta, 'skip', randomToken()));
  }

  boundRing(shard: ShardId, skipped: string, newest: bigint): Promise<void> {
    return boundRing(this.#context, new ShardKeys(shard), skipped, newest);
  }

  sweep(shard: ShardId, graceMs: number): Promise<number> {
    return sweep(this.#context, new ShardKeys(shard), graceMs);
  }

  issuedHandles(shard: ShardId): Promise<number> {
    return readIssued(this.#context, shard);
  }

  recordReads(shard: ShardId, reads: readonly ShapeReadTime[], waitingMs: number): Promise<void> {
    return recordReads(this.#context, new ShardKeys(shard), reads, waitingMs);
  }

  leastRead(shard: ShardId, limit: number, waiting: 'skip' | 'include') {
    return leastRead(this.#context, new ShardKeys(shard), limit, waiting);
  }

  memory() {
    return readMemory(this.#context);
  }

  sweepOrphans(source: string, options: { readonly incarnation: number; readonly graceMs: number }, cursor?: string) {
    return sweepOrphans(this.#context, source, options, cursor);
  }

  sweepRecords(shard: ShardId, cursor?: string) {
    return sweepRecords(this.#context, new ShardKeys(shard), cursor);
  }

  scanShapes(shard: ShardId, cursor?: string) {
    return scanShapes(this.#context, new ShardKeys(shard), cursor);
  }

  seal(shard: ShardId, cursor?: string) {
    return seal(this.#context, new ShardKeys(shard), cursor);
  }

  sealSnapshot(shard: ShardId, handle: string, chunk: number) {
    return sealSnapshot(this.#context, new ShardKeys(shard), handle, chunk);
  }

  compact(shard: ShardId, handle: string, merge: () => EntryMerger) {
    return compact(this.#context, new ShardKeys(shard), handle, merge);
  }

  async readHead(shard: ShardId, handle: string): Promise<ShapeHead | undefined> {
    const [head] = await readHeads(this.#context, new ShardKeys(shard), [handle]);
    return head;
  }

  async readFingerprint(shard: ShardId, handle: string): Promise<Fingerprint | undefined> {
    const { definitions } = new ShardKeys(shard);
    const fixed = await this.#context.redis.run('read-fingerprint', (client) => client.hget(definitions, handle));
    return fixed === null ? undefined : decodeFingerprint(fixed);
  }

  readHeads(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeHead | undefined)[]> {
    return readHeads(this.#context, new ShardKeys(shard), handles);
  }

  readLog(shard: ShardId, head: ShapeHead, after: LogOffset, maxBytes = Infinity, place?: string) {
    return readLog(this.#context, new ShardKeys(shard), head, after, maxBytes, place);
  }

  readSnapshot(shard: ShardId, handle: string, chunk: number, fromPart: number, maxBytes: number) {
    return readSnapshot(this.#context, new ShardKeys(shard), handle, chunk, fromPart, maxBytes);
  }

  connected(): boolean {
    return this.#context.redis.connected();
  }

  async close(): Promise<void> {
    await Promise.all([this.#context, this.#appends, this.#snapshots].map(({ redis }) => redis.close()));
  }
}
