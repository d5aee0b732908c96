import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Cell } from '@shapecast/log';
import type { RelationInfo } from '@shapecast/shape';
import { waitFor } from '@shapecast/testkit';
import type { ChangeSource, SnapshotInfo, SnapshotRequest, SubsetRequest } from '../change-source.ts';
import type { GuardedSlot } from '../guarded-slot.ts';
import { sharePublication } from '../source-publication.ts';
import type { SourceDatabase } from '../source-database.ts';
import { describeKeyset } from './keyset.contract.ts';
import { RecordingHandler, run } from './recording-handler.contract.ts';

export type ItemChange =
  | { readonly kind: 'insert'; readonly id: string; readonly value: string | null }
  | { readonly kind: 'update'; readonly id: string; readonly newId?: string; readonly value: string | null }
  | { readonly kind: 'delete'; readonly id: string }
  | { readonly kind: 'truncate' };

/** One database with a table `public.items (id text primary key, value text)`, not published yet. */
export interface ContractWorld {
  readonly source: ChangeSource;
  readonly database: SourceDatabase;
  /** The slot of `source`, from outside of its sessions. */
  readonly slot: GuardedSlot;
  /** Commits the changes as one transaction. */
  transaction(changes: readonly ItemChange[]): Promise<void>;
  close(): Promise<void>;
}

const never = new AbortController().signal;
const ignore = () => {};

const insert = (id: string, value: string | null = `value of ${id}`): ItemChange => ({ kind: 'insert', id, value });

