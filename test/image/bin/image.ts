import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { createDatabase, startNats, startPostgres, startRedis } from '@shapecast/testkit';
import pg from 'pg';
import { followDockerfile, type FollowedImage } from '../follow.ts';
import { ImageProcess, runImage } from '../image-process.ts';
import { list, makeReadOnly } from '../read-only.ts';

/**
 * `npm run test:image`: follows the Dockerfile in a clean folder, without an engine, then runs each role from the result, as nobody in
 * particular on a tree that cannot be written, against real servers: with one source, and with several.
 */
const MAX_BYTES = 30 * 1024 * 1024;
const started: { stop(): Promise<unknown> }[] = [];
const processes: ImageProcess[] = [];

function say(line: string): void {
  console.log(line);
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new Error(`It does not hold: ${what}`);
  say(`ok: ${what}`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function database(adminUrl: string): Promise<string> {
  const { url } = await createDatabase(adminUrl);
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(
    `create table items (id int primary key, done boolean); insert into items values (1, false), (2, true)`,
  );
  await client.end();
  return url;
}

type Environment = Record<string, string>;

/** Starts the three roles, asks each as probes do, reads a shape with the image's own command line, stops them. */
async function runRoles(
  image: FollowedImage,
  environments: Record<'replicator' | 'router' | 'api', Environment>,
  smoke: readonly string[],
  page?: string,
) {
  const port = await freePort();
  const roles: ImageProcess[] = [];
  const health = new Map<string, string>();
  for (const [role, env] of Object.entries(environments)) {
    const healthPort = String(await freePort());
    health.set(role, `http://127.0.0.1:${healthPort}`);
    const more: Environment = role === 'api' ? { ELECTRIC_PORT: String(port), SHAPECAST_PRESTOP_DELAY: '0s' } : {};
    const one = runImage(image, [role], { ...env, ...more, SHAPECAST_HEALTH_PORT: healthPort });
    processes.push(one);
    roles.push(one);
  }
  const ask = (args: readonly string[]) => runImage(image, args, {}).end();
  for (const [role, url] of health) {
    await ask(['health', '--api', url, '--wait', '90']);
    const check = image.healthCheck.map((word) => (word.startsWith('http:') ? url : word));
    await new ImageProcess(image, check, {}).end();
    say(`ok: ${role} is active, and the image's HEALTHCHECK says so`);
  }
  say(
    (await ask(['smoke', '--api', `http://127.0.0.1:${port}`, '--table', 'items', '--timeout', '90', ...smoke])).trim(),
  );
  if (page !== undefined) {
    const answer = await fetch(page);
    check(answer.status === 200 && (await answer.text()).includes('<html'), 'the console is there');
  }
  for (const role of roles.reverse()) await role.stop();
  say('ok: each role ends with 0 on SIGTERM');
}

async function main(): Promise<void> {
  const image = await followDockerfile(say);
  const app = join(image.root, image.workdir);
  const before = await list(app);
  check(before.bytes < MAX_BYTES, `the program has ${Math.round(before.bytes / 1024 / 1024)} MiB, less than 30`);
  check(before.files.has('sbom.spdx.json') && before.files.has('NOTICES.txt'), 'it comes with what it is made of');
  check(![...before.files.keys()].some((path) => path.includes('node_modules')), 'it needs no node_modules');
  await makeReadOnly(app);
  const whole = await list(app);
  for (const args of [['--version'], ['doctor', '--help'], ['source-remove', '--help']])
    await runImage(image, args, {}).end();
  say('ok: the command line is there');

  const [postgres, nats, redis] = await Promise.all([startPostgres(), startNats(), startRedis()]);
  started.push(postgres, nats, redis);
  const servers = {
    SHAPECAST_NATS_URL: nats.url,
    SHAPECAST_STREAM_REPLICAS: '1',
    SHAPECAST_ALLOW_UNSAFE: 'true',
    SHAPECAST_REDIS_URL: redis.url,
    // Reserved for each source.
    SHAPECAST_STREAM_MAX_BYTES: '256MiB',
  };
  const one = { ...servers, DATABASE_URL: await database(postgres.url) };
  say('One source:');
  await runRoles(image, { replicator: one, router: one, api: { ...servers, ELECTRIC_INSECURE: 'true' } }, []);

  const folder = await mkdtemp(join(tmpdir(), 'shapecast-image-sources-'));
  started.push({ stop: () => rm(folder, { recursive: true }) });
  const urls = [await database(postgres.url), await database(postgres.url)];
  const sources = Object.fromEntries(
    urls.map((databaseUrl, i) => [`source-${i}`, { databaseUrl, insecure: true, replicationStreamId: `image_${i}` }]),
  );
  await writeFile(join(folder, 'sources.yaml'), JSON.stringify({ sources }));
  await chmod(folder, 0o755);
  const [database_, api] = [randomBytes(32).toString('base64'), randomBytes(32).toString('base64')];
  const many = { ...servers, SHAPECAST_SOURCES: 'registry' };
  const adminPort = await freePort();
  say('Several sources, in threads of the replicator:');
  await runRoles(
    image,
    {
      replicator: {
        ...many,
        ...{ SHAPECAST_SOURCES_KEY: database_, SHAPECAST_SOURCES_API_KEY: api },
        SHAPECAST_SOURCES_FILE: join(folder, 'sources.yaml'),
        SHAPECAST_ADMIN_PORT: String(adminPort),
        SHAPECAST_ADMIN_TOKEN: randomBytes(16).toString('hex'),
      },
      router: { ...many, SHAPECAST_SOURCES_KEY: database_ },
      api: { ...many, SHAPECAST_SOURCES_API_KEY: api },
    },
    ['--source-id', 'source-1'],
    `http://127.0.0.1:${adminPort}/`,
  );
  check(isDeepStrictEqual((await list(app)).files, whole.files), 'nothing was written beside the program');
  await rm(dirname(image.root), { recursive: true });
}

try {
  await main();
} catch (error) {
  console.error(error);
  for (const one of processes) if (one.output !== '') console.error(`--- ${one.name}\n${one.output.slice(-3_000)}`);
  process.exitCode = 1;
} finally {
  for (const one of processes) one.kill();
  for (const server of started.reverse()) await server.stop();
}
