import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectCors } from './cors.cases.ts';
import { send, type RawAnswer, type RawRequest } from './support/http.ts';
import { expectInvalid, header, shapePath, ConformanceService } from './support/service.ts';
import { runService } from './support/service-program.ts';

/** Several secrets are accepted while one is being replaced. */
const SECRETS = ['s3cr3t', 'older+s3cr3t/&='];
const UNAUTHORIZED = '{"message":"Unauthorized - Invalid API secret"}';
const METHODS = ['GET', 'HEAD', 'POST', 'DELETE'];

let service: ConformanceService;
beforeAll(async () => {
  service = await ConformanceService.start({
    env: { ELECTRIC_SECRET: SECRETS.join(','), SHAPECAST_LOG_LEVEL: 'debug' },
  });
});
afterAll(() => service.stop());

const logs = async () => {
  const { logDir, processes } = service.cluster;
  return (await Promise.all(processes.map(({ name }) => readFile(join(logDir, `${name}.log`), 'utf8')))).join('\n');
};
const secret = 's3cr3t';
/** A shape that exists for this test alone; whether it was created shows when it is deleted. */
let shapes = 0;
const fresh = () => ({ offset: '-1', where: `id > ${(shapes += 1)}` });

function expectUnauthorized(answer: RawAnswer, method = 'GET'): void {
  expect([answer.status, answer.text]).toEqual([401, method === 'HEAD' ? '' : UNAUTHORIZED]);
  expect(answer.headers).toMatchObject({
    'content-type': 'application/json; charset=utf-8',
    'cache-control': 'no-store',
    'electric-server': expect.stringMatching(/./) as string,
    'x-request-id': expect.stringMatching(/./) as string,
  });
  expect(answer.headers).not.toHaveProperty('surrogate-control');
  expectCors(answer);
}

