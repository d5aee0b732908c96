import { expect, test } from 'vitest';
import { decodeShardHint, encodeShardHint } from './shard-hint.ts';

test('handles come back as they went', () => {
  expect(decodeShardHint(encodeShardHint(['1-2', '3-4']))).toEqual({ handles: ['1-2', '3-4'] });
});

test('more than a thousand handles become a hint to check all', () => {
  const handles = Array.from({ length: 1_001 }, (_, i) => String(i));
  expect(decodeShardHint(encodeShardHint(handles))).toEqual({ many: true });
  expect(decodeShardHint(encodeShardHint(handles.slice(1)))).toEqual({ handles: handles.slice(1) });
});

test('a hint that cannot be read is a hint to check all', () => {
  expect(decodeShardHint(new TextEncoder().encode('{"han'))).toEqual({ many: true });
});
