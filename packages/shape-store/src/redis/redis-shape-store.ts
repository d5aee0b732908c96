import type { LogOffset, Lsn, Position } from '@shapecast/log';
import type { Fingerprint } from '@shapecast/shape';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { EntryMerger } from '../compaction.ts';
import type { CallRecorders } from '../store-health.ts';
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
  ShardCursor,
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
import { randomToken, type StoreContext } from './context.ts';
import type { HomeClaim, HomeOutcome, StoreHome } from '../home.ts';
import { homeKey, homeTag, ShardKeys } from './keys.ts';
import { dropSnapshot } from './drop-snapshot.ts';
import { NodeDurability, type DurabilityOptions } from './durability.ts';
import { inspectShapes, whenRead } from './inspect-shapes.ts';
import { loadShapes } from './load-shapes.ts';
import type { Lane, StoreNodes } from './nodes/node.ts';
import { readHealth } from './node-health.ts';
import { openNodes, type RedisPlaceOptions } from './nodes/open-nodes.ts';
import { amendPending, readPending } from './pending-log.ts';
import { readLog } from './read-log.ts';
import { readRing } from './read-ring.ts';
import { scanShapes } from './scan-shapes.ts';
import { acquire } from './scripts/acquire.ts';
import { append } from './scripts/append.ts';
import { claimHome } from './scripts/claim-home.ts';
import { find } from './scripts/find.ts';
import { whenNotHeld } from '../held-registration.ts';
import { getOrCreate } from './scripts/get-or-create.ts';
import { leastRead } from './scripts/least-read.ts';
import { weigh } from './scripts/weigh.ts';
import { loadDelta } from './scripts/load-delta.ts';
import { promote } from './scripts/promote.ts';
import { readHeads } from './scripts/read-heads.ts';
import { readSnapshot } from './scripts/read-snapshot.ts';
import { recordReads } from './scripts/record-reads.ts';
import { hold } from './scripts/hold.ts';
import { release } from './scripts/release.ts';
import { rotate, snapshotFailed } from './scripts/rotate.ts';
import { boundRing } from './scripts/bound-ring.ts';
import { snapshotBeat } from './scripts/snapshot-beat.ts';
import { snapshotBegin } from './scripts/snapshot-begin.ts';
import { snapshotDone } from './scripts/snapshot-done.ts';
import { snapshotDoubts } from './scripts/snapshot-doubts.ts';
import { snapshotKnown } from './scripts/snapshot-known.ts';
import { snapshotPart } from './scripts/snapshot-part.ts';
import { vouch } from './scripts/vouch.ts';
import { compact } from './sealed/compact.ts';
import { seal } from './sealed/seal.ts';
import { sealSnapshot } from './sealed/seal-snapshot.ts';
import { sweep } from './sweep.ts';
import { readIssued, readMemory, sweepOrphans, sweepRecords } from './sweep-orphans.ts';

export interface RedisShapeStoreOptions extends RedisPlaceOptions, DurabilityOptions {
  readonly limits?: Partial<ShapeStoreLimits>;
}

interface StoreDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every call. */
  readonly calls?: CallRecorders | undefined;
}

/**
 * Shape logs in Redis or Valkey (spec R 12). Connects with the first call and retries for ever; while the connection is
 * down calls fail with STORE_UNAVAILABLE after `connectionWaitMs` (1 s).
 */
export function openRedisShapeStore(options: RedisShapeStoreOptions, deps: StoreDeps): ShapeStore {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  return new RedisShapeStore(deps, openNodes(deps, { ...options, url: options.url, limits }), options);
}

/** Attempts whose pieces are counted at the same time; the oldest are forgotten, and then written without the count. */
const MAX_ATTEMPTS = 10_000;

/** Each verb is one script, or a few plain reads; this class only brings them together. */
class RedisShapeStore implements ShapeStore {
  readonly #deps: StoreDeps;
  readonly #nodes: StoreNodes;
  readonly #options: DurabilityOptions;
  readonly #durability = new WeakMap<StoreContext, NodeDurability>();
  /** Pieces written by the snapshot attempts of this process, by token; see `snapshot-part.lua`. */
  readonly #written = new Map<string, number>();

  constructor(deps: StoreDeps, nodes: StoreNodes, options: DurabilityOptions) {
    this.#deps = deps;
    this.#nodes = nodes;
    this.#options = options;
  }

  claimHome(source: string, claim: HomeClaim): Promise<HomeOutcome> {
    return this.#nodes.at(homeTag(source), 'calls', (context) => claimHome(context, homeKey(source), claim));
  }