export function describeChangeSource(name: string, openWorld: () => Promise<ContractWorld>): void {
  describe(`change source (${name})`, () => {
    let world: ContractWorld;
    let items: RelationInfo;

    beforeEach(async () => {
      world = await openWorld();
      const found = await world.database.introspect('public', 'items', never);
      if (!found) throw new Error('no table public.items');
      items = found;
    });

    afterEach(() => world.close());

    const open = () => world.source.open(ignore, never);
    const publish = () => world.database.publish(items, never);

    test('delivers transactions in commit order, whole, operations numbered by two', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction([insert('1'), insert('2')]);
      await world.transaction([insert('3')]);
      await handler.waitForChanges(3);
      const [first, second] = handler.parts;
      expect(handler.parts).toHaveLength(2);
      expect(first?.changes.map((change) => change.op)).toEqual([0, 2]);
      expect(second?.changes.map((change) => change.op)).toEqual([0]);
      expect(handler.parts.every((part) => part.begin && part.commit && part.endLsn > part.lsn)).toBe(true);
      expect(first && second && first.endLsn <= second.lsn && first.xid < second.xid).toBe(true);
      expect(handler.changes.map((change) => change.kind === 'insert' && change.new[0])).toEqual(['1', '2', '3']);
      await stream.stop();
    });

    test('tells old and new row, what changed, and the relation with its key', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction([insert('1', 'a'), insert('2', null)]);
      await world.transaction([
        { kind: 'update', id: '1', value: 'b' },
        { kind: 'update', id: '2', newId: '3', value: null },
        { kind: 'delete', id: '3' },
        { kind: 'truncate' },
      ]);
      const [, , value, key, deletion, truncation] = await handler.waitForChanges(6);
      expect(value).toMatchObject({ kind: 'update', old: ['1', 'a'], new: ['1', 'b'], changed: [1], op: 0 });
      expect(key).toMatchObject({ kind: 'update', old: ['2', null], new: ['3', null], changed: [0], op: 2 });
      expect(deletion).toMatchObject({ kind: 'delete', old: ['3', null], op: 4 });
      expect(truncation).toMatchObject({ kind: 'truncate', op: 6 });
      expect(truncation?.relation).toMatchObject({
        oid: items.oid,
        schema: 'public',
        name: 'items',
        replicaIdentity: 'f',
        keyColumns: [0],
        columns: [{ name: 'id' }, { name: 'value' }],
      });
      await stream.stop();
    });

    test('resends everything that was not confirmed to the next session', async () => {
      const first = await open();
      await publish();
      const seen = new RecordingHandler();
      const before = run(first, seen);
      await world.transaction([insert('1')]);
      await world.transaction([insert('2')]);
      await seen.waitForChanges(2);
      await before.stop();
      const second = await open();
      const again = new RecordingHandler();
      const after = run(second, again);
      await again.waitForChanges(2);
      expect(first.slot.created).toBe(true);
      expect(second.slot).toEqual({ ...first.slot, created: false });
      expect(again.parts.map((part) => [part.lsn, part.xid])).toEqual(seen.parts.map((part) => [part.lsn, part.xid]));
      await after.stop();
    });

    test('does not resend what was confirmed', async () => {
      const first = await open();
      await publish();
      const seen = new RecordingHandler();
      const before = run(first, seen);
      await world.transaction([insert('1')]);
      await world.transaction([insert('2')]);
      await seen.waitForChanges(2);
      const confirmed = seen.parts[0]?.lsn;
      if (confirmed === undefined) throw new Error('no part');
      first.confirm(confirmed);
      await before.stop();
      const second = await open();
      const again = new RecordingHandler();
      const after = run(second, again);
      await again.waitForChanges(1);
      expect(second.slot.confirmedLsn).toBeGreaterThanOrEqual(confirmed);
      expect(again.parts.map((part) => part.lsn)).toEqual([seen.parts[1]?.lsn]);
      await after.stop();
    });

    test('makes a second session wait for the lock until the first is closed', async () => {
      const first = await open();
      const reports: string[] = [];
      let opened = false;
      const second = world.source
        .open((progress) => reports.push(progress.kind), never)
        .then((session) => {
          opened = true;
          return session;
        });
      await waitFor(() => reports.includes('waiting_for_lock'));
      expect(opened).toBe(false);
      await first.close();
      await (await second).close();
      expect(reports.at(-1)).toBe('ready');
    });

    test('reports what is kept for the slot, and whether the lock is held', async () => {
      expect(await world.slot.report(never)).toBeUndefined();
      const session = await open();
      await publish();
      await world.transaction([insert('1')]);
      const before = await world.slot.report(never);
      expect(before).toMatchObject({ locked: true });
      expect(before && before.restartLsn <= before.confirmedLsn && before.confirmedLsn < before.walLsn).toBe(true);
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await handler.waitForChanges(1);
      const committed = handler.parts[0]?.lsn;
      if (committed === undefined) throw new Error('no part');
      session.confirm(committed);
      await waitFor(async () => ((await world.slot.report(never))?.confirmedLsn ?? 0n) >= committed);
      await stream.stop();
      await waitFor(async () => (await world.slot.report(never))?.locked === false);
    });

    test('drops the slot for who can have the lock, and nobody sets up another one until that is over', async () => {
      const session = await open();
      expect(await world.slot.drop(0, never)).toBeUndefined();
      expect(await world.slot.report(never)).toBeDefined();
      await session.close();
      const hold = await world.slot.drop(10_000, never);
      expect(hold?.lost.aborted).toBe(false);
      expect(await world.slot.report(never)).toBeUndefined();
      const reports: string[] = [];
      const next = world.source.open((progress) => reports.push(progress.kind), never);
      await waitFor(() => reports.includes('waiting_for_lock'));
      await hold?.release();
      const after = await next;
      expect(after.slot.created).toBe(true);
      await after.close();
      // Nothing to drop is nothing to complain about.
      await (await world.slot.drop(10_000, never))?.release();
      await (await world.slot.drop(10_000, never))?.release();
      expect(await world.slot.report(never)).toBeUndefined();
    });

    test('gives up waiting for the lock when aborted', async () => {
      const first = await open();
      const abort = new AbortController();
      const reason = new Error('enough');
      const second = world.source.open(() => abort.abort(reason), abort.signal);
      await expect(second).rejects.toBe(reason);
      await first.close();
    });

    test('calls the handler again only after it answered', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      handler.block();
      const stream = run(session, handler);
      await world.transaction([insert('1')]);
      await waitFor(() => handler.calls.length === 1);
      for (let id = 2; id <= 50; id += 1) await world.transaction([insert(String(id))]);
      expect(handler.calls).toHaveLength(1);
      handler.release();
      await handler.waitForChanges(50);
      expect(handler.maxPending).toBe(1);
      await stream.stop();
    });

    test('splits a large transaction into parts, the last of which has a change', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction(Array.from({ length: 1000 }, (_, index) => insert(String(index))));
      await handler.waitForChanges(1000);
      expect(handler.parts.every((part) => part.changes.length > 0 && part.changes.length <= 500)).toBe(true);
      expect(handler.parts.filter((part) => part.begin)).toEqual([handler.parts[0]]);
      expect(handler.parts.filter((part) => part.commit)).toEqual([handler.parts.at(-1)]);
      expect(new Set(handler.parts.map((part) => part.lsn)).size).toBe(1);
      expect(handler.changes.map((change) => change.op)).toEqual(Array.from({ length: 1000 }, (_, index) => 2 * index));
      await stream.stop();
    });

    test('tells the WAL end once everything before it was handed over', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction([insert('1')]);
      await handler.waitForChanges(1);
      const end = handler.parts[0]?.endLsn ?? 0n;
      await waitFor(() => handler.idle.some((walEnd) => walEnd >= end));
      expect(handler.changes).toHaveLength(1);
      await stream.stop();
    });

    test('passes the error of a handler on and delivers nothing more', async () => {
      const session = await open();
      await publish();
      const broken = new Error('no room');
      const failing = { onParts: () => Promise.reject(broken), onIdle: ignore };
      const done = session.stream(failing, never);
      await Promise.all([expect(done).rejects.toBe(broken), world.transaction([insert('1')])]);
      await session.close();
    });

    test('tells by what a table is published, and that it is by something else after it was taken out', async () => {
      const session = await open();
      const { publication } = world.database;
      const sight = async () => {
        const { tables } = await publication.sight([items.oid, 4_000_000_000], never);
        return [...tables];
      };
      expect(await sight()).toEqual([[items.oid, '']]);
      expect((await publication.verify([items.oid], never)).flaws).toMatchObject([{ oid: items.oid, harmful: false }]);
      const first = await publish();
      expect(await publish()).toBe(first);
      expect(await sight()).toEqual([[items.oid, first]]);
      expect(sharePublication(first, first)).toBe(true);
      const { info, rows } = await takeSnapshot(world.database, request(items));
      expect([info.published, rows]).toEqual([first, []]);
      const { moment } = await publication.sight([items.oid], never);
      expect(moment.xmax).toBeGreaterThanOrEqual(info.xmax);

      expect(await publication.verify([items.oid], never)).toMatchObject({
        publication: 'owned',
        flaws: [],
        unneeded: [],
      });
      expect((await publication.verify([], never)).unneeded).toMatchObject([{ oid: items.oid, name: 'items' }]);
      expect(await publication.hasHarmful([items.oid], never)).toBe(false);
      expect(await publication.unpublish(items, () => false, never)).toBe(false);
      expect(await sight()).toEqual([[items.oid, first]]);
      expect(await publication.unpublish(items, () => true, never)).toBe(true);
      expect(await sight()).toEqual([[items.oid, '']]);
      expect(sharePublication('', '')).toBe(false);
      const second = await publish();
      expect(sharePublication(first, second)).toBe(false);
      await session.close();
    });

    test('does not publish a table whose name or oid is not what it was', async () => {
      const session = await open();
      const renamed = world.database.publish({ ...items, name: 'things' }, never);
      await expect(renamed).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
      const gone = world.database.publish({ ...items, oid: 4_000_000_000 }, never);
      await expect(gone).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
      await session.close();
    });

    test('describes tables, and knows nothing of those that are not there', async () => {
      expect(await world.database.introspect('public', 'nothing', never)).toBeUndefined();
      expect(items).toMatchObject({ schema: 'public', name: 'items', kind: 'r' });
      expect(items.columns.map(({ name, typeName, pkIndex }) => [name, typeName, pkIndex])).toEqual([
        ['id', 'text', 0],
        ['value', 'text', undefined],
      ]);
    });

    describeKeyset(
      () => world,
      () => items,
    );

    test('takes snapshots that show exactly the transactions below their bound', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction([insert('1', 'a'), insert('2', null)]);
      const before = await takeSnapshot(world.database, request(items));
      await world.transaction([insert('3')]);
      await handler.waitForChanges(3);
      const [visible, later] = handler.parts;
      expect(before.rows).toEqual([
        ['a', '1'],
        [null, '2'],
      ]);
      expect(visible && visible.lsn <= before.info.insertLsn && visible.xid < before.info.xmax).toBe(true);
      expect(later && later.lsn > before.info.insertLsn && later.xid >= before.info.xmax).toBe(true);
      await stream.stop();
    });

    test('takes another snapshot when one is refused', async () => {
      const seen: SnapshotInfo[] = [];
      const rows: (readonly Cell[])[] = [];
      const sink = {
        onSnapshot: async (info: SnapshotInfo) => {
          seen.push(info);
          if (seen.length > 1) return 'use' as const;
          await world.transaction([insert('1', 'a')]);
          return 'retry' as const;
        },
        onRows: async (batch: readonly (readonly Cell[])[]) => void rows.push(...batch),
      };
      await world.database.snapshot(request(items), sink, never);
      expect(seen).toHaveLength(2);
      expect(seen[1] && seen[0] && seen[1].xmax > seen[0].xmax).toBe(true);
      expect(rows).toEqual([['a', '1']]);
    });

    test('names no writers of a table once they have all ended, and how new they can have been', async () => {
      await world.transaction([insert('1', 'a')]);
      const { xids, newest } = await world.database.writers(items.oid, never);
      const later = await takeSnapshot(world.database, request(items));
      expect(xids).toEqual([]);
      expect(newest).toBeGreaterThan(0n);
      expect(newest).toBeLessThan(later.info.xmax);
    });

    test('reads no rows when only the visibility is wanted', async () => {
      await world.transaction([insert('1')]);
      const snapshot = await takeSnapshot(world.database, { ...request(items), rows: false });
      expect(snapshot.rows).toEqual([]);
      expect(snapshot.info.xmax).toBeGreaterThan(0n);
    });

    test('reads many rows in bounded batches', async () => {
      await world.transaction(Array.from({ length: 5000 }, (_, index) => insert(String(index), 'x')));
      const snapshot = await takeSnapshot(world.database, request(items));
      expect(snapshot.rows).toHaveLength(5000);
      expect(Math.max(...snapshot.batches)).toBeLessThanOrEqual(2000);
    });

    test('passes the error of a snapshot sink on unchanged', async () => {
      const broken = new Error('no room');
      const sink = { onSnapshot: () => Promise.reject(broken), onRows: async () => {} };
      await expect(world.database.snapshot(request(items), sink, never)).rejects.toBe(broken);
    });

    test('refuses a snapshot of a table that is gone', async () => {
      const gone = takeSnapshot(world.database, { ...request(items), oid: 4_000_000_000 });
      await expect(gone).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
      const unknown = takeSnapshot(world.database, { ...request(items), columns: ['id', 'nothing'] });
      await expect(unknown).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    });

    test('reads subsets in the order asked for, and only as much', async () => {
      const values: [string, string | null][] = [
        ['1', 'b'],
        ['2', null],
        ['3', 'a'],
        ['4', 'B'],
        ['5', 'b'],
      ];
      await world.transaction(values.map(([id, value]) => insert(id, value)));
      const ids = async (parts: Partial<SubsetRequest>) => {
        const { rows } = await takeSubset(world.database, { ...subsetRequest(items), ...parts });
        return rows.map(([, id]) => id).join('');
      };
      const by = (descending: boolean, nulls?: 'first' | 'last') => [
        { column: 'value', descending, ...(nulls && { nulls }) },
        { column: 'id', descending: !descending },
      ];
      expect(await ids({ orderBy: [{ column: 'id', descending: false }] })).toBe('12345');
      expect(await ids({ orderBy: by(false) })).toBe('43512');
      expect(await ids({ orderBy: by(true) })).toBe('21534');
      expect(await ids({ orderBy: by(false, 'first') })).toBe('24351');
      expect(await ids({ orderBy: by(true, 'last') })).toBe('15342');
      expect(await ids({ orderBy: by(false), limit: '2' })).toBe('43');
      expect(await ids({ orderBy: by(false), limit: '2', offset: '1' })).toBe('35');
      expect(await ids({ orderBy: by(false), offset: '3' })).toBe('12');
      expect(await ids({ orderBy: by(false), offset: '9' })).toBe('');
    });

    test('reads subsets as they were when they were begun, and says which transactions they show', async () => {
      const session = await open();
      await publish();
      const handler = new RecordingHandler();
      const stream = run(session, handler);
      await world.transaction([insert('1', 'a'), insert('2', null)]);
      const subset = await takeSubset(world.database, {
        ...subsetRequest(items),
        orderBy: [{ column: 'id', descending: true }],
      });
      await world.transaction([insert('3')]);
      await handler.waitForChanges(3);
      const [visible, later] = handler.parts;
      expect(subset.rows).toEqual([
        [null, '2'],
        ['a', '1'],
      ]);
      expect(visible && visible.lsn <= subset.info.insertLsn && visible.xid < subset.info.xmax).toBe(true);
      expect(later && later.lsn > subset.info.insertLsn && later.xid >= subset.info.xmax).toBe(true);
      await stream.stop();
    });

    test('reads large subsets in bounded batches, no further than the sink takes', async () => {
      await world.transaction(Array.from({ length: 5000 }, (_, index) => insert(String(index), 'x')));
      const subset = await takeSubset(world.database, subsetRequest(items));
      expect(subset.rows).toHaveLength(5000);
      expect(Math.max(...subset.batches)).toBeLessThanOrEqual(2000);
      const broken = new Error('no room');
      let batches = 0;
      const sink = {
        onSnapshot: async () => {},
        onRows: async () => {
          batches += 1;
          throw broken;
        },
      };
      await expect(world.database.subset(subsetRequest(items), sink, never)).rejects.toBe(broken);
      expect(batches).toBe(1);
    });

    test('refuses a subset of a table that is gone', async () => {
      const gone = takeSubset(world.database, { ...subsetRequest(items), oid: 4_000_000_000 });
      await expect(gone).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
      const unknown = takeSubset(world.database, { ...subsetRequest(items), columns: ['nothing'] });
      await expect(unknown).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
      const order = [{ column: 'nothing', descending: false }];
      const unordered = takeSubset(world.database, { ...subsetRequest(items), orderBy: order });
      await expect(unordered).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    });

    test('samples progress: the oldest running transaction, then the WAL position', async () => {
      const before = await world.database.progress(never);
      await world.transaction([insert('1')]);
      // Transactions of other databases on the server hold the sample back while they run.
      const after = await waitFor(async () => {
        const sample = await world.database.progress(never);
        return sample.xmin > before.xmin && sample.walLsn > before.walLsn && sample;
      });
      expect(after.xmin).toBeGreaterThan(before.xmin);
    });
  });
}

