import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { childrenOf, isRunning, waitGone } from '@shapecast/local-postgres';
import { expect, onTestFinished, test } from 'vitest';
import { waitFor } from '../wait-for.ts';

const program = fileURLToPath(new URL('./cluster.ts', import.meta.url));

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = collect(child);
  const [code] = (await once(child, 'close')) as [number];
  return { code, ...text };
}

function collect(child: ChildProcess): { out: string; err: string } {
  const text = { out: '', err: '' };
  child.stdout?.on('data', (chunk: Buffer) => (text.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text.err += chunk.toString()));
  return text;
}

test.each([
  [['--routers', 'many'], "--routers must be a whole number from 1 to 100, not 'many'"],
  [['--apis', '0'], '--apis must be a whole number from 1 to 100'],
  [['--port', '70000'], '--port must be a whole number from 1 to 65535'],
  [['--database-url', 'mysql://x/y'], '--database-url must look like postgresql://'],
  [['--edge', 'squid'], "--edge must be nginx or varnish, not 'squid'"],
  [['--nats', '2'], "--nats must be 1 or 3, not '2'"],
  [['--redis', 'memory'], "--redis must be one of single, replica, sentinel, cluster, not 'memory'"],
  [['--sources', '/there/is/none.yaml'], '--sources cannot be read'],
  [['--nonsense'], '--nonsense'],
  [['extra'], 'extra'],
  [['--ready-file', tmpdir()], '--ready-file cannot be written'],
])('refuses %j with exit code 2 and a sentence', async (args, sentence) => {
  const { code, err, out } = await run(...args);
  expect(code).toBe(2);
  expect(err.split('\n')[0]).toContain(sentence);
  expect(err).toContain('Usage:');
  expect(out).toBe('');
});

test('explains its options', async () => {
  const { code, out } = await run('--help');
  expect(code).toBe(0);
  expect(out).toContain('--ready-file');
});

interface Ready {
  readonly url: string;
  readonly edgeUrl?: string;
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly redisUrl: string;
  readonly sources?: readonly { readonly id: string; readonly databaseUrl: string; readonly secret?: string }[];
  readonly adminUrl?: string;
  readonly adminToken?: string;
  readonly processes: readonly {
    readonly name: string;
    readonly role: string;
    readonly pid: number;
    readonly url: string;
  }[];
  readonly servers: readonly { readonly name: string; readonly role: string; readonly pid: number }[];
}

/** Runs the program with stand-ins for the services and an own folder for temporary files. */
async function runStandIns(
  command: readonly string[] = [process.execPath],
  env: NodeJS.ProcessEnv = {},
  more: readonly string[] = [],
) {
  const folder = mkdtempSync(join(tmpdir(), 'shapecast-test-'));
  chmodSync(folder, 0o755);
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const readyFile = join(folder, 'made', 'ready.json');
  const temporary = join(folder, 'tmp');
  mkdirSync(temporary);
  chmodSync(temporary, 0o1777);
  const module = new URL('./cluster-program.ts', import.meta.url).href;
  const standIn = fileURLToPath(new URL('../cluster/stand-in.ts', import.meta.url));
  const args = [
    '--routers',
    '1',
    '--apis',
    '2',
    '--replicators',
    '1',
    '--ready-file',
    readyFile,
    '--log-dir',
    join(folder, 'logs'),
    ...more,
  ];
  const entries = { replicator: standIn, router: standIn, api: standIn };
  const code = `const { clusterProgram } = await import(${JSON.stringify(module)});
    await clusterProgram(${JSON.stringify(args)}, ${JSON.stringify({ entries })});`;
  const child = spawn(command[0] as string, [...command.slice(1), '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary, ...env },
  });
  const exited = once(child, 'exit');
  onTestFinished(() => void child.kill('SIGKILL'));
  const text = collect(child);
  const read = (): Ready => JSON.parse(readFileSync(readyFile, 'utf8')) as Ready;
  await waitFor(() => existsSync(readyFile), { describe: () => text });
  return { child, exited, text, readyFile, temporary, read };
}

test('says where everything is once ready, in words and in the ready file, and leaves nothing behind', async () => {
  const { child, exited, text, readyFile, temporary, read } = await runStandIns();
  const ready = read();
  expect(ready.processes.map(({ name, role }) => [name, role])).toEqual([
    ['replicator-1', 'replicator'],
    ['router-1', 'router'],
    ['api-1', 'api'],
    ['api-2', 'api'],
  ]);
  expect((await fetch(`${ready.url}/v1/health`)).status).toBe(200);
  await waitFor(() => text.out.includes('curl'));
  for (const url of [ready.url, ready.databaseUrl, ready.natsUrl, ready.redisUrl]) expect(text.out).toContain(url);
  const pids = [...ready.processes, ...ready.servers].map(({ pid }) => pid);
  expect(pids.length).toBe(7);

  child.kill('SIGTERM');

  expect(await exited).toEqual([0, null]);
  expect(await waitGone(pids, 0)).toBe(true);
  expect(existsSync(readyFile)).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
  expect(text.out).toContain('stopped');
  expect(text.err).toBe('');
});

test('starts a killed process again and rewrites the ready file with its new id', async () => {
  const { child, exited, read } = await runStandIns();
  const routerOf = (ready: Ready): number => ready.processes.find(({ name }) => name === 'router-1')?.pid ?? 0;
  const before = read();
  process.kill(routerOf(before), 'SIGKILL');
  await waitFor(() => routerOf(read()) !== routerOf(before));
  expect(await isRunning(routerOf(read()))).toBe(true);
  expect(read().processes.filter(({ pid }, i) => pid !== before.processes[i]?.pid).length).toBe(1);
  child.kill('SIGINT');
  expect(await exited).toEqual([0, null]);
});