  async readHome(source: string): Promise<StoreHome | undefined> {
    const [installation, store] = await this.#nodes.at(homeTag(source), 'calls', ({ redis }) =>
      redis.run('read-home', (client) => client.hmget(homeKey(source), 'installation', 'store')),
    );
    return installation && store ? { installation, store } : undefined;
  }

  async forgetHome(source: string): Promise<void> {
    await this.#nodes.at(homeTag(source), 'calls', ({ redis }) =>
      redis.run('forget-home', (client) => client.unlink(homeKey(source))),
    );
  }

  acquire(shard: ShardId, owner: string) {
    return this.#at(shard, (context, keys) => acquire(context, keys, owner));
  }

  release(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void> {
    return this.#at(shard, (context, keys) => release(context, keys, state));
  }

  hold(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void> {
    return this.#at(shard, (context, keys) => hold(context, keys, state));
  }

  async readMeta(shard: ShardId): Promise<ShardMeta | undefined> {
    const fields = await this.#at(shard, ({ redis }, { meta }) =>
      redis.run('read-meta', (client) => client.hmget(meta, ...META_FIELDS)),
    );
    return fields.includes(null) ? undefined : decodeMeta(fields as MetaFields);
  }

  loadShapes(shard: ShardId) {
    return this.#at(shard, (context, keys) => loadShapes(context, keys));
  }

  loadDelta(shard: ShardId, ver: string) {
    return this.#at(shard, (context, keys) => loadDelta(context, keys, ver));
  }

  connectionOf(shard: ShardId): string {
    return this.#nodes.nodeOf(new ShardKeys(shard).tag)?.connection ?? '';
  }

  vouch(shard: ShardId, state: ShardState): Promise<boolean> {
    return this.#at(shard, (context, keys) => vouch(context, keys, state));
  }

  append(shard: ShardId, expected: ShardState, batch: AppendBatch): Promise<WriteOutcome> {
    return this.#at(shard, (context, keys) => append(context, keys, expected, batch), 'appends');
  }

  getOrCreate(shard: ShardId, request: CreateRequest) {
    return whenNotHeld(this.#deps.clock, (insist) =>
      this.#at(shard, (context, keys) => getOrCreate(context, keys, request, insist)),
    );
  }

  find(shard: ShardId, digest: string): Promise<string | undefined> {
    return this.#at(shard, (context, keys) => find(context, keys, digest));
  }

  async snapshotBegin(shard: ShardId, handle: string, token: string): Promise<AttemptStart> {
    const begun = await this.#at(shard, (context, keys) => snapshotBegin(context, keys, handle, token), 'snapshots');
    if ((begun === 'begun' || begun === 'resumed') && !this.#written.has(token)) this.#written.set(token, 0);
    for (const oldest of this.#written.keys()) {
      if (this.#written.size <= MAX_ATTEMPTS) break;
      this.#written.delete(oldest);
    }
    return begun;
  }

  snapshotBeat(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return this.#at(shard, (context, keys) => snapshotBeat(context, keys, handle, token, 'renew'));
  }

  snapshotYield(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return this.#at(shard, (context, keys) => snapshotBeat(context, keys, handle, token, 'give up'));
  }

  async readInterrupted(shard: ShardId, handle: string, token: string) {
    const text = await this.#at(
      shard,
      ({ redis }, { attempts }) => redis.run('read-interrupted', (client) => client.hget(attempts, handle)),
      'snapshots',
    );
    return text === null ? undefined : decodeInterrupted(text, token);
  }

  readPending(shard: ShardId, handle: string, token: string, after: Position, limit: number) {
    return this.#at(shard, (context, keys) => readPending(context, keys, handle, token, after, limit), 'snapshots');
  }

  amendPending(shard: ShardId, handle: string, token: string, edits: readonly PendingEdit[]): Promise<boolean> {
    return this.#at(shard, (context, keys) => amendPending(context, keys, handle, token, edits), 'snapshots');
  }

  snapshotKnown(
    shard: ShardId,
    handle: string,
    token: string,
    visibility: SnapshotVisibility,
  ): Promise<VisibilityOutcome> {
    return this.#at(shard, (context, keys) => snapshotKnown(context, keys, handle, token, visibility), 'snapshots');
  }

  snapshotDoubts(shard: ShardId, doubts: readonly SnapshotDoubt[]): Promise<readonly string[]> {
    return this.#at(shard, (context, keys) => snapshotDoubts(context, keys, doubts), 'appends');
  }

  async snapshotPart(shard: ShardId, handle: string, token: string, part: SnapshotPart): Promise<boolean> {
    const before = this.#written.get(token);
    const written = await this.#at(
      shard,
      (context, keys) => snapshotPart(context, keys, handle, token, part, before ?? -1),
      'snapshots',
    );
    if (written && before !== undefined) this.#written.set(token, before + 1);
    return written;
  }

  async snapshotDone(shard: ShardId, handle: string, token: string): Promise<boolean> {
    const done = await this.#at(
      shard,
      (context, keys) => snapshotDone(context, keys, handle, token, this.#written.get(token) ?? -1),
      'snapshots',
    );
    this.#written.delete(token);
    return done;
  }

  async snapshotFailed(shard: ShardId, handle: string, token: string, failure: ShapeFailure): Promise<boolean> {
    const failed = await this.#at(shard, (context, keys) => snapshotFailed(context, keys, handle, token, failure));
    this.#written.delete(token);
    if (failed) await this.#at(shard, (context, keys) => dropSnapshot(context, keys, handle));
    return failed;
  }

  promote(shard: ShardId, handle: string, limit: number): Promise<number | undefined> {
    return this.#at(shard, (context, keys) => promote(context, keys, handle, limit), 'snapshots');
  }

  rotate(shard: ShardId, handle: string, failure: ShapeFailure): Promise<boolean> {
    return this.#at(shard, (context, keys) => rotate(context, keys, handle, failure));
  }

  readRing(shard: ShardId, upTo: Lsn) {
    return this.#at(shard, (context, keys) => readRing(context, keys, upTo));
  }

  async skipRing(shard: ShardId): Promise<void> {
    await this.#at(shard, ({ redis }, { meta }) =>
      redis.run('skip-ring', (client) => client.hset(meta, 'skip', randomToken())),
    );
  }

  boundRing(shard: ShardId, skipped: string, newest: bigint): Promise<void> {
    return this.#at(shard, (context, keys) => boundRing(context, keys, skipped, newest));
  }

  sweep(shard: ShardId, graceMs: number): Promise<number> {
    return this.#at(shard, (context, keys) => sweep(context, keys, graceMs));
  }

  durableCursor(shard: ShardId): Promise<ShardCursor | undefined> {
    return this.#at(shard, (context, keys) => this.#durabilityOf(context).cursor(keys), 'durability');
  }

  issuedHandles(shard: ShardId): Promise<number> {
    return this.#at(shard, readIssued);
  }

  recordReads(shard: ShardId, reads: readonly ShapeReadTime[], waitingMs: number): Promise<void> {
    return this.#at(shard, (context, keys) => recordReads(context, keys, reads, waitingMs));
  }

  leastRead(shard: ShardId, limit: number, waiting: 'skip' | 'include') {
    return this.#at(shard, (context, keys) => leastRead(context, keys, limit, waiting));
  }

  weigh(shard: ShardId, cursor?: string) {
    return this.#at(shard, (context, keys) => weigh(context, keys, cursor));
  }

  memory() {
    return readMemory(this.#nodes);
  }

  health() {
    return readHealth(this.#nodes);
  }

  sweepOrphans(source: string, options: { readonly incarnation: number; readonly graceMs: number }, cursor?: string) {
    return sweepOrphans(this.#nodes, source, options, cursor);
  }

  sweepRecords(shard: ShardId, cursor?: string) {
    return this.#at(shard, (context, keys) => sweepRecords(context, keys, cursor));
  }

  scanShapes(shard: ShardId, cursor?: string) {
    return this.#at(shard, (context, keys) => scanShapes(context, keys, cursor));
  }

  whenRead(shard: ShardId, handles: readonly string[]) {
    return this.#at(shard, (context, keys) => whenRead(context, keys, handles));
  }

  inspectShapes(shard: ShardId, handles: readonly string[]) {
    return this.#at(shard, (context, keys) => inspectShapes(context, keys, handles));
  }

  seal(shard: ShardId, cursor?: string) {
    return this.#at(shard, (context, keys) => seal(context, keys, cursor));
  }

  sealSnapshot(shard: ShardId, handle: string, chunk: number) {
    return this.#at(shard, (context, keys) => sealSnapshot(context, keys, handle, chunk));
  }

  compact(shard: ShardId, handle: string, merge: () => EntryMerger) {
    return this.#at(shard, (context, keys) => compact(context, keys, handle, merge));
  }

  async readHead(shard: ShardId, handle: string): Promise<ShapeHead | undefined> {
    const [head] = await this.#at(shard, (context, keys) => readHeads(context, keys, [handle]));
    return head;
  }

  async readFingerprint(shard: ShardId, handle: string): Promise<Fingerprint | undefined> {
    const fixed = await this.#at(shard, ({ redis }, { definitions }) =>
      redis.run('read-fingerprint', (client) => client.hget(definitions, handle)),
    );
    return fixed === null ? undefined : decodeFingerprint(fixed);
  }

  readHeads(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeHead | undefined)[]> {
    return this.#at(shard, (context, keys) => readHeads(context, keys, handles));
  }

  readLog(shard: ShardId, head: ShapeHead, after: LogOffset, maxBytes = Infinity, place?: string) {
    return this.#at(shard, (context, keys) => readLog(context, keys, head, after, maxBytes, place));
  }

  readSnapshot(shard: ShardId, handle: string, chunk: number, fromPart: number, maxBytes: number) {
    return this.#at(shard, (context, keys) => readSnapshot(context, keys, handle, chunk, fromPart, maxBytes));
  }

  connected(): boolean {
    return this.#nodes.connected();
  }

  async close(): Promise<void> {
    await this.#nodes.close();
  }

  /** One per node. */
  #durabilityOf(context: StoreContext): NodeDurability {
    const known = this.#durability.get(context);
    if (known) return known;
    const durability = new NodeDurability(this.#deps, context, this.#options);
    this.#durability.set(context, durability);
    return durability;
  }

  #at<T>(
    shard: ShardId,
    work: (context: StoreContext, keys: ShardKeys) => Promise<T>,
    lane: Lane = 'calls',
  ): Promise<T> {
    const keys = new ShardKeys(shard);
    return this.#nodes.at(keys.tag, lane, (context) => work(context, keys));
  }
}
