import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { SnapshotSink, SourceDatabase } from '@shapecast/change-source';
import type { Lsn, Relation, RelationPublished } from '@shapecast/log';
import { BUCKETS, openMemoryMessaging, usageKey, type Registry, type UsageRecord } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { ShapeRecord } from '@shapecast/shape-store';
import { waitFor } from '@shapecast/testkit';
import { ancestorViews } from '../matching/ancestor-view.ts';
import { ShardIndex } from '../matching/shard-index.ts';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { ITEMS, itemShape } from '../testing/model.ts';
import { readShape } from '../testing/read-shape.ts';
import { PublicationWatch } from './publication-watch.ts';
import { UsageReport } from './usage-report.ts';

const never = new AbortController().signal;
const OID = 100;

function shape(published: string | undefined, xmax = 50n, xip: bigint[] = [], oid = OID): ShapeRecord {
  const snapshot = { xmin: xmax, xmax, xip, insertLsn: 0n as Lsn, ...(published === undefined ? {} : { published }) };
  return itemShape({ oid }, { snapshot });
}

describe('a table that the stream describes as published by something else', () => {
  const PUBLISHED = { xmax: 100n, running: 0, by: 'rel:2', above: [] };
  const described = (published: RelationPublished): Relation => ({ ...ITEMS, columns: [...ITEMS.columns], published });

  function endedBy(index: ShardIndex, relation: Relation): string[] {
    index.table(relation);
    return [...index.ending.keys()].map(({ handle }) => handle).sort();
  }

  test('has the shapes end that missed changes, before the change is matched, and no newer ones', () => {
    const index = new ShardIndex();
    const shapes = [shape('rel:1'), shape('rel:2'), shape('rel:1 rel:2'), shape('rel:1', 101n), shape(undefined)];
    index.reset(shapes);
    const first = shapes[0]?.handle ?? '';
    expect(endedBy(index, ITEMS)).toEqual([]);
    expect(endedBy(index, described(PUBLISHED))).toEqual([first]);
    expect([...index.ending.values()]).toEqual([
      { code: 'SCHEMA_CHANGED', message: 'The table was not published all the time.' },
    ]);
  });

  test('has a shape end whose snapshot comes to be known later', () => {
    const index = new ShardIndex();
    const waiting = shape('rel:2');
    const { snapshot, ...unknown } = shape('rel:1');
    index.reset([waiting, unknown]);
    expect(endedBy(index, described(PUBLISHED))).toEqual([]);
    index.apply([{ ...unknown, ...(snapshot && { snapshot }) }]);
    expect([...index.ending.keys()].map(({ handle }) => handle)).toEqual([unknown.handle]);
  });

  test('has the shapes of the tables above it end, each by what is said of its own', () => {
    const index = new ShardIndex();
    const [above, below] = [shape('rel:1'), shape('rel:1', 50n, [], 900)];
    index.reset([above, below]);
    const relation: Relation = {
      ...described({ ...PUBLISHED, by: 'rel:1', above: ['rel:7'] }),
      oid: 900,
      ancestors: [{ oid: OID, keyColumns: ITEMS.keyColumns }],
    };
    for (const view of ancestorViews(relation)) index.table(view.relation);
    expect(endedBy(index, relation)).toEqual([above.handle]);
  });

  test('looks at its shapes once, however often it is described', () => {
    const index = new ShardIndex();
    const shapes = Array.from({ length: 10 }, () => shape('rel:2'));
    index.reset(shapes);
    let looks = 0;
    const original = index.shapesOn.bind(index);
    index.shapesOn = (oid) => ((looks += 1), original(oid));
    for (let i = 0; i < 5; i += 1) index.table(described(PUBLISHED));
    expect(looks).toBe(1);
  });
});

describe('the watch over how tables are published', () => {
  /** Which of the shapes end when the catalog looks like this. */
  async function ended(
    shapes: readonly ShapeRecord[],
    sight: { readonly published?: string; readonly xmax?: bigint; readonly running?: number },
  ): Promise<number[]> {
    const index = new ShardIndex();
    index.reset(shapes);
    let woken = 0;
    const { xmax = 100n, running = 0, published } = sight;
    const tables = new Map(published === undefined ? [] : [[OID, published] as const]);
    const database = { publication: { sight: async () => ({ moment: { xmax, running }, tables }) } };
    const watch = new PublicationWatch(
      {
        database: database as unknown as Pick<SourceDatabase, 'publication'>,
        clock: systemClock,
        log: silentLogger,
        shards: () => [{ index, wake: () => (woken += 1) }],
      },
      { intervalMs: 1 },
    );
    await watch.look(never);
    const handles = new Set([...index.ending.keys()].map(({ handle }) => handle));
    expect(woken).toBe(handles.size > 0 ? 1 : 0);
    return shapes.flatMap(({ handle }, i) => (handles.has(handle) ? [i] : []));
  }

  test('ends shapes whose table is published by something else than their snapshot saw, or by nothing', async () => {
    const shapes = [shape('rel:1'), shape('rel:2'), shape('rel:1 rel:3'), shape('all:9')];
    expect(await ended(shapes, { published: 'rel:1 schema:4' })).toEqual([1, 3]);
    expect(await ended(shapes, { published: '' })).toEqual([0, 1, 2, 3]);
    expect(await ended(shapes, { published: 'rel:3 all:9' })).toEqual([0, 1]);
  });

  test('leaves alone what it cannot judge: newer snapshots, shapes that know nothing, tables that are gone', async () => {
    const look = { published: '', xmax: 50n, running: 1 };
    expect(await ended([shape('rel:1', 49n), shape('rel:1', 50n, [40n]), shape('rel:1', 51n)], look)).toEqual([0, 1]);
    expect(await ended([shape('rel:1', 50n)], look)).toEqual([]);
    expect(await ended([shape(undefined)], { published: '' })).toEqual([]);
    expect(await ended([itemShape({}, {})], { published: '' })).toEqual([]);
    expect(await ended([shape('rel:1')], {})).toEqual([]);
  });
});

