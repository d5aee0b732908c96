import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { call } from './testing/call.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'shapecast-cli-'));
afterAll(() => rmSync(FOLDER, { recursive: true }));

const COMMANDS = [
  ...[['doctor'], ['health'], ['smoke'], ['lag'], ['config', 'validate']],
  ...['list', 'show', 'add', 'change', 'pause', 'resume', 'drain', 'remove'].map((verb) => ['sources', verb]),
  ...['list', 'inspect', 'explain', 'delete'].map((verb) => ['shapes', verb]),
];

describe('the command line', () => {
  test('names its commands, and says so with exit code 2 when none is given', async () => {
    const asked = await call(['--help']);
    expect(asked.code).toBe(0);
    for (const command of COMMANDS) expect(asked.out).toContain(`\n  ${command.join(' ')} `);
    expect(await call([])).toEqual({ ...asked, code: 2 });
  });

  test.each(COMMANDS.map((words) => [words.join(' '), words] as const))(
    '%s says what its options are',
    async (_, words) => {
      const { code, out } = await call([...words, '--help']);
      expect(code).toBe(0);
      expect(out).toContain('--env-file FILE');
    },
  );

  test('tells its version', async () => {
    expect((await call(['--version'])).out).toMatch(/^\d+\.\d+\.\d+$/);
  });

  test.each([
    [['dcotor'], 'There is no such command.'],
    [['config'], 'There is no such command.'],
    [['doctor', '--jsno'], 'There is no option --jsno.'],
    [['doctor', 'hunter2'], 'The arguments cannot be read.'],
    [['doctor'], 'There is nothing to check'],
    [['lag'], 'There is nothing to look at'],
    [['health'], '--api is required.'],
    [['health', '--api', 'postgresql://u:hunter2@x/y'], '--api expects an address'],
    [['health', '--api', 'http://127.0.0.1:1', '--wait', 'long'], '--wait expects seconds'],
    [['smoke', '--api', 'http://127.0.0.1:1'], '--table is required.'],
    [['smoke', '--api', 'http://127.0.0.1:1', '--table', 't', '--secret-file', '/none/hunter2'], 'cannot be read'],
    [['config', 'validate', '--role', 'hunter2'], '--role expects'],
    [['doctor', '--env-file', '/none/hunter2'], 'cannot be read'],
    [['sources'], 'There is no such command.'],
    [['sources', 'list'], '--admin-url is required'],
    [['sources', 'list', '--admin-url', 'redis://:hunter2@x'], '--admin-url expects an address'],
    [['sources', 'list', '--admin-url', 'http://127.0.0.1:1'], 'SHAPECAST_ADMIN_TOKEN is required'],
    [['sources', 'list', '--admin-url', 'http://x', '--admin-token-file', '/none/hunter2'], 'cannot be read'],
    [['sources', 'show'], 'ID is required.'],
    [['sources', 'show', 'a', 'hunter2'], 'The arguments cannot be read.'],
    [['sources', 'add', 'a'], '--file is required.'],
    [['sources', 'add', 'a', '--file', '/none/hunter2'], 'cannot be read'],
    [['sources', 'remove', 'a', '--confirm', 'b'], 'repeat its id with --confirm ID'],
    [['shapes', 'delete', '1-2'], 'repeat it with --yes'],
    [['shapes', 'explain'], '--table is required.'],
    [['shapes', 'explain', '--table', 't', '--offline'], '--offline needs DATABASE_URL.'],
    [['shapes', 'explain', '--table', 't', '--params', '{hunter2'], '--params expects JSON'],
    [['config', 'validate', '--sources', '/none/hunter2'], 'cannot be read'],
    [['lag', '--source-id', 'a', '--sources', '/none/hunter2'], 'cannot be read'],
  ])('refuses %j with exit code 2, and repeats nothing that may be a secret', async (args, message) => {
    const { code, out, err } = await call(args);
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(out + err).not.toContain('hunter2');
  });
});

describe('config validate', () => {
  const ROUTER = {
    DATABASE_URL: 'postgresql://u:hunter2@localhost/app',
    SHAPECAST_NATS_URL: 'nats://localhost',
    SHAPECAST_REDIS_URL: 'redis://:hunter2@localhost',
  };

  test('accepts what the services accept', async () => {
    const { code, out } = await call(['config', 'validate'], { ...ROUTER, ELECTRIC_SECRET: 'hunter2' });
    expect({ code, out }).toEqual({ code: 0, out: 'The settings of api, router, replicator can be read.' });
  });

  test('asks of a role only what that role needs', async () => {
    expect((await call(['config', 'validate', '--role', 'router'], ROUTER)).code).toBe(0);
    const { code, out } = await call(['config', 'validate', '--role', 'api'], ROUTER);
    expect(code).toBe(1);
    expect(out).toContain('ELECTRIC_SECRET is required');
  });

  test('tells every problem once, with the roles that have it, and never a value', async () => {
    const env = { ...ROUTER, DATABASE_URL: 'mysql://hunter2@x', SHAPECAST_SHARDS: '3', ELECTRIC_PORT: 'hunter2' };
    const { code, out } = await call(['config', 'validate', '--json'], env);
    const { ok, problems } = JSON.parse(out) as { ok: boolean; problems: { problem: string; roles: string[] }[] };
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    expect(problems.map(({ problem, roles }) => [problem.split(/[: ]/)[0], roles])).toEqual([
      ['ELECTRIC_PORT', ['api']],
      ['ELECTRIC_SECRET', ['api']],
      ['DATABASE_URL', ['router', 'replicator']],
      ['SHAPECAST_SHARDS', ['replicator']],
    ]);
    expect(out).not.toContain('hunter2');
  });

  test('names variables that have no effect', async () => {
    const env = { ...ROUTER, ELECTRIC_INSECURE: 'true', SHAPECAST_SHARD: '8', ELECTRIC_USAGE_REPORTING: 'true' };
    const { code, out } = await call(['config', 'validate'], env);
    expect(code).toBe(0);
    expect(out).toContain('SHAPECAST_SHARD: unknown setting, it has no effect (suggestion: SHAPECAST_SHARDS)');
    expect(out).toContain('ELECTRIC_USAGE_REPORTING: setting is ignored');
  });

  test('takes variables from a file, and lets the environment win', async () => {
    const file = join(FOLDER, 'settings.env');
    writeFileSync(
      file,
      Object.entries(ROUTER)
        .map(([name, value]) => `${name}=${value}`)
        .join('\n'),
    );
    const args = ['config', 'validate', '--role', 'router', '--env-file', file];
    expect((await call(args)).code).toBe(0);
    expect((await call(args, { DATABASE_URL: 'mysql://x' })).code).toBe(1);
  });
});