/** Columns in another order than the table's, to show that the request decides. */
export function request(table: RelationInfo): SnapshotRequest {
  const { schema, name, oid } = table;
  return { schema, table: name, oid, columns: ['value', 'id'], where: '', rows: true };
}

export async function takeSnapshot(database: SourceDatabase, wanted: SnapshotRequest, signal = never) {
  const rows: (readonly Cell[])[] = [];
  const batches: number[] = [];
  let info: SnapshotInfo | undefined;
  const sink = {
    onSnapshot: async (given: SnapshotInfo) => {
      info = given;
      return 'use' as const;
    },
    onRows: async (batch: readonly (readonly Cell[])[]) => {
      batches.push(batch.length);
      rows.push(...batch);
    },
  };
  await database.snapshot(wanted, sink, signal);
  if (!info) throw new Error('no snapshot was offered');
  return { info, rows, batches };
}

/** Every row, in no order. */
export function subsetRequest(table: RelationInfo): SubsetRequest {
  const { schema, name, oid } = table;
  return { schema, table: name, oid, columns: ['value', 'id'], conditions: [], orderBy: [], timeoutMs: 30_000 };
}

export async function takeSubset(database: SourceDatabase, wanted: SubsetRequest, signal = never) {
  const rows: (readonly Cell[])[] = [];
  const batches: number[] = [];
  const infos: SnapshotInfo[] = [];
  const sink = {
    onSnapshot: async (info: SnapshotInfo) => void infos.push(info),
    onRows: async (batch: readonly (readonly Cell[])[]) => {
      batches.push(batch.length);
      rows.push(...batch);
    },
  };
  await database.subset(wanted, sink, signal);
  const [info, ...more] = infos;
  if (!info || more.length > 0) throw new Error('the visibility was not told once');
  return { info, rows, batches };
}
