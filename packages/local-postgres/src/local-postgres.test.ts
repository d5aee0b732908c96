import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startLocalPostgres } from './local-postgres.ts';
import { childrenOf, isRunning, waitGone } from './processes.ts';

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'shapecast-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(port, '127.0.0.1');
    socket.once('connect', () => (socket.destroy(), resolve(true)));
    socket.once('error', () => resolve(false));
  });
}

test('accepts connections once started, and leaves no process and no folder once stopped', async () => {
  const server = await startLocalPostgres();
  expect(await accepts(server.port)).toBe(true);
  const family = [server.pid as number, ...(await childrenOf(server.pid as number))];
  expect(family.length).toBeGreaterThan(3);

  await server.stop();

  expect(await waitGone(family, 0)).toBe(true);
  expect(existsSync(server.dataDir)).toBe(false);
  expect(server.pid).toBeUndefined();
  await server.stop();
});

test('does not run as root', async () => {
  const server = await startLocalPostgres();
  onTestFinished(() => server.stop());
  const user = execFileSync('ps', ['-o', 'uid=', '-p', String(server.pid)])
    .toString()
    .trim();
  expect(Number(user)).toBeGreaterThan(0);
  expect(statSync(server.dataDir).uid).toBe(Number(user));
});

test('a crash ends every process at once, and the next start recovers on the same port', async () => {
  const server = await startLocalPostgres();
  onTestFinished(() => server.stop());
  const { port } = server;
  const family = [server.pid as number, ...(await childrenOf(server.pid as number))];
  await server.crash();
  expect(await waitGone(family, 0)).toBe(true);
  expect(await accepts(port)).toBe(false);

  await server.start();

  expect(server.port).toBe(port);
  expect(await accepts(port)).toBe(true);
  expect(readFileSync(join(server.dataDir, 'server.log'), 'utf8')).toContain('was interrupted');
});

test('a given data folder outlives stop() and serves the next server', async () => {
  const dataDir = join(temporaryFolder(), 'deep', 'data');
  rmSync(join(dataDir, '..', '..'), { recursive: true });
  const first = await startLocalPostgres({ dataDir, durable: false });
  await first.stop();
  const made = statSync(join(dataDir, 'PG_VERSION')).mtimeMs;
  const second = await startLocalPostgres({ dataDir, durable: false });
  onTestFinished(() => second.stop());
  expect(statSync(join(dataDir, 'PG_VERSION')).mtimeMs).toBe(made);
  expect(await accepts(second.port)).toBe(true);
});

test('a password becomes part of the URL and is asked for', async () => {
  const server = await startLocalPostgres({ password: 'p@ss word' });
  onTestFinished(() => server.stop());
  expect(new URL(server.url).password).toBe('p%40ss%20word');
  expect(readFileSync(join(server.dataDir, 'pg_hba.conf'), 'utf8')).toMatch(/127\.0\.0\.1\/32\s+scram-sha-256/);
  expect(existsSync(`${server.dataDir}.password`)).toBe(false);
});

test('the bundled version serves no data of another', async () => {
  await expect(startLocalPostgres({ version: 15 })).rejects.toMatchObject({ code: 'SERVER_MISSING' });
});

test.runIf(process.getuid?.() === 0)('says which folder the unprivileged user cannot enter', async () => {
  const closed = temporaryFolder();
  mkdirSync(join(closed, 'data'));
  await expect(startLocalPostgres({ dataDir: join(closed, 'data') })).rejects.toThrow(closed);
});

test('a setting that Postgres refuses is reported with its own words', async () => {
  await expect(startLocalPostgres({ settings: { max_wal_senders: 'many' } })).rejects.toThrow(/max_wal_senders/);
});

test.each(['exit', 'SIGKILL'] as const)('ends with its parent, which goes by %s', async (way) => {
  const index = new URL('./index.ts', import.meta.url).href;
  const program = `
    const { startLocalPostgres } = await import(${JSON.stringify(index)});
    const { pid, dataDir } = await startLocalPostgres();
    console.log(JSON.stringify({ pid, dataDir }));
    process.stdin.once('data', () => process.exit(0));`;
  const parent = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const { pid, dataDir } = JSON.parse(line.toString()) as { readonly pid: number; readonly dataDir: string };
  expect(await isRunning(pid)).toBe(true);

  if (way === 'SIGKILL') parent.kill('SIGKILL');
  else parent.stdin.write('\n');
  await once(parent, 'exit');

  expect(await waitGone([pid], 30_000)).toBe(true);
  await expect.poll(() => existsSync(dataDir), { timeout: 30_000 }).toBe(false);
});
