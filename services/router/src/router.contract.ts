import type { MemoryTransaction } from '@shapecast/change-source';
import { shardHintSubject } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import type { ShapeStore } from '@shapecast/shape-store';
import { afterEach, describe, expect, test } from 'vitest';
import { Harness, type PlacedShape, type ShapeRequest } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';
import { unreliableStore } from './testing/unreliable-store.ts';

const open: Harness[] = [];

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

/** Resolves once every transaction so far can be read from the shape. */
async function settled(harness: Harness, shape: PlacedShape): Promise<void> {
  await harness.flush();
  await harness.progress();
  const lsn = harness.memory.walLsn - 1n;
  await waitFor(
    async () => {
      const head = await harness.store.readHead(shape.shard, shape.handle);
      if (head?.state === 'dead') throw new Error(`the shape died: ${head.error?.message}`);
      return head?.state === 'live' && head.watermark >= lsn;
    },
    { timeoutMs: 20_000, describe: () => 'the shape does not get live and up to date' },
  );
}

async function diesBeforeSettled(harness: Harness, shape: PlacedShape): Promise<boolean> {
  try {
    await settled(harness, shape);
    return false;
  } catch (err) {
    if ((await harness.store.readHead(shape.shard, shape.handle))?.state !== 'dead') throw err;
    return true;
  }
}

function expected(harness: Harness, owner?: string): string[] {
  return harness.memory
    .rows(harness.items.oid)
    .filter((row) => owner === undefined || row[1] === owner)
    .map(([id, own, note]) => JSON.stringify({ id, note, owner: own }))
    .sort();
}

async function rowsOf(harness: Harness, shape: PlacedShape): Promise<string[]> {
  const { rows } = await readShape(harness.store, shape);
  return [...rows.values()].map((row) => JSON.stringify(row)).sort();
}

/** A transaction of random changes; deterministic for a seed. */
function randomWriter(seed: number) {
  let state = seed;
  const next = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return Math.floor((state / 0x80000000) * n);
  };
  return (harness: Harness, changes: number) =>
    harness.commit((transaction: MemoryTransaction) => {
      for (let i = 0; i < changes; i += 1) {
        const id = String(next(20));
        const rows = harness.memory.rows(harness.items.oid);
        const exists = rows.some((row) => row[0] === id);
        const row = { owner: String(next(3)), note: `note ${next(1_000)}` };
        if (!exists) transaction.insert(harness.items, { id, ...row });
        else if (next(4) === 0) transaction.delete(harness.items, { id });
        else {
          const free = String(100 + next(1_000));
          const taken = rows.some((other) => other[0] === free);
          transaction.update(harness.items, { id }, next(5) === 0 && !taken ? { id: free, ...row } : row);
        }
      }
    });
}

