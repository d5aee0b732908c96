import { silentLogger, systemClock } from '@shapecast/service-kit';
import type { ShapeFailure, ShapeHead, ShapeState } from '@shapecast/shape-store';
import { ownTelemetry } from '@shapecast/telemetry';
import { waitFor } from '@shapecast/testkit';
import { expect, test } from 'vitest';
import { ShapeCensus } from './shape-census.ts';
import { SourceMetrics } from './source-metrics.ts';

const SHARD = { source: 's', incarnation: 1, shard: 0 };
const DELETED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'The shape was deleted through the API.' };
const EXPIRED: ShapeFailure = { code: 'SHAPE_EXPIRED', message: 'There were more shapes than ELECTRIC_MAX_SHAPES.' };
const TRUNCATED: ShapeFailure = { code: 'SCHEMA_CHANGED', message: 'The table was truncated.' };
const FAILED: ShapeFailure = { code: 'SNAPSHOT_FAILED', message: 'Unable to create initial snapshot: no' };

function world(failures: Readonly<Record<string, ShapeFailure>>) {
  const telemetry = ownTelemetry();
  let asked = 0;
  const readHeads = async (_shard: unknown, handles: readonly string[]) => {
    asked += 1;
    return handles.map((handle) => ({ handle, error: failures[handle] }) as ShapeHead);
  };
  const metrics = new SourceMetrics(telemetry, systemClock, 's');
  const census = new ShapeCensus({ store: { readHeads }, metrics, log: silentLogger }, SHARD);
  const value = (name: string, reason?: string) =>
    telemetry.metrics
      .collect()
      .filter((sample) => sample.name === name && (reason === undefined || sample.labels.includes(reason)))
      .reduce((sum, sample) => sum + (sample.value ?? 0), 0);
  return { census, value, asked: () => asked };
}

function known(states: Readonly<Record<string, ShapeState>>) {
  return {
    get: (handle: string) => {
      const state = states[handle];
      return state === undefined ? undefined : { record: { state } };
    },
  };
}

const dead = (...handles: readonly string[]) => handles.map((handle) => ({ handle, state: 'dead' as const }));

test('new shapes are counted once, and those that are dead when they are first seen are not', () => {
  const { census, value } = world({});
  census.changed([{ handle: 'a', state: 'creating' }, { handle: 'b', state: 'live' }, ...dead('c')], known({}));
  census.changed([{ handle: 'a', state: 'live' }], known({ a: 'creating', b: 'live' }));
  expect(value('shapecast.shapes.created.count')).toBe(2);
});

test('what the owner ends is counted by it, and not again when the store says so', () => {
  const { census, value, asked } = world({ a: TRUNCATED });
  census.ended('a', TRUNCATED);
  census.changed(dead('a'), known({ a: 'live' }));
  expect(value('shapecast.shapes.rotated.count', 'truncated')).toBe(1);
  expect(asked()).toBe(0);
});

test('what others end is counted by why its head says it ended, but for what is counted elsewhere', async () => {
  const { census, value, asked } = world({ a: DELETED, b: EXPIRED, c: FAILED, d: TRUNCATED });
  census.changed(dead('a', 'b', 'c', 'd'), known({ a: 'live', b: 'live', c: 'snapshotting', d: 'live' }));
  await waitFor(() => value('shapecast.shapes.rotated.count') === 1);
  expect(asked()).toBe(1);
  expect(value('shapecast.shapes.removed.count', 'deleted')).toBe(1);
  expect(value('shapecast.shapes.removed.count')).toBe(1);
  expect(value('shapecast.shapes.rotated.count', 'truncated')).toBe(1);
});
