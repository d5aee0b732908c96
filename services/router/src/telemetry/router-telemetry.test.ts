import { METRICS, Metrics, type MetricName } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Harness, type PlacedShape } from '../testing/harness.ts';
import { TestTracing } from '../testing/spans.ts';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
/** Of the process, or of a Redis that there is none of here. */
const ELSEWHERE =
  /^(process|system|nodejs|v8js|vm)\.|shapecast\.(redis|build|ready|bus|state_events|log\.dropped|telemetry)/;
/** Only there once the thing has happened. */
const ON_OCCASION: ReadonlySet<string> = new Set([
  'electric.shape_db.pool.checkout.queue_time',
  'electric.flush_tracker.writer_down.count',
  'shapecast.shapes.rotated.count',
  'shapecast.shapes.removed.count',
  'shapecast.router.unowned_shards',
]);

describe('what a router tells', () => {
  let harness: Harness;
  let metrics: Metrics;
  let tracing: TestTracing;

  beforeEach(async () => {
    harness = new Harness({ shards: 2 });
    metrics = new Metrics();
    tracing = new TestTracing();
    await harness.open();
  });

  afterEach(() => harness.close());

  async function start() {
    const router = await harness.startRouter('one', {}, { telemetry: { metrics, tracing } });
    await waitFor(() => router.brief().ready);
    return router;
  }

  function value(name: MetricName, label?: string): number {
    const samples = metrics
      .collect()
      .filter((sample) => sample.name === name && (label === undefined || sample.labels.includes(label)));
    return samples.reduce((sum, sample) => sum + (sample.value ?? sample.counts?.reduce((a, b) => a + b, 0) ?? 0), 0);
  }

  async function live({ shard, handle }: PlacedShape): Promise<void> {
    await waitFor(async () => (await harness.store.readHead(shard, handle))?.state === 'live');
  }

  async function write(id: number, traceparent?: string): Promise<void> {
    harness.commit((tx) => tx.insert(harness.items, { id: String(id), owner: 'o', note: 'n' }));
    await harness.flush(500, traceparent);
  }

  test('every metric of routers is there, and counts what happened', async () => {
    await write(1);
    await start();
    const shape = await harness.createShape();
    await live(shape);
    await write(2);
    await write(3);
    await waitFor(() => value('electric.storage.transaction_stored.operations') === 2);
    expect(value('shapecast.shapes.created.count')).toBe(1);
    expect(value('electric.storage.snapshot_stored.count')).toBe(1);
    expect(value('electric.storage.snapshot_stored.operations')).toBe(1);
    expect(value('electric.storage.snapshot_stored.bytes')).toBeGreaterThan(20);
    expect(value('electric.shape_snapshot.create_snapshot_task.stop.duration')).toBe(1);
    expect(value('electric.storage.make_new_snapshot.stop.duration')).toBe(1);
    expect(value('shapecast.snapshot.publication_gap_wait')).toBe(1);
    expect(value('electric.storage.transaction_stored.bytes')).toBeGreaterThan(100);
    expect(value('shapecast.e2e.stage', 'apply')).toBeGreaterThanOrEqual(1);
    expect(value('electric.shapes.total_shapes.count')).toBe(1);
    expect(value('shapecast.router.shards')).toBe(2);
    expect(value('shapecast.router.rebalances.count', 'acquired')).toBe(2);
    await waitFor(() => value('shapecast.router.catching_up') === 0 && value('shapecast.router.lag.seconds') === 0);

    const told = new Set<string>(metrics.collect().map(({ name }) => name));
    const missing = (Object.keys(METRICS) as MetricName[]).filter((name) => {
      const roles: readonly string[] = METRICS[name].roles;
      return roles.includes('router') && !told.has(name) && !ELSEWHERE.test(name) && !ON_OCCASION.has(name);
    });
    expect(missing).toEqual([]);
  });

  test('the newest entry of a shape says when it was committed, published and applied, and whose trace it belongs to', async () => {
    await start();
    const shape = await harness.createShape();
    await live(shape);
    const before = Date.now();
    await write(1, TRACEPARENT);
    const note = await waitFor(async () => (await harness.store.readHead(shape.shard, shape.handle))?.note);
    expect(note).toMatchObject({ committedMs: 0, traceparent: TRACEPARENT });
    expect(note.publishedMs).toBeGreaterThanOrEqual(before - 1);
    expect(note.appliedMs).toBeGreaterThanOrEqual(note.publishedMs - 1);
    expect(note.appliedMs).toBeLessThanOrEqual(Date.now() + 1);
  });

  test('a traced transaction has the spans of its application below it, where a shape gets it', async () => {
    await start();
    const shape = await harness.createShape();
    await live(shape);
    tracing.spans.length = 0;
    await write(1);
    await write(2, TRACEPARENT);
    await waitFor(() => tracing.named('redis.script').some(({ ended }) => ended));
    const [handled] = tracing.named('shape_write.consumer.handle_txn');
    expect(handled?.start.parent).toBe(TRACEPARENT);
    expect(handled?.attributes).toMatchObject({ source_id: harness.source, shard: shape.shard.shard, shapes: 1 });
    expect(tracing.spans.map(({ name }) => name)).toEqual([
      'shape_write.consumer.handle_txn',
      'router.apply',
      'redis.script',
    ]);
    expect(tracing.spans.every(({ ended, failed }) => ended && !failed)).toBe(true);
  });

  test('a snapshot is traced below the request that wanted it', async () => {
    await start();
    const shape = await harness.createShape({ traceparent: TRACEPARENT });
    await live(shape);
    await waitFor(() => tracing.named('shape_snapshot.create_snapshot_task')[0]?.ended === true);
    const [task] = tracing.named('shape_snapshot.create_snapshot_task');
    expect(task?.start.parent).toBe(TRACEPARENT);
    expect(task?.attributes).toMatchObject({ 'shape.handle': shape.handle, rows: 0 });
    const names = tracing.spans.map(({ name }) => name);
    for (const name of ['checkout_wait', 'prepare_tables', 'execute_for_shape', 'query_fn']) {
      expect(names).toContain(`shape_snapshot.${name}`);
    }
    expect(names).toContain('storage.make_new_snapshot');
    expect(tracing.spans.every(({ ended }) => ended)).toBe(true);
  });

  test('shapes that end are counted by why, also when somebody else ends them', async () => {
    await start();
    const [first, second] = [await harness.createShape(), await harness.createShape({ where: "owner = 'o'" })];
    await live(first);
    await live(second);
    await harness.store.rotate(first.shard, first.handle, {
      code: 'SCHEMA_CHANGED',
      message: 'The shape was deleted through the API.',
    });
    await waitFor(() => value('shapecast.shapes.removed.count', 'deleted') === 1);
    harness.commit((tx) => tx.truncate(harness.items));
    await harness.flush();
    await waitFor(() => value('shapecast.shapes.rotated.count', 'truncated') === 1);
    expect(value('shapecast.shapes.removed.count')).toBe(1);
  });

  test('a router that stops shows nothing any more, and says that it gave its shards up', async () => {
    const router = await start();
    expect(value('shapecast.router.shards')).toBe(2);
    await router.stop();
    const names = new Set(metrics.collect().map(({ name }) => name));
    expect(names.has('shapecast.router.shards')).toBe(false);
    expect(value('electric.flush_tracker.writer_down.count', 'shutdown')).toBe(2);
  });
});
