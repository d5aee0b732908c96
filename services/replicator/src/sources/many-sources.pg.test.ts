import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '@shapecast/local-postgres';
import { createDatabase, sharedPostgresUrl, startNats, waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

const ends: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test('a process with many sources tells on one page what its threads measure', async () => {
  const nats = await startNats();
  ends.push(() => nats.stop());
  const database = await createDatabase(sharedPostgresUrl());
  ends.push(() => database.drop());
  const folder = mkdtempSync(join(tmpdir(), 'shapecast-many-'));
  ends.push(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'sources.json');
  const alive = { databaseUrl: database.url, secrets: ['a secret of theirs'], replicationStreamId: database.name };
  // Nobody listens there.
  const dead = {
    ...alive,
    replicationStreamId: 'none',
    databaseUrl: `postgresql://u:p@127.0.0.1:${await freePort()}/none`,
  };
  writeFileSync(file, JSON.stringify({ sources: { alive, dead } }));
  const port = await freePort();
  const env = {
    SHAPECAST_SOURCES: 'registry',
    SHAPECAST_SOURCES_KEY: randomBytes(32).toString('base64'),
    SHAPECAST_SOURCES_API_KEY: randomBytes(32).toString('base64'),
    SHAPECAST_SOURCES_FILE: file,
    SHAPECAST_NATS_URL: nats.url,
    SHAPECAST_STREAM_REPLICAS: '1',
    SHAPECAST_ALLOW_UNSAFE: 'true',
    SHAPECAST_STREAM_MAX_BYTES: '128MiB',
    SHAPECAST_HEALTH_PORT: String(port),
    SHAPECAST_HEALTH_HOST: '127.0.0.1',
  };
  const child = spawn(process.execPath, [main], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const exit = once(child, 'exit');
  ends.push(() => exit);
  ends.push(() => void child.kill('SIGTERM'));

  let page = '';
  const value = (name: string, ...labels: string[]) =>
    page
      .split('\n')
      .find((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(`"${label}"`)))
      ?.split(' ')
      .at(-1);
  await waitFor(
    async () => {
      page = await fetch(`http://127.0.0.1:${port}/metrics`).then(
        (answer) => answer.text(),
        () => '',
      );
      return value('shapecast_replicator_leader', 'alive') === '1' && value('shapecast_source_problem', 'dead') === '1';
    },
    { describe: () => output },
  );
  expect(value('shapecast_postgres_connected', 'alive')).toBe('1');
  expect(value('shapecast_postgres_connected', 'dead')).toBe('0');
  expect(value('shapecast_replicator_leader', 'dead')).toBe('0');
  expect(value('shapecast_source_incarnation', 'alive')).toBe('1');
  // Counted in threads, as the state event that goes with it.
  expect(value('shapecast_replicator_takeover_duration_count', 'start')).toBe('1');
  expect(Number(value('shapecast_state_events_count', 'leader_changed'))).toBe(1);
  expect(page).toMatch(/^shapecast_bus_connected(\{[^}]*\})? 1$/m);
  expect(page).toMatch(/^shapecast_config_last_reload_successful(\{[^}]*\})? 1$/m);
});
