import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { LogOffset, Lsn, Position } from '@shapecast/log';
import type { Clock } from '@shapecast/service-kit';
import { canonicalText, type Fingerprint } from '@shapecast/shape';
import { DEFAULT_LIMITS, type ShapeStoreLimits } from '../limits.ts';
import type { EntryMerger } from '../compaction.ts';
import type { HomeClaim, HomeOutcome, StoreHome } from '../home.ts';
import { whenNotHeld } from '../held-registration.ts';
import { handlePrefix } from '../identity.ts';
import type { ShapeInspection, ShapeReadSight } from '../shape-inspection.ts';
import type {
  AppendBatch,
  AttemptStart,
  CreateRequest,
  InterruptedSnapshot,
  LogRead,
  OrphanStep,
  PendingEdit,
  SafetyRing,
  SealStep,
  ShapeFailure,
  ShapeHead,
  ShapePage,
  ShapeReadTime,
  ShapeStore,
  StoreMemory,
  ShardCursor,
  ShardDelta,
  ShardId,
  ShardMeta,
  ShardShapes,
  ShardState,
  ShardUse,
  ShardWeight,
  SnapshotDoubt,
  SnapshotPart,
  SnapshotRead,
  SnapshotVisibility,
  VisibilityOutcome,
  WriteOutcome,
} from '../shape-store.ts';
import type { StoreNodeHealth } from '../store-health.ts';
import { MemoryShape } from './memory-shape.ts';
import { MemoryShard } from './memory-shard.ts';

/**
 * Shape logs in the memory of one process, for the embedded mode and for tests. Everything is lost with the process, so its
 * clients start over with new handles. Keeps every log in full, like its sibling; how much that may be is for whoever
 * admits shapes, and the process's memory is the only bound.
 */
export function openMemoryShapeStore(clock: Clock, limits: Partial<ShapeStoreLimits> = {}): ShapeStore {
  return new MemoryShapeStore(clock, { ...DEFAULT_LIMITS, ...limits });
}

class MemoryShapeStore implements ShapeStore {
  readonly #clock: Clock;
  readonly #limits: ShapeStoreLimits;
  readonly #shards = new Map<string, MemoryShard>();
  readonly #homes = new Map<string, StoreHome & { readonly beat: number }>();