describe('config validate with many sources', () => {
  const KEY = Buffer.alloc(32, 7).toString('base64');
  const MANY = {
    SHAPECAST_SOURCES: 'registry',
    SHAPECAST_SOURCES_KEY: KEY,
    SHAPECAST_SOURCES_API_KEY: KEY,
    SHAPECAST_NATS_URL: 'nats://localhost',
    SHAPECAST_REDIS_URL: 'redis://localhost',
  };

  test('needs no database and no secret, but the keys', async () => {
    expect(await call(['config', 'validate'], MANY)).toMatchObject({ code: 0 });
    const { code, out } = await call(['config', 'validate'], {
      ...{ ...MANY, SHAPECAST_SOURCES_KEY: 'hunter2', SHAPECAST_SOURCES_API_KEY: undefined },
      ...{ DATABASE_URL: 'postgresql://u:hunter2@h/d', SHAPECAST_SHARDS: '3' },
    });
    expect(code).toBe(1);
    for (const name of ['SHAPECAST_SOURCES_KEY', 'SHAPECAST_SOURCES_API_KEY', 'DATABASE_URL', 'SHAPECAST_SHARDS']) {
      expect(out).toContain(`error   ${name}`);
    }
    expect(out).not.toContain('hunter2');
  });

  const sourcesFile = (name: string, text: string) => {
    const file = join(FOLDER, name);
    writeFileSync(file, text);
    return file;
  };

  test('checks a sources file with the files and variables that it names', async () => {
    writeFileSync(join(FOLDER, 'acme-url'), 'postgresql://u:hunter2@h/acme\n');
    const file = sourcesFile(
      'sources.yaml',
      `sources:
  acme: { databaseUrlFrom: { file: acme-url }, secretFrom: { env: ACME_SECRET } }
  globex: { databaseUrl: 'postgresql://u:hunter2@h/globex', insecure: true }`,
    );
    const args = ['config', 'validate', '--sources', file];
    expect(await call(args, { ACME_SECRET: 'hunter2' })).toMatchObject({
      code: 0,
      out: 'The sources file is fine: 2 sources.',
    });
    const { code, out } = await call([...args, '--json']);
    expect({ code, report: JSON.parse(out) as unknown }).toEqual({
      code: 1,
      report: { ok: false, problems: ['sources.acme.secretFrom: the variable is not set'], sources: [] },
    });
  });

  test('says which source and which field is wrong, and never a value', async () => {
    const file = sourcesFile(
      'wrong.yaml',
      `sources:
  a1: { databaseUrl: 'postgresql://u:hunter2@h/one', secrets: [hunter2], colour: hunter2 }
  b2: { databaseUrl: 'mysql://hunter2', secrets: [hunter2] }`,
    );
    const { code, out } = await call(['config', 'validate', '--sources', file]);
    expect(code).toBe(1);
    expect(out).toContain('error   sources.a1.colour: is no field of a source');
    expect(out).toContain('error   sources.b2.databaseUrl: ');
    expect(out).not.toContain('hunter2');
  });

  test('settings of one source come from the sources file', async () => {
    const file = sourcesFile(
      'one.yaml',
      `sources:
  acme: { databaseUrl: 'postgresql://u:hunter2@127.0.0.1:1/acme', insecure: true }`,
    );
    const env = {
      ...MANY,
      SHAPECAST_NATS_URL: undefined,
      SHAPECAST_REDIS_URL: undefined,
      SHAPECAST_SOURCES_FILE: file,
    };
    const { code, out } = await call(['doctor', '--source-id', 'acme', '--json'], env);
    expect(code).toBe(1);
    const { findings } = JSON.parse(out) as { findings: { id: string; status: string; message: string }[] };
    expect(findings.find(({ id }) => id === 'pg.reachable')).toMatchObject({ status: 'fail' });
    expect(findings.find(({ id }) => id === 'nats.reachable')?.status).toBe('skipped');
    expect(out).not.toContain('hunter2');
    const unknown = await call(['doctor', '--source-id', 'other'], env);
    expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining('has no source of this id') as string });
  });
});
