import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DATA_LOST } from '@shapecast/shape-store';
import { describe, expect, test } from 'vitest';
import { POISON } from '../matching/step.ts';
import { TREE_CHANGED } from '../matching/shard-index.ts';
import { UNPUBLISHED } from '../publication/breaks.ts';
import { endReason } from './end-reason.ts';

const SOURCES = fileURLToPath(new URL('..', import.meta.url));

describe('why a shape ended', () => {
  test('is told apart by what the store keeps of it', () => {
    expect(endReason(POISON)).toEqual({ kind: 'rotated', reason: 'poison' });
    expect(endReason(TREE_CHANGED)).toEqual({ kind: 'rotated', reason: 'partitions_changed' });
    expect(endReason(UNPUBLISHED)).toEqual({ kind: 'rotated', reason: 'unpublished' });
    expect(endReason(DATA_LOST)).toEqual({ kind: 'rotated', reason: 'storage_lost' });
    expect(endReason({ code: 'SCHEMA_CHANGED', message: 'column "a" was dropped' }).reason).toBe('schema_changed');
    expect(endReason({ code: 'SCHEMA_CHANGED', message: 'The shape was deleted by an operator.' })).toEqual({
      kind: 'removed',
      reason: 'deleted',
    });
    expect(endReason({ code: 'LOG_TOO_LARGE', message: 'The log of the shape has 7 bytes.' }).reason).toBe('too_large');
    expect(endReason({ code: 'SHAPE_EXPIRED', message: 'The source has no room.' }).reason).toBe('quota');
    expect(endReason({ code: 'SNAPSHOT_TOO_LARGE', message: 'x' }).reason).toBe('snapshot_failed');
  });

  // A text that is changed in one place and not in the other would count for something else, and nobody would notice.
  test('is known for every end that the router makes', () => {
    const texts = readdirSync(SOURCES, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !/\.(test|contract|bench)\.ts$|testing|telemetry/.test(name))
      .map((name) => readFileSync(`${SOURCES}/${name}`, 'utf8'))
      .flatMap((text) => [...text.matchAll(/code: '([A-Z_]+)'[^,]*,\s+message:\s+'([^']+)'/g)])
      .map(([, code = '', message = '']) => ({ code, message }));
    expect(texts.length).toBeGreaterThanOrEqual(10);
    const reasons = texts.map((failure) => [failure.message, endReason(failure).reason] as const);
    const unspecific = reasons.filter(([, reason]) => reason === 'schema_changed').map(([message]) => message);
    expect(unspecific).toEqual([]);
    expect(new Set(reasons.map(([, reason]) => reason))).toEqual(
      new Set([
        ...['truncated', 'unusable_change', 'poison', 'stream_gap', 'stalled', 'partitions_changed', 'unpublished'],
        ...['snapshot_failed', 'expired', 'memory', 'quota'],
      ]),
    );
  });
});