describe('authentication', () => {
  const expectNoShape = async (query: Readonly<Record<string, string>>) => {
    const answer = await service.shape({ ...query, secret }, { method: 'DELETE' });
    expect([answer.status, answer.text]).toEqual([404, '{"message":"No existing shape found"}']);
  };

  test('C022, C023 without the secret, or with a wrong one, nothing is read and no shape is made', async () => {
    for (const wrong of [
      undefined,
      'wrong',
      '',
      ' ',
      's3cr3t ',
      ' s3cr3t',
      'S3CR3T',
      's3cr3',
      's3cr3tt',
      SECRETS.join(','),
    ]) {
      for (const method of METHODS) {
        const query = fresh();
        expectUnauthorized(await service.shape({ ...query, secret: wrong }, { method }), method);
        await expectNoShape(query);
      }
    }
  });

  test('C024, C025 each of the secrets is accepted, in both spellings', async () => {
    for (const name of ['secret', 'api_secret']) {
      for (const value of SECRETS) {
        const query = { ...fresh(), [name]: value };
        const answers = [];
        for (const method of METHODS) answers.push((await service.shape(query, { method })).status);
        expect(answers).toEqual([200, 200, 200, 202]);
      }
    }
  });

  test.each([
    ['C026 an empty secret beside the right api_secret', 'secret=&api_secret=s3cr3t'],
    ['C026 a secret without value beside the right api_secret', 'secret&api_secret=s3cr3t'],
    ['AU-2 a wrong secret beside the right api_secret', 'api_secret=s3cr3t&secret=wrong'],
    ['C027 a list', 'secret[]=s3cr3t'],
    ['C027 an encoded list', 'secret%5B%5D=s3cr3t'],
    ['C027 an object', 'secret[0]=s3cr3t'],
    ['C027 a list beside the right api_secret', 'secret[]=s3cr3t&api_secret=s3cr3t'],
    ['AU-2 another one follows', 'secret=s3cr3t&secret=wrong'],
    ['AU-2 an empty one follows', 'secret=s3cr3t&secret='],
    ['AU-2 a list follows', 'secret=s3cr3t&secret[]=s3cr3t'],
    ['AU-2 names are case-sensitive', 'Secret=s3cr3t&SECRET=s3cr3t'],
    ['RT-15 before the query turns out to be malformed', 'secret=wrong&x=%zz'],
    ['RT-15 the secret itself is malformed', 'secret=s3cr3t%zz'],
  ])('%s does not count', async (_name, query) => {
    for (const method of METHODS) {
      expectUnauthorized(await service.send(`/v1/shape?table=items&offset=-1&${query}`, { method }), method);
    }
  });

  test('AU-2 the last of repeated secrets counts, and secret comes before api_secret', async () => {
    for (const query of [
      'secret=wrong&secret=s3cr3t',
      'secret=s3cr3t&api_secret=wrong',
      '%73ecret=s3cr3t',
      'secret[]=x&secret=s3cr3t',
    ]) {
      expect((await service.send(`/v1/shape?table=items&offset=-1&${query}`)).status).toBe(200);
    }
  });

  test('C027 neither body, header nor cookie is looked at', async () => {
    const query = fresh();
    const requests: readonly RawRequest[] = [
      { method: 'POST', body: '{"secret":"s3cr3t"}' },
      { method: 'POST', body: '{"subset":{},"secret":"s3cr3t","api_secret":"s3cr3t"}' },
      { headers: { authorization: 's3cr3t' } },
      { headers: { authorization: 'Bearer s3cr3t', cookie: 'secret=s3cr3t', secret: 's3cr3t', 'x-secret': 's3cr3t' } },
      { headers: { authorization: `Basic ${Buffer.from('secret:s3cr3t').toString('base64')}` } },
      { method: 'POST', body: 'secret=s3cr3t', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    ];
    for (const request of requests) expectUnauthorized(await service.shape(query, request));
    await expectNoShape(query);
  });

  const SPELLINGS = [
    '/v1/shape/',
    '/v1//shape',
    '//v1/shape',
    '/v1/%73hape',
    '/v1/shap%65',
    '/v1/./shape',
    '/v1/../v1/shape',
    '/./v1/shape',
    '/v1/shape/.',
    '/v1/shape//',
    '///v1///shape///',
    '/%76%31/shape',
    '/v1%2fshape',
    '/v1%2Fshape',
    '/v1/shape%2f',
    '/v1/shape%20',
    '/v1/shape%00',
    '/v1/shape;a=b',
    '/V1/SHAPE',
    '/v1\\shape',
    '/v1/shape/x',
    '/v1/shape#',
    '/v1/%2e/shape',
    '/x/%2e%2e/v1/shape',
    '/v1/%2573hape',
    'http://x/v1/shape',
    '//x/v1/shape',
    '*',
    '/v1/shape%3f',
    '/v1/shape%',
  ];
  test.each(SPELLINGS)('C028 the spelling %s of the path gets nobody around it', async (path) => {
    const query = fresh();
    // No proxy in between that might tidy the path up.
    const api = service.cluster.process('api-1').url;
    const search = new URL(shapePath(query), 'http://x').search;
    for (const method of METHODS) {
      for (const credentials of ['', '&secret=wrong']) {
        const answer = await send(api, `${path}${search}${credentials}`, { method });
        expect([401, 404], `${method} ${path}: ${answer.text}`).toContain(answer.status);
        expect(answer.headers).not.toHaveProperty('electric-handle');
      }
    }
    await expectNoShape(query);
  });

  test.each([
    ['C029 an unknown table', '/v1/shape?table=doesnotexist&offset=-1'],
    ['RT-15 no parameters at all', '/v1/shape'],
    ['RT-15 malformed parameters', '/v1/shape?offset=foo&replica=x&x=%zz'],
    ['RT-15 more than 1,000 parameters', `/v1/shape?${'a=1&'.repeat(1_500)}`],
  ])('%s is a 401 first', async (_name, path) => {
    for (const method of METHODS) expectUnauthorized(await service.send(path, { method }), method);
  });

  test('RT-15 the body is not read before', async () => {
    for (const body of ['{', 'x'.repeat(9_000_000)]) {
      expectUnauthorized(await service.send('/v1/shape?table=items&offset=-1', { method: 'POST', body }));
    }
  });

  test('C021 OPTIONS needs no secret', async () => {
    const answer = await service.send('/v1/shape', { method: 'OPTIONS' });
    expect([answer.status, answer.text]).toEqual([204, '']);
  });

  test('C030 nothing else is guarded', async () => {
    const statuses = [];
    for (const path of ['/', '/v1/health', '/nope']) statuses.push((await service.send(path)).status);
    expect(statuses).toEqual([200, 200, 404]);
    expect((await service.send('/v1/shape?offset=-1', { method: 'PUT' })).status).toBe(404);
  });

  test('a 401 shows its status to a browser', async () => {
    expectCors(await service.shape({ offset: '-1' }, { headers: { origin: 'https://a.example' } }));
  });

  test('C259 a shape is not deleted without the secret', async () => {
    const query = fresh();
    const { handle } = await service.open({ ...query, secret });
    for (const form of [query, { handle }, { ...query, handle }, { ...query, secret: 'wrong' }]) {
      const path = shapePath('where' in form ? form : { table: undefined, ...form });
      expectUnauthorized(await service.send(path, { method: 'DELETE' }));
    }
    expect((await service.open({ ...query, secret })).handle).toBe(handle);
  });

  test('a shape is read to its end with the secret in every request', async () => {
    const { handle, offset } = await service.read({ secret });
    expectUnauthorized(await service.shape({ handle, offset }));
    expectUnauthorized(await service.shape({ handle, offset, live: 'true' }));
    const tag = header(await service.shape({ offset: '-1', secret }), 'etag');
    expectUnauthorized(await service.shape({ offset: '-1' }, { headers: { 'if-none-match': tag } }));
    expect((await service.shape({ handle, offset, secret })).status).toBe(200);
  });

  test('C031 no log has a secret, right or wrong, however it was sent', async () => {
    const mark = 'wr0ng-and-unique';
    const sent = [
      `secret=${mark}`,
      `api_secret=${mark}`,
      `%73ecret=${mark}`,
      `secret[]=${mark}`,
      `secret=s3cr3t&token=${mark}&access_token=${mark}&api_key=${mark}&password=${mark}`,
      `secret=s3cr3t&api_secret=${mark}&offset=foo`,
      `secret=${mark}&x=%zz`,
    ];
    for (const method of METHODS) {
      for (const query of sent) await service.send(`/v1/shape?table=items&offset=-1&${query}`, { method });
    }
    for (const path of ['/v1/shape/', '/', '/v1/health', '/nope']) await service.send(`${path}?secret=${mark}`);
    await service.send(`/v1/shape?table=items&offset=-1&secret=s3cr3t&where=id%20=%204711`);
    const written = await waitFor(async () => {
      const text = await logs();
      return text.includes('4711') ? text : undefined;
    });
    expect(written).toContain('secret=[REDACTED]');
    expect(written).toContain('access_token=[REDACTED]');
    for (const hidden of [mark, 's3cr3t', encodeURIComponent(SECRETS[1] as string)]) {
      expect(written.split(hidden)).toHaveLength(1);
    }
  });
});

describe('start-up', () => {
  const env = {
    SHAPECAST_NATS_URL: 'nats://127.0.0.1:1',
    SHAPECAST_REDIS_URL: 'redis://127.0.0.1:1',
    ELECTRIC_PORT: '0',
  };

  test.each([
    ['both a secret and insecure mode', { ELECTRIC_SECRET: 'h1dden', ELECTRIC_INSECURE: 'true' }],
    ['neither', {}],
    ['an empty secret', { ELECTRIC_SECRET: '' }],
    ['a list of empty secrets', { ELECTRIC_SECRET: ',,' }],
    ['insecure mode switched off', { ELECTRIC_INSECURE: 'false' }],
  ])('C032 %s is refused, in words', async (_name, choice) => {
    const program = runService('api', { ...env, ...choice });
    expect(await program.ended).toBe(1);
    expect(program.output).toContain('ELECTRIC_SECRET');
    expect(program.output).toContain('ELECTRIC_INSECURE');
    expect(program.output).not.toContain('h1dden');
    expect(program.output).not.toMatch(/\bat .*\.ts:\d/);
  });
});

test('a service with a secret refuses parameters only for those who know it', async () => {
  expectInvalid(await service.shape({ offset: 'foo', secret }), { offset: ['has invalid format'] });
});