describe('the report of the tables in use', () => {
  const id = { source: 's', incarnation: 3 };
  let usages: Registry<UsageRecord>;
  let messaging: ReturnType<typeof openMemoryMessaging>;

  beforeEach(async () => {
    messaging = openMemoryMessaging(systemClock);
    const { name, ttlMs } = BUCKETS.usages;
    usages = await messaging.registries.open<UsageRecord>(name, { ttlMs });
  });

  function reporting(shards: readonly { index: ShardIndex; shard: { shard: number }; epoch: number | undefined }[]) {
    return new UsageReport(
      { registries: messaging.registries, clock: systemClock, log: silentLogger, shards: () => shards },
      id,
    );
  }

  const of = async (shard: number) => (await usages.get(usageKey('s', 3, shard)))?.value;

  test('tells each owned shard’s tables, with by what a live shape says they are published', async () => {
    const [empty, used] = [new ShardIndex(), new ShardIndex()];
    used.reset([shape(undefined), { ...shape('rel:7'), state: 'live' }]);
    const report = reporting([
      { index: empty, shard: { shard: 0 }, epoch: 1 },
      { index: used, shard: { shard: 1 }, epoch: 4 },
      { index: used, shard: { shard: 2 }, epoch: undefined },
    ]);
    await report.write();
    expect([await of(0), await of(1), await of(2)]).toEqual([
      { epoch: 1, tables: [] },
      { epoch: 4, tables: [[OID, 'rel:7']] },
      undefined,
    ]);
    empty.reset([{ ...shape('rel:7'), state: 'snapshotting' }]);
    used.reset([]);
    await report.write();
    expect([(await of(0))?.tables, (await of(1))?.tables]).toEqual([[[OID, '']], []]);
  });

  test('does not overwrite what a later owner told, and overwrites what an earlier one did', async () => {
    const index = new ShardIndex();
    index.reset([shape('rel:7')]);
    for (const [epoch, kept] of [
      [9, 9],
      [4, 5],
    ] as const) {
      await usages.put(usageKey('s', 3, 0), { epoch, tables: [] });
      await reporting([{ index, shard: { shard: 0 }, epoch: 5 }]).write();
      expect((await of(0))?.epoch).toBe(kept);
    }
  });
});

describe('a router whose tables are taken out of the publication', () => {
  let harness: Harness;

  beforeEach(async () => {
    harness = new Harness();
    await harness.open();
  });
  afterEach(() => harness.close());

  const insert = (id: string) => {
    harness.commit((transaction) => transaction.insert(harness.items, { id, owner: 'a', note: 'n' }));
  };

  const stateOf = async ({ shard, handle }: PlacedShape) => (await harness.store.readHead(shard, handle))?.state;

  async function live(placed: PlacedShape): Promise<void> {
    await waitFor(async () => (await stateOf(placed)) === 'live');
  }

  test('ends the shapes that missed something, and leaves those that began after it', async () => {
    await harness.startRouter('one', { catalogCheckMs: 50 });
    const first = await harness.createShape();
    await live(first);
    harness.memory.unpublish(harness.items.oid);
    insert('missed');
    harness.memory.publish(harness.items.oid);
    await waitFor(async () => (await stateOf(first)) === 'dead');
    const second = await harness.createShape();
    expect(second.handle).not.toBe(first.handle);
    await live(second);
    insert('later');
    await harness.flush();
    await waitFor(async () => (await readShape(harness.store, second)).rows.size === 2);
    expect(await stateOf(second)).toBe('live');
  });

  test('uses no snapshot that was taken under another membership than the replicator vouched for', async () => {
    insert('before');
    const { database, memory, items } = harness;
    let snapshots = 0;
    const snapshot = database.snapshot.bind(database);
    database.snapshot = (request, sink, signal) => {
      const watching: SnapshotSink = {
        ...sink,
        onSnapshot: async (info, about) => {
          snapshots += 1;
          const answer = await sink.onSnapshot(info, about);
          if (snapshots <= 2) expect(answer).toBe('retry');
          return answer;
        },
        onRows: (rows) => sink.onRows(rows),
      };
      // Published, answered, taken out again; and a writer that nobody waited for.
      memory.unpublish(items.oid);
      insert('unseen by the stream');
      memory.publish(items.oid);
      return snapshot(request, watching, signal);
    };
    await harness.startRouter('one', { catalogCheckMs: 50 });
    const placed = await harness.createShape();
    await live(placed);
    expect(snapshots).toBeGreaterThan(1);
    expect((await readShape(harness.store, placed)).rows.size).toBe(2);
    const { name, ttlMs } = BUCKETS.usages;
    const usages = await harness.messaging.registries.open<UsageRecord>(name, { ttlMs });
    await waitFor(async () =>
      (await usages.list(harness.source)).some(({ value }) => value.tables.some(([oid]) => oid === items.oid)),
    );
  });
});
