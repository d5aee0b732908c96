import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { send, type RawAnswer } from './support/http.ts';
import { ConformanceService, header, shapePath } from './support/service.ts';

interface ResponseObject {
  readonly headers?: Readonly<Record<string, { readonly schema: object; readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, { readonly schema: object; readonly examples?: Examples }>>;
}
type Examples = Readonly<Record<string, { readonly value: unknown }>>;
interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses?: Record<string, object> }>>>>;
}

const SECRET = 's3cr3t';
const file = join(import.meta.dirname, '../../services/api/openapi.yaml');
const description = parse(await readFile(file, 'utf8'), { merge: true }) as Description;
const ajv = new Ajv2020({ strict: false });
ajv.addSchema({ $id: 'openapi', ...description });

/** Follows `$ref`s into the description. */
function resolve<T>(object: unknown): T {
  const ref = (object as { $ref?: string }).$ref;
  if (ref === undefined) return object as T;
  return resolve(
    ref
      .slice(2)
      .split('/')
      .reduce((at: unknown, name) => (at as Record<string, unknown>)[name], description),
  );
}

function response(path: string, method: string, status: number): ResponseObject {
  const found = description.paths[path]?.[method]?.responses?.[String(status)];
  if (found === undefined) throw new Error(`${method} ${path} does not describe ${status}`);
  return resolve(found);
}

function fits(schema: object, value: unknown, what: string): void {
  const absolute = JSON.parse(JSON.stringify(schema).replaceAll('"#/', '"openapi#/')) as object;
  const valid = ajv.validate(absolute, value);
  expect(valid ? [] : ajv.errors, `${what}: ${JSON.stringify(value)}`).toEqual([]);
}

/** What differs from run to run becomes a sign: transactions, positions and marks. */
function masked(text: string): string {
  return text
    .replace(/"(xmin|xmax|lsn|global_last_seen_lsn|database_lsn)":"\d+"/g, '"$1":"#"')
    .replace(/"snapshot_mark":\d+/g, '"snapshot_mark":#')
    .replace(/"txids":\[\d+\]/g, '"txids":[#]');
}

/** The answer is one that the description knows: status, headers, body. */
function isDescribed(path: string, method: string, answer: RawAnswer): void {
  const described = response(path, method, answer.status);
  for (const [name, spec] of Object.entries(described.headers ?? {})) {
    const { schema, required } = resolve<{ schema: object; required?: boolean }>(spec);
    const value = answer.headers[name];
    if (value !== undefined) fits(schema, value, name);
    else expect(required ?? false, `${name} is missing`).toBe(false);
  }
  for (const name of Object.keys(answer.headers).filter((name) => name.startsWith('electric-'))) {
    if (name === 'electric-server' || answer.status >= 500) continue;
    const known = name in (described.headers ?? {}) || answer.status === 202 || answer.status === 401;
    expect(known, `${name} on ${answer.status} is not described`).toBe(true);
  }
  if (answer.headers['electric-schema'] !== undefined) {
    const columns = JSON.parse(answer.headers['electric-schema']) as unknown;
    fits({ $ref: '#/components/schemas/ColumnsByName' }, columns, 'electric-schema');
  }
  const type = answer.headers['content-type']?.split(';')[0];
  if (type === undefined || answer.text === '') return;
  const media = described.content?.[type];
  if (media === undefined) throw new Error(`${type} is not described for ${answer.status}`);
  if (type === 'application/json') fits(media.schema, JSON.parse(answer.text), `body of ${answer.status}`);
}

/** Also equal to the example of that name. */
function isExample(name: string, path: string, method: string, answer: RawAnswer): void {
  isDescribed(path, method, answer);
  const type = answer.headers['content-type']?.split(';')[0] ?? '';
  const example = response(path, method, answer.status).content?.[type]?.examples?.[name];
  if (example === undefined) throw new Error(`no example ${name} for ${answer.status}`);
  used.add(`${answer.status} ${type} ${name}`);
  if (type === 'application/json') {
    expect(JSON.parse(masked(answer.text).replaceAll('#', '0'))).toEqual(
      JSON.parse(masked(JSON.stringify(example.value)).replaceAll('#', '0')),
    );
  } else {
    expect(masked(answer.text)).toBe(masked(example.value as string));
  }
}

