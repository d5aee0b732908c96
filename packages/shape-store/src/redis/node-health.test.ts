import { expect, test } from 'vitest';
import { decodeHealth } from './node-health.ts';

function info(fields: Readonly<Record<string, string | number>>): string {
  const all = {
    used_memory: 40,
    maxmemory: 100,
    maxmemory_policy: 'noeviction',
    aof_enabled: 1,
    evicted_keys: 0,
    ...fields,
  };
  return ['# Server', ...Object.entries(all).map(([name, value]) => `${name}:${value}`), ''].join('\r\n');
}

test('a server that is set as shapes need it has nothing wrong', () => {
  expect(decodeHealth('a', info({}), 'everysec')).toEqual({
    node: 'a',
    usedBytes: 40,
    maxBytes: 100,
    evictedKeys: 0,
    wrongSettings: [],
    replicationLagS: undefined,
  });
});

test('every setting that can lose data is told of', () => {
  const wrong = (fields: Readonly<Record<string, string | number>>, fsync?: string) =>
    decodeHealth('a', info(fields), fsync).wrongSettings;
  expect(wrong({ maxmemory_policy: 'allkeys-lru' })).toEqual([
    'maxmemory-policy is allkeys-lru, and has to be noeviction',
  ]);
  expect(wrong({ maxmemory: 0 })).toEqual(['maxmemory is not set']);
  expect(wrong({ aof_enabled: 0 })).toEqual(['appendonly is off']);
  expect(wrong({ aof_last_write_status: 'err' })).toEqual(['the append-only file cannot be written']);
  expect(wrong({}, 'no')).toEqual(['appendfsync is no, and has to be everysec or always']);
});

test('the replica that is furthest behind counts, and keys that were evicted', () => {
  const health = decodeHealth(
    'a',
    info({
      evicted_keys: 7,
      slave0: 'ip=10.0.0.1,port=6379,state=online,offset=1,lag=0',
      slave1: 'ip=10.0.0.2,port=6379,state=online,offset=1,lag=9',
    }),
    undefined,
  );
  expect(health).toMatchObject({ evictedKeys: 7, replicationLagS: 9 });
});
