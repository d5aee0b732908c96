import { randomUUID } from 'node:crypto';
import type { LogOffset, Lsn, Position } from '@shapecast/log';
import { formatOffset } from '@shapecast/log';
import type { Fingerprint, ShapeDefinition } from '@shapecast/shape';
import { expect } from 'vitest';
import type { ShapeStoreLimits } from '../limits.ts';
import type {
  AppendBatch,
  CreateRequest,
  LogEntry,
  ShapeHead,
  ShapeStore,
  ShardDelta,
  ShardId,
  ShardMeta,
  ShardState,
  SnapshotVisibility,
  WriteOutcome,
} from '../shape-store.ts';

/** Opens a store for one test; the test closes it. Stores of one suite may share a server: every test has its own shard. */
export type OpenStore = (limits?: Partial<ShapeStoreLimits>) => Promise<ShapeStore>;

export function newShard(): ShardId {
  return { source: randomUUID(), incarnation: 1, shard: 0 };
}

export function request(table: string, chunkBytes = 10_485_760, digest = `digest-of-${table}`): CreateRequest {
  const definition: ShapeDefinition = {
    v: 1,
    oid: 1234,
    schema: 'public',
    table,
    keyColumns: ['id'],
    hasPrimaryKey: true,
    columns: ['id', 'value'],
    allColumns: true,
    where: `value <> 'a "quoted" ü text\n with a line break'`,
    replica: 'default',
    log: 'full',
  };
  const fingerprint: Fingerprint = {
    oid: 1234,
    schema: 'public',
    table,
    keyColumns: ['id'],
    columnCount: 2,
    columns: [
      ['id', 20, -1],
      ['value', 25, -1],
    ],
  };
  return { digest, definition, fingerprint, chunkBytes };
}

export const NOTHING_VISIBLE: SnapshotVisibility = { xmin: 1n, xmax: 1n, xip: [], insertLsn: 0n as Lsn };
export const FAILURE = { code: 'SNAPSHOT_FAILED', message: 'The table "x" is not there: no\nway.' };

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

export function at(lsn: bigint | number, op = 0): Position {
  return { lsn: BigInt(lsn) as Lsn, op };
}

export function offset(lsn: bigint | number, op = 0): LogOffset {
  return { tx: BigInt(lsn) as Lsn, op };
}

export function entry(handle: string, position: Position, text = `{"at":"${position.lsn}_${position.op}"}`): LogEntry {
  return { handle, position, xid: position.lsn + 100n, bytes: bytes(text) };
}

/**
 * The owner of a shard as a router would be: remembers the state it believes in, takes every transaction a step forward.
 */
export class Owner {
  readonly store: ShapeStore;
  readonly shard: ShardId;
  state: ShardState;

  constructor(store: ShapeStore, shard: ShardId, meta: ShardMeta) {
    this.store = store;
    this.shard = shard;
    this.state = meta;
  }

  static async acquire(store: ShapeStore, shard: ShardId, token: string = randomUUID()): Promise<Owner> {
    return new Owner(store, shard, await store.acquire(shard, token));
  }

  /** A step of whole transactions: one per commit LSN among the entries, or the one given when nothing matches. */
  step(entries: readonly LogEntry[], lsn = entries.at(-1)?.position.lsn ?? 0n): AppendBatch {
    const transactions = [...new Set([...entries.map(({ position }) => position.lsn), lsn])] as Lsn[];
    const position = entries.at(-1)?.position ?? at(lsn);
    return {
      entries,
      transactions: transactions.map((commit) => ({ lsn: commit, xid: commit + 100n })),
      to: { seq: this.state.cursor.seq + 1, position, openTxSeq: 0 },
      visible: position,
      watermark: position.lsn,
    };
  }

  /** Applies a step and moves on; learns of new shapes first, like a router that was told by a hint. */
  async apply(batch: AppendBatch): Promise<void> {
    await this.refresh();
    expect(await this.try(batch)).toBe('ok');
  }

  async try(batch: AppendBatch): Promise<WriteOutcome> {
    const outcome = await this.store.append(this.shard, this.state, batch);
    if (outcome === 'ok') this.state = { ...this.state, cursor: batch.to };
    return outcome;
  }

  async refresh(): Promise<void> {
    const delta = await this.store.loadDelta(this.shard, this.state.ver);
    const ver = typeof delta === 'object' ? delta.ver : (await this.store.loadShapes(this.shard)).ver;
    this.state = { ...this.state, ver };
  }

  async write(...entries: LogEntry[]): Promise<void> {
    await this.apply(this.step(entries));
  }
}

/** What changed since a version that the store can tell of. */
export async function changesSince(store: ShapeStore, shard: ShardId, ver: string): Promise<ShardDelta> {
  const delta = await store.loadDelta(shard, ver);
  expect(delta).toBeTypeOf('object');
  return delta as ShardDelta;
}

/** A shape with a snapshot of one chunk and no filter, live. */
export async function liveShape(
  store: ShapeStore,
  shard: ShardId,
  table: string,
  chunkBytes?: number,
  visibility = NOTHING_VISIBLE,
): Promise<string> {
  const { handle } = await store.getOrCreate(shard, request(table, chunkBytes));
  await snapshot(store, shard, handle, visibility);
  expect(await store.promote(shard, handle, 100)).toBe(0);
  return handle;
}

/** A snapshot attempt from begin to done. */
export async function snapshot(
  store: ShapeStore,
  shard: ShardId,
  handle: string,
  visibility: SnapshotVisibility = NOTHING_VISIBLE,
): Promise<void> {
  const token = randomUUID();
  expect(await store.snapshotBegin(shard, handle, token)).toBe('begun');
  expect(await store.snapshotKnown(shard, handle, token, visibility)).toBe('known');
  expect(await store.snapshotPart(shard, handle, token, { chunk: 0, bytes: bytes('{"row":1}'), close: true })).toBe(
    true,
  );
  expect(await store.snapshotDone(shard, handle, token)).toBe(true);
}

export async function headOf(store: ShapeStore, shard: ShardId, handle: string): Promise<ShapeHead> {
  const head = await store.readHead(shard, handle);
  if (!head) throw new Error(`no head of ${handle}`);
  return head;
}

/** One read as text: the offsets and the bytes. */
export async function read(store: ShapeStore, shard: ShardId, handle: string, after: LogOffset = offset(0, Infinity)) {
  const { entries, end } = await store.readLog(shard, await headOf(store, shard, handle), after);
  return {
    offsets: entries.map((one) => formatOffset(one.offset)),
    texts: entries.map((one) => Buffer.from(one.bytes).toString()),
    end: formatOffset(end),
  };
}

/** Follows the offsets to the tail, like a client. Returns the offsets of every response. */
export async function follow(store: ShapeStore, shard: ShardId, handle: string): Promise<string[][]> {
  const responses: string[][] = [];
  let after = offset(0, Infinity);
  for (;;) {
    const { entries, end } = await store.readLog(shard, await headOf(store, shard, handle), after);
    if (entries.length === 0) return responses;
    responses.push(entries.map((one) => formatOffset(one.offset)));
    after = end;
  }
}

/** For `await using`: closes the store at the end of a test. */
export function disposable<T extends { close(): Promise<void> }>(store: T): T & AsyncDisposable {
  return Object.assign(store, { [Symbol.asyncDispose]: () => store.close() });
}
