import { describe, expect, test } from 'vitest';
import { expectCors } from './cors.cases.ts';
import type { RawAnswer } from './support/http.ts';
import { expectRefetch, shapePath, type ConformanceService, type Query } from './support/service.ts';

/** Spec H 28.17 with deletion enabled; C250 is among the overload cases, C259 among those of authentication. */
export function describeDelete(service: () => ConformanceService): void {
  const remove = (query: Readonly<Record<string, string | undefined>>, body?: string) =>
    service().shape(query, { method: 'DELETE', ...(body !== undefined && { body }) });
  const open = async (query: Query) => (await service().open(query)).handle;
  const refused = (answer: RawAnswer, status: number, body: object) => {
    expect([answer.status, JSON.parse(answer.text)]).toEqual([status, body]);
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-cache',
    });
    expect(answer.headers).not.toHaveProperty('surrogate-control');
    expectCors(answer);
  };
  const NOT_FOUND = { message: 'No existing shape found' };
  const MISMATCH = {
    message:
      'The specified shape definition and handle do not match. Please ensure the shape definition is correct or omit the shape handle from the request to obtain a new one.',
  };

  describe('DELETE', () => {
    test('C251 a shape is deleted by its table, and the next reader gets a new one', async () => {
      const first = await open({ where: 'id > 50' });
      const answer = await remove({ where: 'id > 50' });
      expect([answer.status, answer.text]).toEqual([202, '']);
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-cache', 'electric-has-data': 'true' });
      expect(answer.headers).not.toHaveProperty('electric-handle');
      expectCors(answer);
      const second = await open({ where: 'id > 50' });
      expect(second).not.toBe(first);
      expectRefetch(await service().shape({ where: 'id > 50', offset: '0_inf', handle: first }), second);
    });

    test('DE-4 a request with the old handle makes the new shape', async () => {
      const first = await open({ where: 'id > 51' });
      await remove({ where: 'id > 51' });
      const answer = await service().shape({ where: 'id > 51', offset: '0_0', handle: first });
      const named = answer.headers['electric-handle'] as string;
      expectRefetch(answer, named);
      expect(named).toMatch(/./);
      expect(await open({ where: 'id > 51' })).toBe(named);
    });

    test('C252 by handle alone', async () => {
      const handle = await open({ where: 'id > 52' });
      expect((await service().send(`/v1/shape?handle=${handle}`, { method: 'DELETE' })).status).toBe(202);
      expect(await open({ where: 'id > 52' })).not.toBe(handle);
    });

    test('C253 a handle of another definition is refused, and nothing is deleted', async () => {
      const handle = await open({ where: 'id > 53' });
      const other = await open({ where: 'id > 54' });
      for (const wrong of ['wrong', other]) refused(await remove({ where: 'id > 53', handle: wrong }), 400, MISMATCH);
      expect(await open({ where: 'id > 53' })).toBe(handle);
      expect(await open({ where: 'id > 54' })).toBe(other);
      expect((await remove({ where: 'id > 53', handle })).status).toBe(202);
    });

    test('C254 what does not exist is not found', async () => {
      refused(await remove({ where: 'id > 55' }), 404, NOT_FOUND);
      refused(await remove({ where: 'id > 55', handle: 'unknown' }), 404, NOT_FOUND);
      for (const handle of ['unknown', '1-2', '../x', '*', '{t}', 'a'.repeat(1_000)]) {
        const path = `/v1/shape?handle=${encodeURIComponent(handle)}`;
        refused(await service().send(path, { method: 'DELETE' }), 404, NOT_FOUND);
      }
      refused(await remove({ table: 'none' }), 400, {
        message: 'Invalid request',
        errors: {
          table: [
            'Table "public"."none" does not exist. If the table name contains capitals or special characters you must quote it.',
          ],
        },
      });
    });

    test.each(['', 'handle=', 'table=&handle=%20', 'where=id%20%3D%201', 'offset=-1&live=true'])(
      'C255 %j names no shape',
      async (query) => {
        refused(await service().send(`/v1/shape?${query}`, { method: 'DELETE' }), 400, {
          message: 'Invalid request',
          errors: { handle: ["can't be blank when shape definition is missing"] },
        });
      },
    );

    test('C256 everything that defines the shape belongs to its name', async () => {
      const query = {
        table: 'wide',
        where: 'id > $1',
        'params[1]': '56',
        columns: 'id,v1',
        replica: 'full',
        log: 'changes_only',
      };
      const handle = await open(query);
      for (const name of ['where', 'columns', 'replica', 'log']) {
        refused(await remove({ ...query, [name]: undefined }), 404, NOT_FOUND);
      }
      refused(await remove({ table: 'wide', where: 'id > 56' }), 404, NOT_FOUND);
      refused(await remove({ ...query, 'params[1]': '57' }), 404, NOT_FOUND);
      expect(await open(query)).toBe(handle);
      const same = { ...query, table: 'public.wide', where: 'id > 56', 'params[1]': undefined, columns: '"v1",id' };
      expect((await remove(same)).status).toBe(202);
    });

    test('C256 queryable_columns define what is selected', async () => {
      await open({ table: 'users', queryable_columns: 'id,name', where: 'id > 56' });
      refused(await remove({ table: 'users', where: 'id > 56' }), 404, NOT_FOUND);
      expect((await remove({ table: 'users', where: 'id > 56', queryable_columns: 'id,name' })).status).toBe(202);
    });

    test.each([
      [{ live: 'banana' }, { live: ['is invalid'] }],
      [{ live_sse: 'False' }, { live_sse: ['is invalid'] }],
      [
        { live: 'banana', replica: 'x' },
        { live: ['is invalid'], replica: ['is invalid'] },
      ],
      [{ table: 'a.b.c' }, { table: ['Invalid relation identifier, too many delimiters: a.b.c'] }],
      [{ where: '1 x 1' }, { where: ['At location 17: syntax error at or near "x"'] }],
      [{ columns: 'title' }, { columns: ['The list of columns must include all primary key columns, missing: id'] }],
    ])('C257, DE-3 %j is refused', async (query, errors) => {
      refused(await remove(query), 400, { message: 'Invalid request', errors });
    });

    test('DE-3 offset, live and the like are not examined beyond their types', async () => {
      await open({ where: 'id > 57' });
      const query = { where: 'id > 57', offset: 'whatever', live: 'true', live_sse: '0', cursor: 'x', foo: 'bar' };
      expect((await remove(query)).status).toBe(202);
    });

    test('DE-2 the body is ignored', async () => {
      const handle = await open({ where: 'id > 58' });
      refused(await remove({ where: 'id > 59' }, JSON.stringify({ where: 'id > 58', handle })), 404, NOT_FOUND);
      expect((await remove({ where: 'id > 58' }, '{')).status).toBe(202);
    });

    test('C258 whoever is held gets a 409', async () => {
      const { handle, offset } = await service().read({ where: 'id > 60' });
      const query = { where: 'id > 60', handle, offset, live: 'true' };
      const polls = Array.from({ length: 5 }, () => service().shape(query));
      const events = await fetch(`${service().cluster.url}${shapePath({ ...query, live_sse: 'true' })}`);
      expect(events.status).toBe(200);
      expect((await remove({ where: 'id > 60' })).status).toBe(202);
      for (const answer of await Promise.all(polls)) expectRefetch(answer, answer.headers['electric-handle']);
      // The stream ends; its reader learns the rest from its next request (SS-7).
      expect(await events.text()).not.toContain('error');
    });

    test('C260 the second time there is nothing left', async () => {
      const handle = await open({ where: 'id > 61' });
      expect((await remove({ where: 'id > 61' })).status).toBe(202);
      refused(await remove({ where: 'id > 61' }), 404, NOT_FOUND);
      refused(await remove({ where: 'id > 61', handle }), 404, NOT_FOUND);
      refused(await service().send(`/v1/shape?handle=${handle}`, { method: 'DELETE' }), 404, NOT_FOUND);
    });

    test('C260 of many at once, one deletes', async () => {
      await open({ where: 'id > 62' });
      const answers = await Promise.all(Array.from({ length: 8 }, () => remove({ where: 'id > 62' })));
      expect(answers.map(({ status }) => status).toSorted()).toEqual([202, 404, 404, 404, 404, 404, 404, 404]);
    });
  });
}
