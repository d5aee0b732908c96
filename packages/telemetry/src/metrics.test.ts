import { expect, test } from 'vitest';
import { Metrics, type Sample } from './metrics.ts';

function labelled(samples: readonly Sample[]): readonly string[] {
  return samples.map(({ name, labels, value }) => `${name} ${labels.join()} ${value}`);
}

test('one cell belongs to a name with its labels, whoever asks', () => {
  const metrics = new Metrics();
  const cell = metrics.counter('shapecast.publication.actions.count', { source: 'a', action: 'add' });
  cell.add();
  metrics.counter('shapecast.publication.actions.count', { action: 'add', source: 'a' }).add(2);
  metrics.counter('shapecast.publication.actions.count', { source: 'a', action: 'remove' }).add();
  expect(labelled(metrics.collect())).toEqual([
    'shapecast.publication.actions.count a,add 3',
    'shapecast.publication.actions.count a,remove 1',
  ]);
});

test('sources beyond those that are told apart share one value, until there is room', () => {
  const metrics = new Metrics({ maxSources: 2 });
  for (const source of ['a', 'b', 'c', 'd']) metrics.counter('shapecast.replicator.fenced.count', { source }).add();
  const name = 'shapecast.replicator.fenced.count';
  expect(labelled(metrics.collect())).toEqual([`${name} a 1`, `${name} b 1`, `${name} other 2`]);
  metrics.forgetSource('a');
  metrics.counter(name, { source: 'd' }).add();
  expect(labelled(metrics.collect())).toEqual([`${name} b 1`, `${name} other 2`, `${name} d 1`]);
});

test('memory does not grow with what is measured, nor with being asked', () => {
  const metrics = new Metrics({ maxSources: 10 });
  for (let i = 0; i < 10_000; i += 1) {
    metrics.counter('shapecast.replicator.fenced.count', { source: `source-${i}` }).add();
    metrics.histogram('shapecast.replicator.publish.latency', {}).record(i);
  }
  expect(metrics.collect()).toHaveLength(10 + 1 + 1);
});

test('a gauge is asked when somebody looks, and says nothing when it has nothing to say', () => {
  const metrics = new Metrics();
  let value: number | undefined;
  const end = metrics.gauge('shapecast.slot.safe_wal_size', { source: 'a' }, () => value);
  expect(metrics.collect()).toEqual([]);
  value = Number.NaN;
  expect(metrics.collect()).toEqual([]);
  value = 0;
  expect(labelled(metrics.collect())).toEqual(['shapecast.slot.safe_wal_size a 0']);
  end();
  expect(metrics.collect()).toEqual([]);
});

test('gauges of several parts with the same labels are added, or the highest counts, as the table says', () => {
  const metrics = new Metrics();
  for (const value of [2, 5, 3]) {
    metrics.gauge('shapecast.router.shards', { source: 'a' }, () => value);
    metrics.gauge('shapecast.router.lag.seconds', { source: 'a' }, () => value);
  }
  expect(labelled(metrics.collect())).toEqual(['shapecast.router.shards a 10', 'shapecast.router.lag.seconds a 5']);
});

test('O 6.1.4 a gauge that cannot be read keeps nobody from the others, and is counted', () => {
  const metrics = new Metrics();
  metrics.gauge('shapecast.router.shards', { source: 'a' }, () => {
    throw new Error('gone');
  });
  metrics.gauge('shapecast.router.shards', { source: 'b' }, () => 2);
  expect(labelled(metrics.collect())).toEqual(['shapecast.router.shards b 2']);
  expect(labelled(metrics.collect())).toContain('shapecast.telemetry.dropped.count not_readable 1');
});