const used = new Set<string>();

describe('openapi.yaml describes what the running server does', () => {
  let service: ConformanceService;

  beforeAll(async () => {
    service = await ConformanceService.start({
      env: {
        ELECTRIC_SECRET: SECRET,
        ELECTRIC_LONG_POLL_TIMEOUT: '1000',
        SHAPECAST_SSE_KEEPALIVE: '300',
        SHAPECAST_SSE_TIMEOUT: '2000',
      },
    });
    await service.db.query(`insert into items values (1, 'one'), (2, 'two')`);
  });

  afterAll(() => service.stop());

  const ask = (query: Readonly<Record<string, string>>, options = {}): Promise<RawAnswer> =>
    service.shape({ secret: SECRET, ...query }, options);

  test('reads: snapshot, end of the log, changes, key changes, not modified', async () => {
    const first = await ask({ offset: '-1' });
    isExample('snapshot', '/v1/shape', 'get', first);
    isDescribed('/v1/shape', 'head', await ask({ offset: '-1' }, { method: 'HEAD' }));
    isDescribed(
      '/v1/shape',
      'get',
      await ask({ offset: '-1' }, { headers: { 'if-none-match': header(first, 'etag') } }),
    );
    isDescribed('/v1/shape', 'get', await ask({ offset: '-1', where: 'id = 1' }));
    const handle = header(first, 'electric-handle');
    const second = await ask({ offset: '0_0', handle });
    isExample('upToDate', '/v1/shape', 'get', second);

    const full = await ask({ offset: '-1', replica: 'full' });
    const live = ask({ offset: header(second, 'electric-offset'), handle, live: 'true' });
    await service.db.query(`update items set title = 'uno' where id = 1`);
    const changed = await live;
    isExample('change', '/v1/shape', 'get', changed);
    const fullHandle = header(full, 'electric-handle');
    isExample(
      'fullChange',
      '/v1/shape',
      'get',
      await ask({ offset: '0_inf', handle: fullHandle, replica: 'full', live: 'true' }),
    );
    const next = { offset: header(changed, 'electric-offset'), handle, live: 'true' };
    await service.db.query('update items set id = 7 where id = 1');
    const keyChanged = await ask(next);
    isExample('keyChange', '/v1/shape', 'get', keyChanged);
    isExample('mustRefetch', '/v1/shape', 'get', await ask({ offset: '0_0', handle: 'of-another-time' }));
    await service.db.query(`update items set id = 1, title = 'one' where id = 7`);
    // Seen here, so that the next test does not begin with it.
    expect((await ask({ ...next, offset: header(keyChanged, 'electric-offset') })).status).toBe(200);
  });

  test('event streams', async () => {
    const { handle, offset } = await latest();
    const stream = ask({ offset, handle, live: 'true', live_sse: 'true' });
    // The example begins with a comment, so the stream has to be silent for a while first.
    await new Promise((resolve) => setTimeout(resolve, 450));
    await service.db.query(`insert into items values (3, 'three')`);
    const answer = await stream;
    await service.db.query('delete from items where id = 3');
    const events = answer.text.replaceAll(/(: keep-alive\n\n)+/g, ': keep-alive\n\n').replace(/: keep-alive\n\n$/, '');
    isExample('change', '/v1/shape', 'get', { ...answer, text: events });
  });

  test('subset snapshots', async () => {
    const query = { offset: 'now', subset__where: 'id > 1', subset__order_by: 'id', subset__limit: '1' };
    isExample('subset', '/v1/shape', 'get', await ask(query));
    const body = JSON.stringify(requestExample('subset'));
    isExample('subset', '/v1/shape', 'post', await ask({ offset: 'now' }, { method: 'POST', body }));
    isExample('subset', '/v1/shape', 'get', await ask({ offset: 'now', subset__limit: '0', subset__order_by: 'id' }));
  });

  test('refusals', async () => {
    isExample('where', '/v1/shape', 'get', await ask({ offset: '-1', where: '1 x 1' }));
    isExample('body', '/v1/shape', 'post', await ask({ offset: '-1' }, { method: 'POST', body: '[1]' }));
    isExample('unauthorized', '/v1/shape', 'get', await service.shape({ offset: '-1' }));
    const tooLarge = await ask({ offset: '-1' }, { method: 'POST', body: Buffer.alloc(8_000_001, ' ') });
    isExample('tooLarge', '/v1/shape', 'post', tooLarge);
    // Asked of the process itself: a load balancer has limits of its own.
    const { url } = service.cluster.process('api-1');
    const long = await send(url, shapePath({ secret: SECRET, offset: '-1', where: 'x'.repeat(40_000) }));
    expect(long.status).toBe(414);
    isDescribed('/v1/shape', 'get', long);
    const headers = await send(url, '/v1/shape', { headers: { padding: 'x'.repeat(70_000) } });
    expect(headers.status).toBe(431);
    isDescribed('/v1/shape', 'get', headers);
  });

  test('DELETE, OPTIONS and health', async () => {
    const remove = { method: 'DELETE' };
    isExample('nothingNamed', '/v1/shape', 'delete', await service.send(`/v1/shape?secret=${SECRET}`, remove));
    isExample('noSuchShape', '/v1/shape', 'delete', await ask({ where: 'id = 4711' }, remove));
    const gone = await ask({}, remove);
    expect(gone.status).toBe(202);
    isDescribed('/v1/shape', 'delete', gone);
    isDescribed('/v1/shape', 'options', await service.send('/v1/shape', { method: 'OPTIONS' }));
    isExample('active', '/v1/health', 'get', await service.send('/v1/health'));
  });

  test('overload, and DELETE switched off', async () => {
    const small = await ConformanceService.start({
      env: {
        SHAPECAST_MAX_CONCURRENT_REQUESTS: '{"initial":1,"existing":1}',
        ELECTRIC_ENABLE_INTEGRATION_TESTING: 'false',
      },
    });
    try {
      isExample('notAllowed', '/v1/shape', 'delete', await small.shape({}, { method: 'DELETE' }));
      // A request whose body never ends keeps its permit; the interim answer says that it has one.
      const { hostname, port } = new URL(small.cluster.process('api-1').url);
      const socket = connect(Number(port), hostname);
      const expectation = 'expect: 100-continue\r\ncontent-length: 10';
      socket.write(`POST ${shapePath({ offset: '-1' })} HTTP/1.1\r\nhost: any\r\n${expectation}\r\n\r\n{`);
      const [interim] = (await once(socket, 'data')) as [Buffer];
      expect(interim.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      isExample('overloaded', '/v1/shape', 'get', await small.shape({ offset: '-1' }));
      socket.destroy();
    } finally {
      await small.stop();
    }
  });

  test('no example of an answer was left out', () => {
    const all = new Set<string>();
    for (const [path, methods] of Object.entries(description.paths)) {
      for (const [method, { responses = {} }] of Object.entries(methods)) {
        for (const status of Object.keys(responses).filter((status) => /^\d+$/.test(status))) {
          for (const [type, media] of Object.entries(response(path, method, Number(status)).content ?? {})) {
            for (const name of Object.keys(media.examples ?? {})) all.add(`${status} ${type} ${name}`);
          }
        }
      }
    }
    expect([...all].sort()).toEqual([...used].sort());
    expect(all.size).toBeGreaterThan(15);
  });

  async function latest(): Promise<{ readonly handle: string; readonly offset: string }> {
    const now = await ask({ offset: 'now' });
    return { handle: header(now, 'electric-handle'), offset: header(now, 'electric-offset') };
  }

  function requestExample(name: string): unknown {
    const post = description.paths['/v1/shape']?.['post'] as unknown as {
      readonly requestBody: { readonly content: { readonly 'application/json': { readonly examples: Examples } } };
    };
    return post.requestBody.content['application/json'].examples[name]?.value;
  }
});
