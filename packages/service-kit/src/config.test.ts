import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isShapecastError } from '@shapecast/errors';
import { bytes, count, flag, milliseconds } from './config-formats.ts';
import { parseConfig } from './config.ts';

const schema = z.object({
  waitMs: milliseconds(500, 'a wait'),
  maxBytes: bytes(1024, 'a size'),
  shards: count(8, 'a count', 1),
  enabled: flag(false, 'a switch'),
});
const names = {
  waitMs: ['SC_WAIT', 'OLD_WAIT'],
  maxBytes: ['SC_MAX'],
  shards: ['SC_SHARDS'],
  enabled: ['SC_ON'],
} as const;

describe('parseConfig', () => {
  test('uses defaults for what is absent or empty', () => {
    expect(parseConfig(schema, names, { SC_WAIT: '' })).toEqual({
      waitMs: 500,
      maxBytes: 1024,
      shards: 8,
      enabled: false,
    });
  });

  test('reads units, and the most specific variable first', () => {
    const env = { SC_WAIT: '2min', OLD_WAIT: '1s', SC_MAX: '512KiB', SC_SHARDS: '16', SC_ON: 'true' };
    expect(parseConfig(schema, names, env)).toEqual({ waitMs: 120_000, maxBytes: 524_288, shards: 16, enabled: true });
    expect(parseConfig(schema, names, { OLD_WAIT: '1s' }).waitMs).toBe(1000);
  });

  test('names every variable that is wrong with the form it accepts, and repeats no value', () => {
    let error: unknown;
    try {
      parseConfig(schema, names, { SC_WAIT: 'hunter2', SC_SHARDS: '0', SC_ON: 'yes' });
    } catch (caught) {
      error = caught;
    }
    expect(isShapecastError(error, 'INVALID_CONFIG')).toBe(true);
    const message = (error as Error).message;
    expect(message).toContain('SC_WAIT: expected a duration');
    expect(message).toContain('SC_SHARDS: expected a whole number of at least 1');
    expect(message).toContain('SC_ON: expected true or false');
    expect(message).not.toContain('hunter2');
  });

  test('names the variable that was set, not the one that could have been', () => {
    expect(() => parseConfig(schema, names, { OLD_WAIT: 'x' })).toThrow(/\bOLD_WAIT: expected a duration/);
  });

  test('looks at fields together only as far as they are fine, and tells of everything at once', () => {
    const seen: object[] = [];
    const check = (config: object): readonly string[] => {
      seen.push(config);
      return ['SC_WAIT: expected less than SC_MAX'];
    };
    expect(() => parseConfig(schema, names, { SC_MAX: 'x' }, check)).toThrow(
      'Invalid configuration. SC_MAX: expected a size such as 1048576, 512KiB or 20GB; SC_WAIT: expected less than SC_MAX',
    );
    expect(seen).toEqual([{ waitMs: 500, shards: 8, enabled: false }]);
  });
});