  constructor(clock: Clock, limits: ShapeStoreLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  async claimHome(source: string, { installation, insteadOf }: HomeClaim): Promise<HomeOutcome> {
    const home = this.#homes.get(source) ?? { installation, store: randomUUID(), beat: 0 };
    const beat = String(home.beat);
    if (home.installation !== installation && beat !== insteadOf) {
      return { kind: 'foreign', installation: home.installation, beat };
    }
    this.#homes.set(source, { installation, store: home.store, beat: home.beat + 1 });
    return { kind: 'ours', store: home.store };
  }

  async readHome(source: string): Promise<StoreHome | undefined> {
    const home = this.#homes.get(source);
    return home && { installation: home.installation, store: home.store };
  }

  async forgetHome(source: string): Promise<void> {
    this.#homes.delete(source);
  }

  async acquire(shard: ShardId, owner: string) {
    return { ...this.#open(shard).acquire(owner), maybeLost: false };
  }

  async release(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void> {
    this.#find(shard)?.release(state);
  }

  async hold(shard: ShardId, state: Pick<ShardState, 'epoch' | 'owner'>): Promise<void> {
    this.#find(shard)?.hold(state);
  }

  async readMeta(shard: ShardId): Promise<ShardMeta | undefined> {
    return this.#find(shard)?.meta();
  }

  async loadShapes(shard: ShardId): Promise<ShardShapes> {
    const found = this.#find(shard);
    if (!found) return { ver: '', shapes: [] };
    const alive = [...found.shapes.values()].filter(({ state }) => state !== 'dead');
    return { ver: found.meta().ver, shapes: alive.map((shape) => shape.record()) };
  }

  async loadDelta(shard: ShardId, ver: string): Promise<ShardDelta | 'regressed' | undefined> {
    return this.#find(shard)?.delta(ver);
  }

  connectionOf(): string {
    return 'memory';
  }

  async vouch(shard: ShardId, { epoch, owner, ver, cursor }: ShardState): Promise<boolean> {
    const meta = this.#find(shard)?.meta();
    return (
      meta !== undefined &&
      isDeepStrictEqual([meta.epoch, meta.owner, meta.ver, meta.cursor], [epoch, owner, ver, cursor])
    );
  }

  async append(shard: ShardId, expected: ShardState, batch: AppendBatch): Promise<WriteOutcome> {
    return this.#find(shard)?.append(expected, batch, this.#clock.now()) ?? 'epoch';
  }

  getOrCreate(shard: ShardId, request: CreateRequest) {
    return whenNotHeld(this.#clock, async (insist) => this.#getOrCreate(shard, request, insist));
  }

  #getOrCreate(shard: ShardId, request: CreateRequest, insist: boolean) {
    const target = this.#open(shard);
    const text = canonicalText(request.definition);
    const others = target.digests.get(request.digest) ?? [];
    for (const handle of others) {
      const shape = target.shapes.get(handle);
      if (shape && canonicalText(shape.definition) === text) return { handle, created: false };
    }
    if (target.held && !insist) return undefined;
    const { newest = 0, ceiling = 0 } = request.issued ?? {};
    const last = target.issued < newest ? Math.max(target.issued, ceiling) : target.issued;
    target.issued = Math.max(this.#clock.now() * 1_000, last + 1);
    const handle = `${handlePrefix(request.digest)}-${target.issued}`;
    target.shapes.set(handle, new MemoryShape(handle, request, target.meta().cursor.position.lsn));
    target.digests.set(request.digest, [...others, handle]);
    target.bump(handle);
    return { handle, created: true };
  }

  async find(shard: ShardId, digest: string): Promise<string | undefined> {
    return this.#find(shard)?.digests.get(digest)?.[0];
  }

  async snapshotBegin(shard: ShardId, handle: string, token: string): Promise<AttemptStart> {
    const begun = this.#shape(shard, handle)?.begin(token, this.#clock.now(), this.#limits);
    if (begun === 'begun') this.#find(shard)?.bump(handle);
    return begun === 'again' ? 'begun' : (begun ?? 'over');
  }

  async snapshotBeat(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return this.#shape(shard, handle)?.beat(token, this.#clock.now()) ?? false;
  }

  async snapshotYield(shard: ShardId, handle: string, token: string): Promise<boolean> {
    return this.#shape(shard, handle)?.beat(token, -Infinity) ?? false;
  }

  async readInterrupted(shard: ShardId, handle: string, token: string): Promise<InterruptedSnapshot | undefined> {
    return this.#shape(shard, handle)?.interrupted(token);
  }

  async readPending(shard: ShardId, handle: string, token: string, after: Position, limit: number) {
    return this.#shape(shard, handle)?.pending(token, after, limit);
  }

  async amendPending(shard: ShardId, handle: string, token: string, edits: readonly PendingEdit[]): Promise<boolean> {
    return this.#shape(shard, handle)?.amend(token, edits) ?? false;
  }

  async snapshotKnown(
    shard: ShardId,
    handle: string,
    token: string,
    visibility: SnapshotVisibility,
  ): Promise<VisibilityOutcome> {
    return this.#shape(shard, handle)?.known(token, visibility, this.#clock.now()) ?? 'over';
  }

  async snapshotDoubts(shard: ShardId, doubts: readonly SnapshotDoubt[]): Promise<readonly string[]> {
    const unseen = doubts.filter((doubt) => this.#shape(shard, doubt.handle)?.doubt(doubt));
    return [...new Set(unseen.map(({ handle }) => handle))];
  }

  async snapshotPart(shard: ShardId, handle: string, token: string, part: SnapshotPart): Promise<boolean> {
    return this.#shape(shard, handle)?.part(token, part, this.#clock.now()) ?? false;
  }

  async snapshotDone(shard: ShardId, handle: string, token: string): Promise<boolean> {
    const done = this.#shape(shard, handle)?.done(token);
    if (done === 'done') this.#find(shard)?.bump(handle);
    return done !== undefined;
  }

  async snapshotFailed(shard: ShardId, handle: string, token: string, failure: ShapeFailure): Promise<boolean> {
    const failing = this.#shape(shard, handle)?.failing(token, failure);
    if (failing === 'now') await this.rotate(shard, handle, failure);
    if (failing !== undefined) this.#shape(shard, handle)?.dropSnapshot();
    return failing !== undefined;
  }

  async promote(shard: ShardId, handle: string, limit: number): Promise<number | undefined> {
    const left = this.#shape(shard, handle)?.promote(limit);
    if (left === 0) this.#find(shard)?.bump(handle);
    return left;
  }

  async rotate(shard: ShardId, handle: string, failure: ShapeFailure): Promise<boolean> {
    const shape = this.#shape(shard, handle);
    if (!shape || shape.state === 'dead') return false;
    this.#find(shard)?.bury(handle, shape, failure, this.#clock.now());
    return true;
  }

  async readRing(shard: ShardId, upTo: Lsn): Promise<SafetyRing> {
    return this.#find(shard)?.ring(upTo) ?? { entries: [], floor: 0n, skipped: 'new' };
  }

  async skipRing(shard: ShardId): Promise<void> {
    this.#find(shard)?.skipRing();
  }

  async boundRing(shard: ShardId, skipped: string, newest: bigint): Promise<void> {
    this.#find(shard)?.boundRing(skipped, newest);
  }

  async sweep(shard: ShardId, graceMs: number): Promise<number> {
    const found = this.#find(shard);
    if (!found) return 0;
    const before = this.#clock.now() - graceMs;
    const due: string[] = [];
    for (const [handle, diedAt] of found.dead) {
      if (diedAt > before || due.length === this.#limits.sweepMaxHandles) break;
      due.push(handle);
    }
    for (const shape of found.shapes.values()) shape.log.forgetReplaced(before);
    for (const handle of due) {
      found.dead.delete(handle);
      found.shapes.delete(handle);
    }
    return due.length;
  }

  async issuedHandles(shard: ShardId): Promise<number> {
    return this.#find(shard)?.issued ?? 0;
  }

  async recordReads(shard: ShardId, reads: readonly ShapeReadTime[], waitingMs: number): Promise<void> {
    const now = this.#clock.now();
    for (const { handle, agoMs, waiting } of reads) {
      this.#shape(shard, handle)?.read(now - Math.round(agoMs), waiting ? now + waitingMs : -Infinity);
    }
  }

  async leastRead(shard: ShardId, limit: number, waiting: 'skip' | 'include'): Promise<ShardUse> {
    const all = [...(this.#find(shard)?.shapes.values() ?? [])];
    const dead = all.filter(({ state }) => state === 'dead');
    const until = waiting === 'skip' ? this.#clock.now() : Infinity;
    return {
      alive: all.length - dead.length,
      dyingBytes: dead.reduce((sum, shape) => sum + shape.use().heldBytes, 0),
      shapes: all
        .filter(({ state, readAt, waitedUntil }) => {
          return state === 'live' && readAt !== undefined && waitedUntil < until;
        })
        .map((shape) => ({ handle: shape.handle, readAt: shape.readAt as number, heldBytes: shape.use().heldBytes }))
        .sort((a, b) => a.readAt - b.readAt || (a.handle < b.handle ? -1 : 1))
        .slice(0, limit),
    };
  }

  async weigh(shard: ShardId): Promise<ShardWeight> {
    let [alive, bytes, dyingBytes] = [0, 0, 0];
    for (const shape of this.#find(shard)?.shapes.values() ?? []) {
      const { heldBytes, state } = shape.use();
      if (state === 'dead') dyingBytes += heldBytes;
      else {
        alive += 1;
        bytes += heldBytes;
      }
    }
    return { alive, bytes, dyingBytes };
  }

  async memory(): Promise<readonly StoreMemory[]> {
    return [];
  }

  async health(): Promise<readonly StoreNodeHealth[]> {
    return [];
  }

  /** Nothing outlives the process, so nothing is lost as long as somebody asks. */
  async durableCursor(shard: ShardId): Promise<ShardCursor | undefined> {
    return this.#find(shard)?.meta().cursor;
  }

  async sweepOrphans(source: string, options: { readonly incarnation: number }): Promise<OrphanStep> {
    let deleted = 0;
    for (const [key, shard] of this.#shards) {
      const [incarnation, , of] = splitKey(key);
      if (of !== source || incarnation >= options.incarnation) continue;
      this.#shards.delete(key);
      deleted += 1 + shard.shapes.size;
    }
    return { looked: this.#shards.size, deleted };
  }

  async sweepRecords(): Promise<OrphanStep> {
    return { looked: 0, deleted: 0 };
  }

  async scanShapes(shard: ShardId): Promise<ShapePage> {
    return { shapes: [...(this.#find(shard)?.shapes.values() ?? [])].map((shape) => shape.use()) };
  }

  async whenRead(shard: ShardId, handles: readonly string[]): Promise<readonly ShapeReadSight[]> {
    return handles.map((handle) => this.#read(this.#shape(shard, handle)));
  }

  async inspectShapes(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeInspection | undefined)[]> {
    return handles.map((handle) => {
      const shape = this.#shape(shard, handle);
      if (shape === undefined) return undefined;
      return { ...shape.use(), record: shape.record(), logChunks: shape.log.closedChunks, read: this.#read(shape) };
    });
  }

  async seal(): Promise<SealStep> {
    return {};
  }

  async sealSnapshot(): Promise<undefined> {
    return undefined;
  }

  async compact(shard: ShardId, handle: string, merge: () => EntryMerger): Promise<'done' | 'more'> {
    const found = this.#find(shard);
    const shape = found?.shapes.get(handle);
    if (!found || shape?.state !== 'live' || !shape.compaction) return 'done';
    return shape.log.compact(found.meta().visible, merge, this.#clock.now());
  }

  async readHead(shard: ShardId, handle: string): Promise<ShapeHead | undefined> {
    const meta = this.#find(shard)?.meta();
    return meta && this.#shape(shard, handle)?.head(meta.visible, meta.watermark);
  }

  async readFingerprint(shard: ShardId, handle: string): Promise<Fingerprint | undefined> {
    return this.#shape(shard, handle)?.record().fingerprint;
  }

  async readHeads(shard: ShardId, handles: readonly string[]): Promise<readonly (ShapeHead | undefined)[]> {
    const meta = this.#find(shard)?.meta();
    return handles.map((handle) => meta && this.#shape(shard, handle)?.head(meta.visible, meta.watermark));
  }

  async readLog(
    shard: ShardId,
    head: ShapeHead,
    after: LogOffset,
    maxBytes = Infinity,
    place?: string,
  ): Promise<LogRead> {
    // While the shape was not live its head shows no entries, whatever the log holds by now.
    const shape = head.tail.tx > 0n ? this.#shape(shard, head.handle) : undefined;
    return (
      shape?.log.read(after, head.visible, maxBytes, place) ?? { entries: [], end: after, upTo: after, closed: false }
    );
  }

  async readSnapshot(shard: ShardId, handle: string, chunk: number, fromPart: number, maxBytes: number) {
    return this.#shape(shard, handle)?.readSnapshot(chunk, fromPart, maxBytes) satisfies SnapshotRead | undefined;
  }

  connected(): boolean {
    return true;
  }

  async close(): Promise<void> {
    this.#shards.clear();
  }

  #find(shard: ShardId): MemoryShard | undefined {
    return this.#shards.get(shardKey(shard));
  }

  #open(shard: ShardId): MemoryShard {
    let found = this.#find(shard);
    if (!found) this.#shards.set(shardKey(shard), (found = new MemoryShard(this.#limits)));
    return found;
  }

  #read(shape: MemoryShape | undefined): ShapeReadSight {
    const { readAt, waitedUntil = -Infinity } = shape ?? {};
    return { ...(readAt === undefined ? {} : { at: readAt }), waiting: waitedUntil >= this.#clock.now() };
  }

  #shape(shard: ShardId, handle: string): MemoryShape | undefined {
    return this.#find(shard)?.shapes.get(handle);
  }
}

function shardKey({ source, incarnation, shard }: ShardId): string {
  return `${incarnation}.${shard}.${source}`;
}

function splitKey(key: string): [incarnation: number, shard: number, source: string] {
  const [incarnation, shard, ...source] = key.split('.');
  return [Number(incarnation), Number(shard), source.join('.')];
}
