import { expect, test } from 'vitest';
import { SampleLedger } from './ledger.ts';
import { Metrics, type Sample } from './metrics.ts';

const fenced = (metrics: Metrics, source: string) => metrics.counter('shapecast.replicator.fenced.count', { source });

function valuesOf(samples: readonly Sample[], name: Sample['name']): Readonly<Record<string, number | undefined>> {
  return Object.fromEntries(
    samples.filter((one) => one.name === name).map(({ labels, value, sum }) => [labels.join(), value ?? sum]),
  );
}

test('what several threads have counted is added up, and of gauges what the table says', () => {
  const ledger = new SampleLedger(10);
  const threads = [new Metrics(), new Metrics()];
  for (const [i, metrics] of threads.entries()) {
    ledger.include(() => metrics.collect());
    fenced(metrics, 'a').add(i + 1);
    metrics.gauge('shapecast.replicator.leader', { source: 'a' }, () => 1);
    metrics.gauge('shapecast.replicator.epoch', { source: 'a' }, () => 5 + i);
    metrics.histogram('shapecast.replicator.publish.latency', {}).record(2);
  }
  const samples = ledger.collect();
  expect(valuesOf(samples, 'shapecast.replicator.fenced.count')).toEqual({ a: 3 });
  expect(valuesOf(samples, 'shapecast.replicator.leader')).toEqual({ a: 2 });
  expect(valuesOf(samples, 'shapecast.replicator.epoch')).toEqual({ a: 6 });
  const [latency] = samples.filter(({ name }) => name === 'shapecast.replicator.publish.latency');
  expect(latency?.sum).toBe(4);
  expect(latency?.counts?.reduce((all, one) => all + one, 0)).toBe(2);
});

test('sums do not go back when a thread ends and another one takes its place', () => {
  const ledger = new SampleLedger(10);
  const first = new Metrics();
  const ended = ledger.include(() => first.collect());
  fenced(first, 'a').add(7);
  first.gauge('shapecast.replicator.leader', { source: 'a' }, () => 1);
  first.histogram('shapecast.replicator.publish.latency', {}).record(3);
  ended();
  ended();
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual({ a: 7 });
  const second = new Metrics();
  ledger.include(() => second.collect());
  fenced(second, 'a').add(1);
  second.histogram('shapecast.replicator.publish.latency', {}).record(4);
  const samples = ledger.collect();
  expect(valuesOf(samples, 'shapecast.replicator.fenced.count')).toEqual({ a: 8 });
  expect(valuesOf(samples, 'shapecast.replicator.publish.latency')).toEqual({ '': 7 });
  // What it was is over; what it had counted is not.
  expect(valuesOf(samples, 'shapecast.replicator.leader')).toEqual({});
});

test('asking changes nothing of what is counted', () => {
  const ledger = new SampleLedger(10);
  const metrics = new Metrics();
  ledger.include(() => metrics.collect());
  metrics.histogram('shapecast.replicator.publish.latency', {}).record(3);
  ledger.include(() => metrics.collect())();
  expect(ledger.collect()).toEqual(ledger.collect());
});

test('threads that have more sources together than are told apart share the rest', () => {
  const ledger = new SampleLedger(3);
  for (const names of [
    ['a', 'b'],
    ['c', 'd'],
    ['a', 'e'],
  ]) {
    const metrics = new Metrics({ maxSources: 3 });
    for (const name of names) fenced(metrics, name).add();
    ledger.include(() => metrics.collect());
  }
  const expected = { a: 2, b: 1, c: 1, other: 2 };
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual(expected);
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual(expected);
});

test('a source that is gone makes room, and those that were told apart go on to be', () => {
  const ledger = new SampleLedger(2);
  const threads = ['a', 'b', 'c'].map((name) => {
    const metrics = new Metrics();
    fenced(metrics, name).add();
    ledger.include(() => metrics.collect());
    return metrics;
  });
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual({ a: 1, b: 1, other: 1 });
  threads[0]?.forgetSource('a');
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual({ b: 1, c: 1 });
});

test('what ended threads had counted of a source that is gone is forgotten', () => {
  const ledger = new SampleLedger(2);
  const metrics = new Metrics();
  fenced(metrics, 'a').add();
  fenced(metrics, 'b').add();
  ledger.include(() => metrics.collect())();
  ledger.forgetSource('a');
  expect(valuesOf(ledger.collect(), 'shapecast.replicator.fenced.count')).toEqual({ b: 1 });
});
