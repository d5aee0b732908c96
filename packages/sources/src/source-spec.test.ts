import { describe, expect, test } from 'vitest';
import { parseSource } from './source-spec.ts';

const URL = 'postgresql://app:hunter2@db.example:5432/app';
const FILES: Readonly<Record<string, string>> = {
  url: `${URL}\n`,
  secrets: ' one \n\n two\n',
  many: 'a\nb\nc',
  nothing: '\n',
};
const lookup = (from: { file: string } | { env: string }): string => {
  const name = 'file' in from ? from.file : from.env;
  const text = FILES[name];
  if (text === undefined) throw new Error(`${name} is not there`);
  return text;
};
const parse = (value: unknown, id = 'acme') => parseSource(id, value, lookup);
const source = (value: unknown) => {
  const parsed = parse(value);
  if (!parsed.ok) throw new Error(parsed.problems.join('; '));
  return parsed.source;
};
const problems = (value: unknown, id?: string) => {
  const parsed = parse(value, id);
  return parsed.ok ? [] : parsed.problems;
};

describe('a declared source', () => {
  test('needs a database and says who may read', () => {
    expect(source({ databaseUrl: URL, secrets: ['s'] })).toMatchObject({
      id: 'acme',
      state: 'active',
      databaseUrl: URL,
      secrets: ['s'],
      insecure: false,
    });
    expect(problems({ secrets: ['s'] })).toEqual(['databaseUrl: is required']);
    expect(problems({ databaseUrl: URL })).toEqual([
      'secrets: is required, unless there is access or insecure is true',
    ]);
    expect(problems({ databaseUrl: URL, insecure: true })).toEqual([]);
    expect(problems({ databaseUrl: URL, insecure: true, secrets: ['s'] })).toEqual([
      'insecure: excludes secrets and access',
    ]);
    expect(problems(null)).toContain('databaseUrl: is required');
  });

  test('takes confidential values from files and variables', () => {
    const found = source({ databaseUrlFrom: { file: 'url' }, secretFrom: { env: 'secrets' } });
    expect(found.databaseUrl).toBe(URL);
    expect(found.secrets).toEqual(['one', 'two']);
    expect(problems({ databaseUrlFrom: { file: 'none' }, secrets: ['s'] })).toEqual([
      'databaseUrlFrom: none is not there',
    ]);
    expect(problems({ databaseUrl: URL, databaseUrlFrom: { file: 'url' }, secrets: ['s'] })).toEqual([
      'databaseUrl: excludes databaseUrlFrom, set one of the two',
    ]);
    expect(problems({ databaseUrlFrom: { file: 'secrets' }, secrets: ['s'] })).toEqual([
      'databaseUrlFrom: the scheme must be postgresql or postgres',
    ]);
    expect(problems({ databaseUrl: URL, secretFrom: { file: 'many' } })).toEqual([
      'secretFrom: expected at most two lines: the one in use and its successor',
    ]);
    expect(problems({ databaseUrl: URL, secretFrom: { file: 'nothing' } })).toEqual([
      'secretFrom: expected at least one line',
    ]);
  });

  test.each([
    ['a', false],
    ['ab', true],
    ['a-b-1', true],
    ['-ab', false],
    ['ab-', false],
    ['Ab', false],
    ['a'.repeat(40), true],
    ['a'.repeat(41), false],
    ['a.b', false],
    ['a*', false],
  ])('id %s is fine: %s', (id, fine) => {
    expect(problems({ databaseUrl: URL, secrets: ['s'] }, id).length === 0).toBe(fine);
  });

  test('says its settings as variables', () => {
    const { environment, limits } = source({
      databaseUrl: URL,
      secrets: ['s'],
      replicationStreamId: 'blue',
      publication: { manage: false },
      slot: { failover: true },
      partitions: 4,
      limits: { maxShapes: 100, snapshotBytes: '1GiB', redisBytes: 1_000_000, requestsPerSecond: '50' },
      retention: { maxAge: '24h', maxBytes: '1GiB' },
      settings: { ELECTRIC_DB_POOL_SIZE: 5, SHAPECAST_WAL_GUARD: 'drop' },
    });
    expect(environment).toEqual({
      ELECTRIC_REPLICATION_STREAM_ID: 'blue',
      ELECTRIC_MANUAL_TABLE_PUBLISHING: 'true',
      SHAPECAST_SLOT_FAILOVER: 'true',
      CLEANUP_REPLICATION_SLOTS_ON_SHUTDOWN: 'false',
      SHAPECAST_SHARDS: '4',
      SHAPECAST_STREAM_MAX_AGE: '86400000',
      SHAPECAST_STREAM_MAX_BYTES: String(1024 ** 3),
      SHAPECAST_SNAPSHOT_MAX_BYTES: String(1024 ** 3),
      ELECTRIC_MAX_SHAPES: '100',
      ELECTRIC_DB_POOL_SIZE: '5',
      SHAPECAST_WAL_GUARD: 'drop',
    });
    expect(limits).toMatchObject({ maxShapes: 100, redisBytes: 1_000_000, requestsPerSecond: 50 });
  });

  test.each([
    [{ limits: { shapes: 1 } }, 'limits.shapes: is no field of a source'],
    [{ limits: { maxShapes: 0 } }, 'limits.maxShapes: expected a whole number of at least 1'],
    [{ limits: { redisBytes: 'much' } }, 'limits.redisBytes: expected a size such as 1048576, 512KiB or 20GB'],
    [{ state: 'off' }, 'state: expected active, paused, draining or removed'],
    [{ colour: 'red' }, 'colour: is no field of a source'],
    [{ partitions: 3 }, 'partitions: expected a power of two up to 256'],
    [{ secrets: ['a', 'b', 'c'] }, 'secrets: expected at most two: the one in use and its successor'],
    [{ databaseUrl: 'mysql://u:hunter2@h/d' }, 'databaseUrl: the scheme must be postgresql or postgres'],
    [{ access: { jwt: {} } }, 'access.jwt: expected either jwksUrl or keys'],
    [{ settings: { PATH: '/bin' } }, 'settings.PATH: is no field of a source'],
  ])('%j is refused with the field that is wrong, and never with its value', (wrong, expected) => {
    const found = problems({ databaseUrl: URL, secrets: ['s'], ...wrong });
    expect(found).toEqual([expected]);
    expect(found.join()).not.toContain('hunter2');
  });
});
