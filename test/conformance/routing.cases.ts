import { connect } from 'node:net';
import { request } from 'node:http';
import { describe, expect, test } from 'vitest';
import { send } from './support/http.ts';
import { exchangeBytes } from './support/raw.ts';
import { expectInvalid, header, shapePath, type ConformanceService } from './support/service.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
const HEALTH = /^\{"status":"(active|waiting|starting)"\}$/;

/** Spec H 28.1 and section 2. */
export function describeRouting(service: () => ConformanceService): void {
  describe('routing', () => {
    test('C001, C002 the root answers 200 without a body', async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await service().send('/', { method });
        expect([answer.status, answer.text]).toEqual([200, '']);
        expect(answer.headers['cache-control']).toBe('no-store');
      }
    });

    const unknown: readonly (readonly [method: string, path: string])[] = [
      ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [method, '/'] as const),
      ...['/nope', '/v1', '/v1/', '/v1/shapes', '/v2/shape', '/%zz', '/v1/shape%', '//', '/V1/shape', '/v1/SHAPE'].map(
        (path) => ['GET', path] as const,
      ),
      ...['POST', 'PUT', 'DELETE', 'OPTIONS'].map((method) => [method, '/nope'] as const),
      ...['PUT', 'PATCH', 'PROPFIND', 'TRACE'].map((method) => [method, '/v1/shape?table=routed&offset=-1'] as const),
      ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'].map((method) => [method, '/v1/health'] as const),
      ['GET', '/v1/health/'],
    ];
    test.each(unknown)('C003-C006 %s %s is not found', async (method, path) => {
      const answer = await service().send(path, { method });
      expect([answer.status, answer.text]).toEqual([404, 'Not found']);
      expect(answer.headers).toMatchObject({
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        'electric-server': expect.stringMatching(/^\w+\/\d/) as string,
      });
      expect(answer.headers).not.toHaveProperty('allow');
    });

    test('C004 HEAD of an unknown path is a 404 without a body', async () => {
      const answer = await service().send('/nope', { method: 'HEAD' });
      expect([answer.status, answer.text]).toEqual([404, '']);
    });

    test('C005 a method that is not one of the shape endpoint creates no shape', async () => {
      await service().db.query('create table routed (id int primary key)');
      for (const method of ['PUT', 'PATCH']) await service().send('/v1/shape?table=routed&offset=-1', { method });
      const removed = await service().send('/v1/shape?table=routed', { method: 'DELETE' });
      expect(removed.text).toBe('{"message":"No existing shape found"}');
    });

    test('C007 an answer has its type, the server and a request id', async () => {
      const { answer } = await service().open();
      expect(answer.headers['content-type']).toBe(JSON_TYPE);
      expect(answer.headers['electric-server']).toMatch(/^\w+\/\d/);
      expect(answer.headers['x-request-id']).toMatch(/^.{20,200}$/);
      expect(answer.headers).not.toHaveProperty('x-powered-by');
    });

    test.each(['/v1/shape?table=items&offset=-1', '/v1/shape', '/v1/health', '/', '/nope'])(
      'C008 %s echoes a request id of 20 to 200 bytes and makes another one else',
      async (path) => {
        for (const length of [20, 36, 200]) {
          const id = 'r'.repeat(length);
          const answer = await service().send(path, { headers: { 'x-request-id': id } });
          expect(answer.headers['x-request-id']).toBe(id);
        }
        for (const length of [5, 19, 201]) {
          const id = 'r'.repeat(length);
          const made = header(await service().send(path, { headers: { 'x-request-id': id } }), 'x-request-id');
          expect(made).not.toBe(id);
          expect(made).toMatch(/^.{20,200}$/);
        }
      },
    );

    test('C009 HEAD has the headers of GET, creates the shape, and has no body', async () => {
      const path = shapePath({ offset: '-1', where: 'id > 1000' });
      const head = await service().send(path, { method: 'HEAD' });
      const get = await service().send(path);
      expect([head.status, head.text, get.status]).toEqual([200, '', 200]);
      for (const name of [
        'electric-handle',
        'electric-offset',
        'electric-schema',
        'etag',
        'cache-control',
        'content-type',
      ]) {
        expect(head.headers[name], name).toBe(header(get, name));
      }
      expect(head.headers['electric-offset']).toBe('0_0');
      const { date: _a, 'x-request-id': _b, ...ofHead } = head.headers;
      const { date: _c, 'x-request-id': _d, ...ofGet } = get.headers;
      expect(Object.keys(ofHead).toSorted()).toEqual(Object.keys(ofGet).toSorted());
    });

    test('C010 HEAD with an invalid offset is a 400 without a body', async () => {
      const answer = await service().shape({ offset: 'foo' }, { method: 'HEAD' });
      expect([answer.status, answer.text]).toEqual([400, '']);
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-store', 'content-type': JSON_TYPE });
    });

    test('a HEAD that is live is held as GET is', async () => {
      const { handle, offset } = await service().read({ where: 'id > 2000' });
      const answer = await service().shape({ where: 'id > 2000', handle, offset, live: 'true' }, { method: 'HEAD' });
      expect([answer.status, answer.text]).toEqual([200, '']);
      expect(answer.headers).toMatchObject({ 'electric-up-to-date': '', 'electric-has-data': 'false' });
    });

    test.each(['x=%zz', 'x=%', 'x=%f', 'x=%ff', 'x=%c3%28', '%zz', '%ff=1', 'x=%ed%a0%80', 'table[%zz]=1'])(
      'C012 the malformed query %s is a 400',
      async (query) => {
        for (const method of ['GET', 'POST', 'DELETE']) {
          const answer = await service().send(`/v1/shape?table=items&offset=-1&${query}`, { method });
          expect([answer.status, answer.text]).toEqual([400, '{"message":"Invalid request","errors":{}}']);
          expect(answer.headers['content-type']).toBe(JSON_TYPE);
          expect(answer.headers['cache-control']).toBe(method === 'GET' ? 'no-store' : 'no-cache');
        }
      },
    );

    test('C013 a request line of 9,900 bytes is served', async () => {
      const where = Array.from({ length: 400 }, (_none, i) => `id=${100_000 + i}`).join(' or ');
      const path = `/v1/shape?table=items&offset=-1&where=${encodeURIComponent(where)}`;
      const padded = `${path}&x=${'a'.repeat(9_900 - path.length - 'GET  HTTP/1.1'.length - 3)}`;
      expect(`GET ${padded} HTTP/1.1`.length).toBe(9_900);
      const answer = await service().send(padded);
      expect([answer.status, answer.text.startsWith('[')]).toEqual([200, true]);
    });

    test('C014 the order of parameters and unknown ones do not matter', async () => {
      const { handle } = await service().open({ replica: 'full' });
      const pairs = ['table=items', 'offset=-1', 'replica=full'];
      const others = [
        'cache-buster=1',
        'expired_handle=x',
        'foo=bar',
        'foo[a]=1',
        'foo[]=2',
        'a[b][c]=1',
        '&',
        '=',
        'x',
      ];
      for (const query of [[...pairs].reverse(), [...others, ...pairs], [...pairs, ...others].reverse()]) {
        const answer = await service().send(`/v1/shape?${query.join('&')}`);
        expect([answer.status, answer.headers['electric-handle']]).toEqual([200, handle]);
      }
    });

    test('RT-4 the health endpoint is JSON, whatever its method', async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await service().send('/v1/health?x=%zz', { method });
        expect(answer.headers['content-type']).toBe(JSON_TYPE);
        expect(answer.text).toMatch(method === 'GET' ? HEALTH : /^$/);
      }
    });

    test('RT-4 a 304, a 409 and a 202 are JSON too', async () => {
      const { handle, answer } = await service().open({ where: 'id > 3000' });
      const tag = { 'if-none-match': header(answer, 'etag') };
      const answers = [
        await service().shape({ where: 'id > 3000', offset: '-1' }, { headers: tag }),
        await service().shape({ where: 'id > 3000', offset: '0_0', handle: 'other' }),
        await service().shape({ where: 'id > 3000', handle }, { method: 'DELETE' }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([304, 409, 202]);
      for (const { headers } of answers) expect(headers['content-type']).toBe(JSON_TYPE);
    });

    test('a request in absolute form is not the shape endpoint', async () => {
      const answer = await service().send(`${service().cluster.process('api-1').url}/v1/shape?table=items&offset=-1`);
      expect(answer.status).toBe(404);
    });
  });

  describe('limits of a request (RT-11)', () => {
    const api = () => service().cluster.process('api-1').url;
    const get = (path: string, headers = '') => `GET ${path} HTTP/1.1\r\nhost: x\r\n${headers}\r\n`;
    const url = (length: number) => `/v1/shape?table=items&offset=-1&x=${'a'.repeat(length)}`;

    test.each([33_000, 60_000, 66_000, 100_000, 140_000, 300_000, 2_000_000])(
      'a URL of %i bytes gets a 414 that can be read',
      async (length) => {
        for (const chunk of length < 200_000 ? [Infinity, 5_000] : [Infinity]) {
          const answer = await exchangeBytes(api(), get(url(length), 'connection: close\r\n'), chunk);
          expect([answer.status, answer.body]).toEqual([414, '']);
          expect(answer.head).toContain('cache-control: no-store');
          expect(answer.head).toContain('access-control-allow-origin: *');
        }
      },
    );

    test('the longest URL is served, whatever path it has', async () => {
      expect((await send(api(), url(32_768 - url(0).length))).status).toBe(200);
      expect((await send(api(), url(32_769 - url(0).length))).status).toBe(414);
      expect((await send(api(), `/nope?${'a'.repeat(40_000)}`)).status).toBe(414);
    });

    const block = (count: number, length: number) =>
      Array.from({ length: count }, (_none, i) => `x-${i}: ${'a'.repeat(length)}\r\n`).join('');
    test.each([
      ['one header of 70,000 bytes', block(1, 70_000)],
      ['10 headers of 9,000 bytes', block(10, 9_000)],
      ['100 headers of 9,000 bytes', block(100, 9_000)],
      ['201 headers', block(201, 1)],
      ['5,000 headers', block(5_000, 1)],
    ])('%s get a 431 that can be read', async (_name, headers) => {
      for (const path of ['/v1/shape?table=items&offset=-1', '/', url(30_000)]) {
        const answer = await exchangeBytes(api(), get(path, `connection: close\r\n${headers}`));
        expect([answer.status, answer.body]).toEqual([431, '']);
        expect(answer.head).toContain('cache-control: no-store');
      }
    });

    test('50 headers, and one of 10,000 bytes, are taken', async () => {
      const answer = await exchangeBytes(
        api(),
        get(url(1), `connection: close\r\n${block(45, 1)}x: ${'a'.repeat(10_000)}\r\n`),
      );
      expect(answer.status).toBe(200);
    });

    test.each([
      ['declared', (size: number) => [`content-length: ${size}\r\n`, 'a'.repeat(size)] as const],
      [
        'chunked',
        (size: number) =>
          ['transfer-encoding: chunked\r\n', `${size.toString(16)}\r\n${'a'.repeat(size)}\r\n0\r\n\r\n`] as const,
      ],
    ])('a %s body of 9 MB gets a 413 that can be read', async (_name, body) => {
      const [headers, bytes] = body(9_000_000);
      const socket = connect({ host: '127.0.0.1', port: Number(new URL(api()).port) });
      const text = await new Promise<string>((resolve, reject) => {
        let read = '';
        socket.on('data', (part: Buffer) => {
          read += part.toString('latin1');
          if (read.endsWith('}')) resolve(read);
        });
        socket.once('error', reject);
        socket.write(`POST ${url(1)} HTTP/1.1\r\nhost: x\r\n${headers}\r\n${bytes}`);
      });
      socket.destroy();
      expect(text).toMatch(/^HTTP\/1.1 413 /);
      expect(text).toMatch(/\{"error":"Request body too large"\}$/);
    });

    test.each([9_000_000, 60_000_000])('fetch and node:http read the 413 to a body of %i bytes', async (size) => {
      const path = '/v1/shape?table=items&offset=-1';
      const body = Buffer.alloc(size, 'a');
      const fetched = await fetch(`${api()}${path}`, { method: 'POST', body });
      expect([fetched.status, await fetched.json()]).toEqual([413, { error: 'Request body too large' }]);
      expect(fetched.headers.get('cache-control')).toBe('no-store');
      const sent = await send(api(), path, { method: 'POST', body });
      expect([sent.status, sent.text]).toEqual([413, '{"error":"Request body too large"}']);
    });

    test('a body of 8,000,000 bytes is read', async () => {
      const json = '{"replica":"full"}';
      const answer = await send(api(), '/v1/shape?table=items&offset=-1', {
        method: 'POST',
        body: json.padEnd(8_000_000),
      });
      expect(answer.status).toBe(200);
      const more = await send(api(), '/v1/shape?table=items&offset=-1', {
        method: 'POST',
        body: json.padEnd(8_000_001),
      });
      expect(more.status).toBe(413);
    });

    test('a body that never comes is not waited for where nobody wants it', async () => {
      const { hostname, port } = new URL(api());
      const status = await new Promise<number>((resolve, reject) => {
        const outgoing = request({
          hostname,
          port,
          path: '/nope',
          method: 'POST',
          headers: { 'content-length': 1_000 },
        });
        outgoing.once('response', (answer) => resolve(answer.statusCode ?? 0));
        outgoing.once('error', reject);
        outgoing.flushHeaders();
      });
      expect(status).toBe(404);
    });

    test.each([
      [
        'a body whose chunks are malformed',
        'POST',
        'transfer-encoding: chunked\r\n',
        'zz\r\n',
        '{"error":"Failed to read request body"}',
      ],
      ['no HTTP at all', 'NONSENSE', '', '', ''],
    ])('%s is a 400 that can be read', async (_name, method, headers, body, expected) => {
      const text = `${method} /v1/shape?table=items&offset=-1 HTTP/1.1\r\nhost: x\r\n${headers}\r\n${body}`;
      const answer = await exchangeBytes(api(), text);
      expect([answer.status, answer.body]).toEqual([400, expected]);
    });

    test('more than 1,000 parameters are a 400', async () => {
      expectInvalid(await send(api(), `/v1/shape?table=items&offset=-1${'&a=1'.repeat(1_000)}`), {});
    });
  });
}
