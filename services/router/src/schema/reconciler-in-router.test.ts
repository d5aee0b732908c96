import type { SnapshotRequest, SnapshotSink, SourceDatabase } from '@shapecast/change-source';
import { ddlHintSubject } from '@shapecast/messaging';
import type { RelationInfo } from '@shapecast/shape';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';

const open: Harness[] = [];
const NEVER_MS = 86_400_000;

afterEach(async () => {
  for (const harness of open.splice(0)) await harness.close();
});

async function start(): Promise<Harness> {
  const harness = new Harness({ shards: 1 });
  open.push(harness);
  await harness.open();
  return harness;
}

const head = ({ store }: Harness, { shard, handle }: PlacedShape) => store.readHead(shard, handle);

/** The harness's database with some of its answers changed. */
function changed(harness: Harness, members: Partial<SourceDatabase>): SourceDatabase {
  return new Proxy<SourceDatabase>(harness.database, {
    get(target, name) {
      const member: unknown = Reflect.get(name in members ? members : target, name);
      return typeof member === 'function' ? (member as () => unknown).bind(target) : member;
    },
  });
}

test('T38 a table that changes between the request and the snapshot gets no snapshot', async () => {
  const harness = await start();
  let retyped = false;
  const database = changed(harness, {
    introspect: async (): Promise<RelationInfo> => ({
      ...harness.items,
      columns: harness.items.columns.map((column) => (retyped ? { ...column, typeOid: 23 } : column)),
    }),
    // The table changes once the snapshot has begun, before it is fixed.
    snapshot: async (request: SnapshotRequest, sink: SnapshotSink, signal: AbortSignal) => {
      retyped = true;
      await harness.database.snapshot(request, sink, signal);
    },
  });
  await harness.startRouter('r1', {}, { database });
  harness.commit((tx) => tx.insert(harness.items, { id: '1', owner: 'a', note: 'x' }));
  const shape = await harness.createShape();
  const dead = await waitFor(async () => {
    const now = await head(harness, shape);
    return now?.state === 'dead' ? now : undefined;
  });
  expect(dead.error?.code).toBe('SCHEMA_CHANGED');
  expect(dead.snapshotStarted).toBe(false);
});

test('a router that is told of DDL looks at once', async () => {
  const harness = await start();
  await harness.startRouter('r1', { catalogCheckMs: NEVER_MS });
  const shape = await harness.createShape();
  await waitFor(async () => (await head(harness, shape))?.state === 'live');
  harness.memory.dropTable(harness.items.oid);
  harness.messaging.hints.publish(ddlHintSubject(harness.source), new Uint8Array());
  await waitFor(async () => (await head(harness, shape))?.state === 'dead');
});