/** What a router promises, whatever store it writes to. */
export function describeRouter(name: string, openStore: () => ShapeStore): void {
  describe(`a router on the ${name} store`, () => {
    async function start(options: { readonly shards?: number } = {}): Promise<Harness> {
      const harness = new Harness({ ...options, store: openStore() });
      open.push(harness);
      await harness.open();
      return harness;
    }

    test('makes a new shape live and keeps it equal to its query', async () => {
      const harness = await start();
      harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: 'before' }));
      await harness.startRouter('one');
      const shape = await harness.createShape({ where: `owner = 'a'` });
      await settled(harness, shape);
      harness.commit((tx) => {
        tx.insert(harness.items, { id: '2', owner: 'a', note: null });
        tx.insert(harness.items, { id: '3', owner: 'b', note: null });
        tx.update(harness.items, { id: '1' }, { note: 'after' });
      });
      await settled(harness, shape);
      const { snapshot, log, rows } = await readShape(harness.store, shape);
      expect(snapshot.map(({ headers }) => headers['operation'] ?? headers['control'])).toEqual([
        'insert',
        'snapshot-end',
      ]);
      expect(log.map(({ message }) => [message.headers['operation'], message.value, message.headers.last])).toEqual([
        ['insert', { id: '2', note: null, owner: 'a' }, undefined],
        ['update', { id: '1', note: 'after' }, true],
      ]);
      expect([...rows.values()].map((row) => JSON.stringify(row)).sort()).toEqual(expected(harness, 'a'));
    });

    test.each([1, 2, 3])('shapes created while changes flow equal their query (seed %i)', async (seed) => {
      const harness = await start();
      await harness.startRouter('one', { worker: { lingerMs: 5, maxStepChanges: 10 } });
      const write = randomWriter(seed);
      const requests: ShapeRequest[] = [
        {},
        { where: `owner = '0'` },
        { where: `owner = '1'`, replica: 'full' },
        { where: `owner IN ('1','2')` },
      ];
      const shapes: PlacedShape[] = [];
      for (let i = 0; i < 80; i += 1) {
        write(harness, 1 + (i % 7));
        if (i % 20 === 5) shapes.push(await harness.createShape(requests[shapes.length]));
        if (i % 3 === 0) await harness.flush(4);
        if (i % 10 === 0) await harness.progress();
      }
      for (const shape of shapes) await settled(harness, shape);
      const rows = harness.memory.rows(harness.items.oid);
      const wanted = (keep: (owner: string) => boolean) =>
        rows
          .filter((row) => keep(row[1] as string))
          .map(([id, owner, note]) => JSON.stringify({ id, note, owner }))
          .sort();
      const keeps = [() => true, (o: string) => o === '0', (o: string) => o === '1', (o: string) => o !== '0'];
      for (const [i, shape] of shapes.entries()) {
        expect(await rowsOf(harness, shape)).toEqual(wanted(keeps[i] as (owner: string) => boolean));
      }
    });

    test('goes on without loss or repetition when answers of the store are lost', async () => {
      const harness = await start({ shards: 1 });
      let calls = 0;
      let broken = false;
      const store = unreliableStore(harness.store, (verb) => {
        if (!broken || verb.startsWith('snapshot')) return undefined;
        calls += 1;
        return calls % 5 === 0 ? 'after' : calls % 7 === 0 ? 'before' : undefined;
      });
      await harness.startRouter('one', { worker: { lingerMs: 5, maxStepChanges: 4 } }, { store });
      const shape = await harness.createShape();
      await settled(harness, shape);
      broken = true;
      const write = randomWriter(7);
      for (let i = 0; i < 60; i += 1) {
        write(harness, 3);
        await harness.flush(2);
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await settled(harness, shape);
      expect(calls).toBeGreaterThan(20);
      expect(await rowsOf(harness, shape)).toEqual(expected(harness));
    });

    test('F106 a shard that cannot be loaded is not taken back from whoever has taken it since', async () => {
      const harness = await start({ shards: 1 });
      let broken = true;
      const store = unreliableStore(harness.store, (verb) => (broken && verb === 'loadShapes' ? 'before' : undefined));
      const told: string[] = [];
      const line = (_: object, text: string) => void told.push(text);
      const log: Logger = { error: line, warn: line, info: line, debug: line, child: () => log };
      await harness.startRouter('one', {}, { store, log });
      await waitFor(() => told.includes('shard cannot be loaded, retrying'));
      const shard = { source: harness.source, incarnation: 1, shard: 0 };
      const { epoch } = await harness.store.acquire(shard, 'another one');
      // As this one lives and nobody else is known to, it may have it later.
      await waitFor(() => told.includes('shard was taken over by another router'));
      broken = false;
      await waitFor(async () => ((await harness.store.readMeta(shard))?.epoch ?? 0) > epoch);
      await settled(harness, await harness.createShape());
    });

    test('a transaction in many fragments shows as a whole, with last on its last entry', async () => {
      const harness = await start({ shards: 1 });
      await harness.startRouter('one', { worker: { maxStepChanges: 50 } });
      const shape = await harness.createShape();
      await settled(harness, shape);
      const lsn = harness.commit((tx) => {
        for (let i = 0; i < 3_000; i += 1) tx.insert(harness.items, { id: String(i), owner: 'a', note: null });
      });
      await settled(harness, shape);
      const { log } = await readShape(harness.store, shape);
      expect(log).toHaveLength(3_000);
      expect(log.filter(({ message }) => message.headers.last)).toHaveLength(1);
      expect(log.at(-1)?.offset).toBe(`${lsn}_${2 * 2_999}`);
    });

    test('T53 another router goes on in the middle of a transaction', async () => {
      const harness = await start({ shards: 1 });
      const first = await harness.startRouter('one');
      const shape = await harness.createShape();
      const other = await harness.createShape({ where: `owner = 'b'` });
      await settled(harness, shape);
      harness.commit((tx) => {
        for (let i = 0; i < 100; i += 1)
          tx.insert(harness.items, { id: String(i), owner: i === 3 ? 'b' : 'a', note: null });
      });
      // All but the last records of the transaction.
      const committed = harness.stream;
      const before = (await committed.info()).lastSeq;
      const publish = committed.publish.bind(committed);
      const later: (() => Promise<unknown>)[] = [];
      let sent = 0;
      committed.publish = async (payload, options) => {
        sent += 1;
        if (sent <= 6) return publish(payload, options);
        later.push(() => publish(payload, options));
        return { kind: 'stored', seq: options.expectedLastSeq + 1 };
      };
      await harness.flush(10);
      committed.publish = publish;
      await waitFor(async () => ((await harness.store.readMeta(shape.shard))?.cursor.seq ?? 0) >= before + 6);
      const meta = await harness.store.readMeta(shape.shard);
      expect(meta?.cursor.openTxSeq).toBe(before + 1);
      await first.stop();
      const head = await harness.store.readHead(shape.shard, shape.handle);
      expect(head?.tail).toEqual({ tx: 0n, op: Infinity });
      await harness.startRouter('two');
      for (const send of later) await send();
      await settled(harness, shape);
      await settled(harness, other);
      expect(await rowsOf(harness, shape)).toEqual(expected(harness));
      expect(await rowsOf(harness, other)).toEqual(expected(harness, 'b'));
    });

    test('two routers share the shards, and one takes all when the other leaves', async () => {
      const harness = await start({ shards: 4 });
      const one = await harness.startRouter('one');
      const two = await harness.startRouter('two');
      await waitFor(
        () => one.report()['owned'] === 2 && two.report()['owned'] === 2 && one.report().ready && two.report().ready,
      );
      const shapes: PlacedShape[] = [];
      for (const owner of ['0', '1', '2', '3', '4', '5'])
        shapes.push(await harness.createShape({ where: `owner = '${owner}'` }));
      for (const shape of shapes) await settled(harness, shape);
      const write = randomWriter(11);
      for (let i = 0; i < 10; i += 1) write(harness, 5);
      await harness.flush();
      await two.stop();
      for (let i = 0; i < 10; i += 1) write(harness, 5);
      for (const shape of shapes) await settled(harness, shape);
      await waitFor(() => one.report()['owned'] === 4 && one.report().ready);
      for (const [owner, shape] of shapes.entries())
        expect(await rowsOf(harness, shape)).toEqual(expected(harness, String(owner)));
    });

    test('a router that comes later is handed its share', async () => {
      const harness = await start({ shards: 4 });
      const one = await harness.startRouter('one');
      await waitFor(() => one.report()['owned'] === 4);
      const shape = await harness.createShape();
      await settled(harness, shape);
      const two = await harness.startRouter('two');
      await waitFor(() => one.report()['owned'] === 2 && two.report()['owned'] === 2);
      randomWriter(3)(harness, 10);
      await settled(harness, shape);
      expect(await rowsOf(harness, shape)).toEqual(expected(harness));
    });

    test('a truncated table ends its shapes, and only them', async () => {
      const harness = await start();
      const others = harness.memory.createTable({
        schema: 'public',
        name: 'others',
        columns: ['id'],
        primaryKey: ['id'],
      });
      await harness.startRouter('one');
      const shape = await harness.createShape();
      const other = await harness.createShape({}, others);
      await settled(harness, shape);
      await settled(harness, other);
      harness.commit((tx) => {
        tx.insert(harness.items, { id: '1', owner: 'a', note: null });
        tx.truncate(harness.items);
        tx.insert(others, { id: '1' });
      });
      await harness.flush();
      await settled(harness, other);
      const head = await harness.store.readHead(shape.shard, shape.handle);
      expect(head).toMatchObject({ state: 'dead', error: { message: 'The table was truncated.' } });
      expect((await readShape(harness.store, other)).log).toHaveLength(1);
      const again = await harness.createShape();
      expect(again.handle).not.toBe(shape.handle);
      await settled(harness, again);
      expect(await rowsOf(harness, again)).toEqual([]);
    });

    test('a gap in the tx stream ends the shapes of the shard and then goes on', async () => {
      const harness = await start({ shards: 1 });
      const one = await harness.startRouter('one');
      const shape = await harness.createShape();
      await settled(harness, shape);
      await one.stop();
      for (let i = 0; i < 5; i += 1) {
        harness.commit((tx) => tx.insert(harness.items, { id: String(i), owner: 'a', note: null }));
        await harness.flush();
      }
      await harness.stream.trim((await harness.stream.info()).lastSeq);
      await harness.startRouter('two');
      await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'dead');
      // Until the cursor is past the gap, new shapes end as well: nothing can be said of them either.
      const { lastSeq } = await harness.stream.info();
      await waitFor(async () => ((await harness.store.readMeta(shape.shard))?.cursor.seq ?? 0) >= lastSeq - 1);
      const again = await harness.createShape();
      harness.commit((tx) => tx.insert(harness.items, { id: '9', owner: 'a', note: null }));
      await settled(harness, again);
      expect(await rowsOf(harness, again)).toEqual(expected(harness));
    });

    test('F112 a stream that began later under the same number ends the shapes, however its records fit', async () => {
      const harness = await start({ shards: 1 });
      const one = await harness.startRouter('one');
      const shape = await harness.createShape();
      const insert = (id: string) => harness.commit((tx) => tx.insert(harness.items, { id, owner: 'a', note: null }));
      insert('1');
      await settled(harness, shape);
      await one.stop();
      insert('2');
      await harness.beginAgain();
      insert('3');
      await harness.flush();
      await harness.startRouter('two');
      await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.state === 'dead');
      // What comes into being while the others are ended is ended with them, be it live already.
      let next = await harness.createShape();
      for (let more = 5; more > 0 && (await diesBeforeSettled(harness, next)); more -= 1)
        next = await harness.createShape();
      insert('4');
      await settled(harness, next);
      expect(await rowsOf(harness, next)).toEqual(expected(harness));
    });

    test('a trimmed stream is no gap when nothing of it was missing', async () => {
      const harness = await start({ shards: 1 });
      const one = await harness.startRouter('one');
      const shape = await harness.createShape();
      await settled(harness, shape);
      await one.stop();
      await harness.progress();
      await harness.progress();
      await harness.stream.trim((await harness.stream.info()).lastSeq);
      await harness.startRouter('two');
      harness.commit((tx) => tx.insert(harness.items, { id: '9', owner: 'a', note: null }));
      await settled(harness, shape);
      expect(await rowsOf(harness, shape)).toEqual(expected(harness));
    });

    test('a snapshot larger than a chunk is cut at the threshold and ends with snapshot-end', async () => {
      const harness = await start();
      harness.commit((tx) => {
        for (let i = 0; i < 1_200; i += 1)
          tx.insert(harness.items, { id: String(i), owner: 'a', note: 'x'.repeat(50) });
      });
      await harness.startRouter('one');
      const shape = await harness.createShape({ chunkBytes: 20_000 });
      await settled(harness, shape);
      const head = await harness.store.readHead(shape.shard, shape.handle);
      expect(head?.closedChunks).toBeGreaterThan(5);
      const { snapshot } = await readShape(harness.store, shape);
      expect(snapshot).toHaveLength(1_201);
      expect(snapshot.at(-1)?.headers).toMatchObject({ control: 'snapshot-end', xip_list: [] });
    });

    test('a shape with log=changes_only starts with no rows and gets the changes', async () => {
      const harness = await start();
      harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: null }));
      await harness.startRouter('one');
      const shape = await harness.createShape({ log: 'changes_only' });
      await settled(harness, shape);
      harness.commit((tx) => tx.insert(harness.items, { id: '2', owner: 'a', note: null }));
      await settled(harness, shape);
      const { snapshot, log } = await readShape(harness.store, shape);
      expect(snapshot).toHaveLength(1);
      expect(log).toHaveLength(1);
    });

    test('a shape on a table that is gone fails with the reason', async () => {
      const harness = await start();
      const gone = harness.memory.createTable({ schema: 'public', name: 'gone', columns: ['id'], primaryKey: ['id'] });
      await harness.startRouter('one');
      harness.memory.dropTable(gone.oid);
      const shape = await harness.createShape({}, gone);
      const head = await waitFor(async () => {
        const now = await harness.store.readHead(shape.shard, shape.handle);
        return now?.state === 'dead' ? now : undefined;
      });
      expect(head.error?.code).toBe('SCHEMA_CHANGED');
    });

    test('a shape that no index serves is refused where its table has enough of them', async () => {
      const harness = await start({ shards: 1 });
      await harness.startRouter('one', { quotas: { unindexableClauses: 2 } });
      const scanned = (n: number) => ({ where: `note <> owner || '${n}'` });
      const shapes = [await harness.createShape(scanned(1)), await harness.createShape(scanned(2))];
      for (const shape of shapes) await settled(harness, shape);
      harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: 'x' }));
      for (const shape of shapes) await settled(harness, shape);

      const refused = await harness.createShape(scanned(3));
      const head = await waitFor(async () => {
        const now = await harness.store.readHead(refused.shard, refused.handle);
        return now?.state === 'dead' ? now : undefined;
      });
      expect(head).toMatchObject({ snapshotStarted: false, error: { code: 'SCAN_LIMIT_EXCEEDED' } });
      const indexed = await harness.createShape({ where: `owner = 'a'` });
      harness.commit((tx) => tx.insert(harness.items, { id: '2', owner: 'a', note: 'y' }));
      for (const shape of [...shapes, indexed]) {
        await settled(harness, shape);
        expect(await rowsOf(harness, shape)).toEqual(expected(harness));
      }
    });

    test('shapes that turn out to be too many with the first change of their table end before it shows', async () => {
      const harness = await start({ shards: 1 });
      const one = await harness.startRouter('one', { quotas: { unindexableClauses: 2 } });
      harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: 'x' }));
      const shapes: PlacedShape[] = [];
      for (let n = 1; n <= 5; n += 1) shapes.push(await harness.createShape({ where: `note <> owner || '${n}'` }));
      const indexed = await harness.createShape({ where: `owner = 'a'` });
      await harness.flush();
      await harness.progress();
      const heads = async () => {
        const read = shapes.map(({ shard, handle }) => harness.store.readHead(shard, handle));
        return Promise.all(read);
      };
      await waitFor(async () => (await heads()).every((head) => head?.state === 'live' || head?.state === 'dead'));
      harness.commit((tx) => tx.insert(harness.items, { id: '2', owner: 'a', note: 'y' }));
      await settled(harness, indexed);
      const dead = (await heads()).filter((head) => head?.state === 'dead');
      expect(dead.map((head) => head?.error?.code)).toEqual(Array<string>(3).fill('SCAN_LIMIT_EXCEEDED'));
      for (const shape of shapes) {
        const head = await harness.store.readHead(shape.shard, shape.handle);
        if (head?.state !== 'dead') expect(await rowsOf(harness, shape)).toEqual(expected(harness));
        // Nothing of the change that made it one too many.
        else expect(head.tail).toEqual({ tx: 0n, op: Infinity });
      }
      expect(await rowsOf(harness, indexed)).toEqual(expected(harness));
      await waitFor(() => JSON.stringify(one.report()['tables']).includes('"scan":2'));
      expect(one.report()['tables']).toEqual([
        expect.objectContaining({ table: 'public.items', shapes: 3, byKind: { scan: 2, equality: 1 } }),
      ]);
    });

    test('a burst of new shapes and a stream of changes do not keep each other waiting', async () => {
      const harness = await start({ shards: 1 });
      await harness.startRouter('one', { worker: { lingerMs: 5 } });
      const write = randomWriter(5);
      const shapes: PlacedShape[] = [];
      for (let i = 0; i < 100; i += 1) {
        shapes.push(await harness.createShape({ where: `owner = '${i % 3}' AND id <> 'x${i}'` }));
        write(harness, 3);
        await harness.flush(2);
      }
      for (const [i, shape] of shapes.entries()) {
        if (i % 20 === 0 || i === shapes.length - 1) await settled(harness, shape);
      }
      for (const i of [0, 20, 40, 60, 80, 99]) {
        const shape = shapes[i] as PlacedShape;
        await settled(harness, shape);
        expect(await rowsOf(harness, shape)).toEqual(expected(harness, String(i % 3)));
      }
    });

    test('a router that takes over many shapes of a table goes on where the other one stopped', async () => {
      const harness = await start({ shards: 1 });
      const first = await harness.startRouter('one');
      const shapes: PlacedShape[] = [];
      for (let i = 0; i < 600; i += 1) shapes.push(await harness.createShape({ where: `owner = 'o${i}'` }));
      const some = [0, 255, 256, 599];
      for (const i of some) await settled(harness, shapes[i] as PlacedShape);
      await first.stop();
      harness.commit((tx) => {
        for (const i of some) tx.insert(harness.items, { id: String(i), owner: `o${i}`, note: null });
      });
      await harness.startRouter('two');
      for (const i of some) {
        const shape = shapes[i] as PlacedShape;
        await settled(harness, shape);
        expect(await rowsOf(harness, shape)).toEqual(expected(harness, `o${i}`));
        expect(expected(harness, `o${i}`)).toHaveLength(1);
      }
    });

    test('readers are told of new entries and of the end of a shape', async () => {
      const harness = await start({ shards: 1 });
      await harness.startRouter('one');
      const shape = await harness.createShape();
      await settled(harness, shape);
      const told: string[] = [];
      const subject = shardHintSubject(harness.source, 1, 0);
      harness.messaging.hints.subscribe(
        subject,
        (payload) => void told.push(Buffer.from(payload).toString()),
        () => {},
      );
      harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: null }));
      await settled(harness, shape);
      await waitFor(() => told.length > 0);
      expect(told).toContain(JSON.stringify({ handles: [shape.handle] }));
    });

    test('answers what a table looks like', async () => {
      const harness = await start();
      await harness.startRouter('one');
      const { signal } = new AbortController();
      const ask = (table: string) =>
        harness.messaging.rpc.call(
          `shapecast.rpc.${harness.source}.introspect`,
          { schema: 'public', table },
          { timeoutMs: 5_000, signal },
        );
      expect(await ask('items')).toMatchObject({ oid: harness.items.oid, name: 'items' });
      expect(await ask('nothing')).toBeNull();
    });
  });
}