test('three NATS servers and Redis behind Sentinel go with a program killed with SIGKILL', async () => {
  const { child, exited, temporary, read } = await runStandIns(undefined, {}, ['--nats', '3', '--redis', 'sentinel']);
  const { servers, processes } = read();
  const roles = servers.map(({ role }) => role).toSorted();
  expect(roles).toEqual([
    ...['nats', 'nats', 'nats'],
    'postgres',
    ...['redis', 'redis'],
    ...Array<string>(3).fill('sentinel'),
  ]);
  child.kill('SIGKILL');
  await exited;
  const pids = [...servers, ...processes].map(({ pid }) => pid);
  expect(await waitGone(pids, 30_000)).toBe(true);
  await waitFor(() => readdirSync(temporary).length === 0, { describe: () => readdirSync(temporary) });
  expect(readdirSync(temporary)).toEqual([]);
});

test('children and data go even when the program is killed with SIGKILL', async () => {
  const { child, exited, temporary, read } = await runStandIns();
  const pids = [...read().processes, ...read().servers].map(({ pid }) => pid);
  child.kill('SIGKILL');
  await exited;
  expect(await waitGone(pids, 30_000)).toBe(true);
  await waitFor(() => readdirSync(temporary).length === 0, { describe: () => readdirSync(temporary) });
  expect(readdirSync(temporary)).toEqual([]);
});

test('a SIGTERM that only reaches the shell in which npm runs it ends it in good order', async () => {
  const shell = ['/bin/sh', '-c', '"$@"; exit', 'sh', process.execPath];
  const { child, temporary, readyFile, read, text } = await runStandIns(shell, { npm_lifecycle_event: 'cluster' });
  const pids = [...read().processes, ...read().servers].map(({ pid }) => pid);
  child.kill('SIGTERM');
  await waitFor(() => text.out.includes('stopped'), { describe: () => text });
  expect(await waitGone(pids, 0)).toBe(true);
  expect(existsSync(readyFile)).toBe(false);
  expect(readdirSync(temporary)).toEqual([]);
});

test.each(['nginx', 'varnish'])('%s stands before the load balancer when asked for, and goes with it', async (kind) => {
  const { child, exited, temporary, read, text } = await runStandIns(undefined, {}, ['--edge', kind]);
  const ready = read();
  const edgeUrl = ready.edgeUrl ?? '';
  const answer = (await (await fetch(`${edgeUrl}/v1/health`)).json()) as { readonly name: string };
  expect(answer.name).toMatch(/^api-/);
  await waitFor(() => text.out.includes(`curl -i '${edgeUrl}/v1/shape`), { describe: () => text });
  const edge = ready.servers.find(({ role }) => role === 'edge');
  expect(edge?.name).toBe(kind);
  const workers = await childrenOf(edge?.pid ?? 0);
  expect(workers.length).toBeGreaterThan(0);

  child.kill('SIGTERM');

  expect(await exited).toEqual([0, null]);
  expect(await waitGone([edge?.pid ?? 0, ...workers], 0)).toBe(true);
  expect(readdirSync(temporary)).toEqual([]);
  expect(text.err).toBe('');
});

test.each(['nginx', 'varnish'])('%s, its workers and its data go with a program killed with SIGKILL', async (kind) => {
  const { child, exited, temporary, read } = await runStandIns(undefined, {}, ['--edge', kind]);
  const edge = read().servers.find(({ role }) => role === 'edge');
  const family = [edge?.pid ?? 0, ...(await childrenOf(edge?.pid ?? 0))];
  expect(family.length).toBeGreaterThan(1);
  child.kill('SIGKILL');
  await exited;
  expect(await waitGone(family, 30_000)).toBe(true);
  await waitFor(() => readdirSync(temporary).length === 0, { describe: () => readdirSync(temporary) });
  expect(readdirSync(temporary)).toEqual([]);
});

test('with --sources the ready file has the sources of the file, also after it has changed, and secrets go in the end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'shapecast-test-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'sources.yaml');
  writeFileSync(file, 'sources:\n  acme: {}\n  globex:\n    secretFrom: { file: globex }\n');
  writeFileSync(join(folder, 'globex'), 'the secret of globex\n');
  const { child, exited, temporary, read, text } = await runStandIns(undefined, {}, ['--sources', file]);
  const { sources = [], adminUrl, adminToken } = read();
  expect(sources.map(({ id }) => id)).toEqual(['acme', 'globex']);
  expect(sources.map(({ databaseUrl }) => new URL(databaseUrl).pathname)).toEqual(['/acme', '/globex']);
  expect(sources[1]?.secret).toBe('the secret of globex');
  expect(adminUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(adminToken).toMatch(/^.{16,}$/);
  await waitFor(() => text.out.includes(`source_id=acme&secret=${sources[0]?.secret}`));

  writeFileSync(file, 'sources:\n  initech: { insecure: true }\n');

  await waitFor(
    () =>
      read()
        .sources?.map(({ id }) => id)
        .join() === 'initech',
  );
  expect(read().sources?.[0]).not.toHaveProperty('secret');
  child.kill('SIGKILL');
  await exited;
  await waitFor(() => readdirSync(temporary).length === 0, { describe: () => readdirSync(temporary) });
  expect(readdirSync(temporary)).toEqual([]);
});
