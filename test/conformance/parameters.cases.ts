import { beforeAll, describe, expect, test } from 'vitest';
import {
  expectInvalid,
  expectRefetch,
  header,
  messages,
  rows,
  shapePath,
  type ConformanceService,
  type Query,
} from './support/service.ts';

const missing = (schema: string, name: string) =>
  `Table "${schema}"."${name}" does not exist. If the table name contains capitals or special characters you must quote it.`;
const BLANK = ["can't be blank"];
const INVALID = ['is invalid'];

/** Spec H 28.5, and sections 6 and 7 where they say more. */
export function describeParameters(service: () => ConformanceService): void {
  const handle = async (query: Query = {}) => (await service().open(query)).handle;
  /** The handle of `GET /v1/shape?<query>`, undecoded. */
  const handleOf = async (query: string) => {
    const answer = await service().send(`/v1/shape?${query}`);
    expect(answer.status, `${query}: ${answer.text}`).toBe(200);
    return header(answer, 'electric-handle');
  };
  const ids = async (query: Query) => rows((await service().read(query)).messages).map((row) => row.value?.['id']);

  describe('parameters', () => {
    beforeAll(async () => {
      await service().db.query(`
        insert into items values (1, 'one'), (2, 'two'), (3, ''' OR 1=1 --');
        insert into wide values (1, 'a', 'b', 'c');
        insert into users values (1, 'ann', 'x'), (2, 'bob', 'y');
        insert into moods values (1, 'sad'), (2, 'happy');
        create view items_view as select * from items;
        create materialized view items_kept as select * from items;
        create foreign data wrapper nowhere;
        create server nowhere foreign data wrapper nowhere;
        create foreign table items_away (id int) server nowhere;
        create sequence items_seq;
        create table "Ärger" (id int primary key, "Größe" text);
        create schema "My Schema";
        create table "My Schema"."T" (id int primary key)`);
    });

    const offset: readonly (readonly [string, string, Record<string, unknown>])[] = [
      ['C037 no offset', 'table=items', { offset: BLANK }],
      ['C038 an empty offset', 'table=items&offset=', { offset: BLANK }],
      ['QP-3 a blank offset', 'table=items&offset=%20%09', { offset: BLANK }],
      ...[
        'foo',
        '10',
        '1_2_3',
        '0_-1',
        '-2',
        '1_2%20',
        '1.5_0',
        '0_INF',
        '%2b1_0',
        '-0_0',
        '0x1_0',
        '-1_1',
        '-1_',
        'NOW',
        '1_2_',
        '%d9%a3_0',
      ].map(
        (text) => [`C039 offset ${text}`, `table=items&offset=${text}`, { offset: ['has invalid format'] }] as const,
      ),
      ['C041 no table', 'offset=-1', { table: BLANK }],
      ['C041 an empty table', 'offset=-1&table=', { table: BLANK }],
      [
        'C042 a concrete offset without handle',
        'table=items&offset=0_0',
        { handle: ["can't be blank when offset != -1"] },
      ],
      ['QP-3 a blank handle', 'table=items&offset=0_inf&handle=+', { handle: ["can't be blank when offset != -1"] }],
      ['C043 live from the start', 'table=items&offset=-1&live=true', { live: ["can't be true when offset == -1"] }],
      ['C044 live from now', 'table=items&offset=now&live=true', { live: ["can't be true when offset is 'now'"] }],
      [
        'C045 events without live',
        'table=items&offset=0_0&handle=H&live_sse=true',
        { live_sse: ["can't be true unless live is also true"] },
      ],
      [
        'C045 events without live, old spelling',
        'table=items&offset=0_0&handle=H&experimental_live_sse=true',
        { live_sse: ["can't be true unless live is also true"] },
      ],
      [
        'C045 events with live=false',
        'table=items&offset=0_0&handle=H&live=false&live_sse',
        { live_sse: ["can't be true unless live is also true"] },
      ],
      [
        'C046 experimental_live_sse=maybe',
        'table=items&offset=0_0&handle=H&experimental_live_sse=maybe',
        { live_sse: INVALID },
      ],
      ...['live', 'live=', 'live=0', 'live=False', 'live=1', 'live=%20', 'live=false&live'].map(
        (text) =>
          [
            `C048 ${text} is live`,
            `table=items&offset=-1&${text}`,
            { live: ["can't be true when offset == -1"] },
          ] as const,
      ),
      ['C049 a type comes before the offset', 'table=items&offset=foo&replica=bar', { replica: INVALID }],
      ['C050 all types at once', 'table=items&offset=-1&replica=bar&log=baz', { replica: INVALID, log: INVALID }],
      [
        'C050 all types at once, even more of them',
        'table[]=items&offset[]=-1&handle[x]=1&where[]=x&columns[a]=id&queryable_columns[b]=id&experimental_compaction=2&params=x',
        {
          table: INVALID,
          offset: INVALID,
          handle: INVALID,
          where: INVALID,
          columns: INVALID,
          queryable_columns: INVALID,
          experimental_compaction: INVALID,
          params: INVALID,
        },
      ],
      ['stages: offset before handle and table', 'offset=foo&live=true', { offset: ['has invalid format'] }],
      ['stages: handle before live_sse', 'offset=0_0&live_sse=true', { handle: ["can't be blank when offset != -1"] }],
      ['stages: live before table', 'offset=-1&live=true', { live: ["can't be true when offset == -1"] }],
      [
        'QP-5 True is not a boolean',
        'table=items&offset=-1&experimental_compaction=True',
        { experimental_compaction: INVALID },
      ],
      ['PA-9 replica is case-sensitive', 'table=items&offset=-1&replica=FULL', { replica: INVALID }],
    ];
    test.each(offset)('%s', async (_name, query, errors) => {
      expectInvalid(await service().send(`/v1/shape?${query}`), errors);
    });

    test('C040 offset -1_0 is -1', async () => {
      const first = await service().open();
      const answer = await service().shape({ offset: '-1_0', handle: 'bogus' });
      expect([answer.status, answer.text]).toEqual([200, first.answer.text]);
      expect(header(answer, 'etag')).toBe(header(first.answer, 'etag'));
      expect(header(answer, 'cache-control')).toContain('s-maxage=3600');
    });

    test('C047 live=false is not live', async () => {
      for (const query of ['live=false', 'live&live=false', 'live=false&live_sse=false']) {
        expect(await handleOf(`table=items&offset=-1&${query}`)).toBe(await handle());
      }
    });

    test('C051, QP-3 empty and blank values count as absent', async () => {
      const plain = await handle();
      const names = [
        'replica',
        'log',
        'where',
        'columns',
        'queryable_columns',
        'params',
        'experimental_compaction',
        'experimental_live_sse',
        'handle',
        'cursor',
      ];
      for (const value of ['', '=', '=%20', '=+%09']) {
        expect(await handleOf(`table=items&offset=-1&${names.map((name) => name + value).join('&')}`)).toBe(plain);
      }
    });

    test('QP-1 the last of repeated keys wins, and + is a space', async () => {
      expect(await handleOf('table=nope&offset=foo&offset=-1&table=items')).toBe(await handle());
      expect(await handleOf('table=items&offset=-1&where=id+=+1')).toBe(await handle({ where: 'id = 1' }));
    });

    test('QP-5 booleans are true, 1, false and 0', async () => {
      for (const value of ['true', '1', 'false', '0']) {
        expect(await handleOf(`table=items&offset=-1&experimental_compaction=${value}`)).toBe(await handle());
      }
    });

    const table: readonly (readonly [string, string, string])[] = [
      ['C052 no such table', 'none', missing('public', 'none')],
      ['C054 dots and capitals need quotes', 'Odd.Name', missing('odd', 'name')],
      ['C056 three parts', 'a.b.c', 'Invalid relation identifier, too many delimiters: a.b.c'],
      ['C057 a blank', 'it ems', 'Invalid unquoted identifier contains special characters: it ems'],
      ['PA-1 a leading digit', '1items', 'Invalid unquoted identifier contains special characters: 1items'],
      ['PA-1 a blank around a name', ' items', 'Invalid unquoted identifier contains special characters:  items'],
      [
        'PA-1 SQL',
        'items;drop table items',
        'Invalid unquoted identifier contains special characters: items;drop table items',
      ],
      ['C058 an empty schema', '.items', 'Invalid zero-length delimited identifier'],
      ['C058 an empty name', 'public.', 'Invalid zero-length delimited identifier'],
      ['C058 quotes around nothing', '""', 'Invalid zero-length delimited identifier'],
      ['PA-1 a lone quote', '"a"b"', 'Invalid identifier with unescaped quote: a"b'],
      ['C059 64 characters', 'a'.repeat(64), 'Identifier is too long (max length is 63)'],
      ['C059 64 characters in quotes', `"${'a'.repeat(64)}"`, 'Identifier is too long (max length is 63)'],
      ['PA-1 63 characters of two bytes', 'ä'.repeat(63), missing('public', 'ä'.repeat(63))],
      ['C060 a view', 'items_view', missing('public', 'items_view')],
      ['C060 a materialised view', 'items_kept', missing('public', 'items_kept')],
      ['C060 a foreign table', 'items_away', missing('public', 'items_away')],
      ['C060 a sequence', 'items_seq', missing('public', 'items_seq')],
      ['C060 an index', 'items_pkey', missing('public', 'items_pkey')],
      ['PA-1 folding stops at ASCII', 'ärger', missing('public', 'ärger')],
      ['PA-1 a backslash and quotes', '"a\\"";--"', missing('public', 'a\\";--')],
    ];
    test.each(table)('%s', async (_name, name, text) => {
      expectInvalid(await service().shape({ table: name, offset: '-1' }), { table: [text] });
    });

    test('C053 one table has many spellings', async () => {
      const plain = await handle();
      for (const name of ['ITEMS', 'public.items', '"items"', '"public".items', 'Public."items"', '"public"."items"']) {
        expect(await handle({ table: name })).toBe(plain);
      }
    });

    test('C055, PA-1 quoted names keep case, dots and blanks', async () => {
      expect((await service().open({ table: '"Odd.Name"' })).answer.status).toBe(200);
      expect((await service().open({ table: '"My Schema"."T"' })).answer.status).toBe(200);
      expect(await handle({ table: 'Ärger' })).toBe(await handle({ table: '"Ärger"' }));
    });

    const where: readonly (readonly [string, Query, Record<string, unknown>])[] = [
      ['C061 syntax', { where: '1 x 1' }, { where: ['At location 17: syntax error at or near "x"'] }],
      ['C062 an unknown column', { where: 'foo = 1' }, { where: ['At location 0: unknown reference foo'] }],
      ['C063 no boolean', { where: 'id + 1' }, { where: ['WHERE clause must return a boolean'] }],
      ['C064 two statements', { where: 'id = 1; SELECT 1' }, { where: ['unescaped ";" causing statement split'] }],
      ['C065 more clauses', { where: 'id = 1 ORDER BY id' }, { where: ['malformed query ending with SQL clauses'] }],
      [
        'C069 params by name',
        { where: 'id = $1', 'params[a]': '1' },
        { params: ['Parameters can only use numbers as keys'] },
      ],
      [
        'C070 params that do not start at 1',
        { where: 'id = $1', 'params[2]': '1' },
        { params: ['Parameters must be numbered sequentially, starting from 1'] },
      ],
      [
        'C070 params with a gap',
        { where: 'id = $1', 'params[1]': '1', 'params[3]': '1' },
        { params: ['Parameters must be numbered sequentially, starting from 1'] },
      ],
      ['C071 params as JSON', { where: 'id = $1', params: '{"1":"1"}' }, { params: INVALID }],
      ['C071 params as JSON, for a clause without any', { where: 'id = 1', params: '{"1":"x"}' }, { params: INVALID }],
      ['C071 params as JSON, without clause', { params: '{"1":"x"}' }, { params: INVALID }],
      ['C071 params as a list', { where: 'id = $1', 'params[]': '1' }, { params: INVALID }],
      ['C071 params that nest', { where: 'id = $1', 'params[1][2]': '1' }, { params: INVALID }],
      [
        'C074 columns without the key',
        { table: 'wide', columns: 'v1' },
        { columns: ['The list of columns must include all primary key columns, missing: id'] },
      ],
      [
        'C074 columns without a composite key',
        { table: 'cpk', columns: 'third' },
        {
          columns: [
            expect.stringMatching(
              /^The list of columns must include all primary key columns, missing: (first, second|second, first)$/,
            ),
          ],
        },
      ],
      [
        'C075 an unknown column in the list',
        { table: 'wide', columns: 'id,nope' },
        { columns: ['The following columns are not found on the table: nope'] },
      ],
      [
        'C075 two unknown columns',
        { table: 'wide', columns: 'id,nope,no2' },
        { columns: ['The following columns are not found on the table: nope, no2'] },
      ],
      [
        'PA-2 system columns are no columns',
        { table: 'wide', columns: 'id,xmin,ctid' },
        { columns: ['The following columns are not found on the table: xmin, ctid'] },
      ],
      ['C076 an empty element', { columns: 'id,' }, { columns: ['Invalid zero-length delimited identifier'] }],
      ['PA-3 an empty element in list form', { 'columns[]': '' }, { columns: ['Invalid zero-length identifier'] }],
      [
        'PA-2 the list form is not unquoted',
        { 'columns[]': '"id"' },
        { columns: ['The list of columns must include all primary key columns, missing: id'] },
      ],
      [
        'C077 blanks are not trimmed',
        { columns: 'id, title' },
        { columns: ['Invalid unquoted identifier contains special characters:  title'] },
      ],
      [
        'C080 a table without key needs all its columns',
        { table: 'nopk', columns: 'a' },
        { columns: ['The list of columns must include all primary key columns, missing: b'] },
      ],
      [
        'C082 a column outside queryable_columns',
        { table: 'users', queryable_columns: 'id,name', columns: 'id,secret_token' },
        { columns: ['The following columns are not found on the table: secret_token'] },
      ],
      [
        'C084 queryable_columns without the key',
        { table: 'users', queryable_columns: 'name' },
        { queryable_columns: ['The list of queryable columns must include all primary key columns, missing: id'] },
      ],
      [
        'PA-4 queryable_columns that do not exist',
        { table: 'users', queryable_columns: 'id,nope' },
        { queryable_columns: ['The following queryable columns are not found on the table: nope'] },
      ],
    ];
    test.each(where)('%s', async (_name, query, errors) => {
      expectInvalid(await service().shape({ ...query, offset: '-1' }), errors);
    });

    test('every refusal is the same for GET, HEAD and POST, for any offset', async () => {
      for (const [query, errors] of [
        [{ where: '1 x 1' }, { where: ['At location 17: syntax error at or near "x"'] }],
        [{ table: 'none' }, { table: [missing('public', 'none')] }],
      ] as const) {
        for (const at of ['-1', 'now', '0_0', '0_inf', '26800000_4']) {
          const path = shapePath({ ...query, offset: at, ...(at.includes('_') && { handle: 'H' }) });
          expectInvalid(await service().send(path), errors);
          const head = await service().send(path, { method: 'HEAD' });
          expect([head.status, head.text, head.headers['cache-control']]).toEqual([400, '', 'no-store']);
          const post = await service().send(path, { method: 'POST' });
          expect([post.status, post.headers['cache-control'], JSON.parse(post.text)]).toEqual([
            400,
            'no-cache',
            { message: 'Invalid request', errors },
          ]);
          expect(post.headers).not.toHaveProperty('surrogate-control');
        }
      }
    });

    test('C066 a clause above 65,536 bytes is refused whichever way it came', async () => {
      const clause = (length: number) => `title = '${'x'.repeat(length)}'`;
      const post = async (where: string) => {
        const body = JSON.stringify({ subset: { limit: 1 }, table: 'items', where, offset: '-1' });
        return service().send('/v1/shape', { method: 'POST', body });
      };
      const answer = await post(clause(65_536));
      const { errors } = JSON.parse(answer.text) as { errors: Record<string, string[]> };
      expect([answer.status, Object.keys(errors)]).toEqual([400, ['where']]);
      expect(errors['where']?.[0]).toContain('bigger than maximum size');
    });

    test('C067, PA-8 parameters are values of the clause, and make no other shape', async () => {
      const plain = await handle({ where: 'id = 1' });
      expect(await handle({ where: 'id = $1', 'params[1]': '1' })).toBe(plain);
      expect(await handleOf('table=items&offset=-1&where=id%20%3D%20%241&params%5B1%5D=1')).toBe(plain);
      expect(await handle({ where: 'id=$2', 'params[1]': '9', 'params[2]': '1' })).toBe(plain);
      expect(await handle({ where: 'id = 1', 'params[1]': 'surplus' })).toBe(plain);
      expect(await handle({ 'params[a]': 'not looked at' })).toBe(await handle());
    });

    test('C068 a parameter that is missing is named', async () => {
      const answer = await service().shape({ where: 'id = $2', 'params[1]': '1', offset: '-1' });
      const { errors } = JSON.parse(answer.text) as { errors: Record<string, string[]> };
      expect([answer.status, Object.keys(errors)]).toEqual([400, ['where']]);
      expect(errors['where']?.[0]).toContain('parameter $2 was not provided');
    });

    test('C072 a parameter is never part of the text', async () => {
      expect(await ids({ where: 'title = $1', 'params[1]': "' OR 1=1 --" })).toEqual(['3']);
      expect(await ids({ where: 'title = $1', 'params[1]': "x' OR '1'='1" })).toEqual([]);
    });

    test('params of a POST body may be JSON scalars', async () => {
      const post = async (params: unknown) => {
        const body = JSON.stringify({ subset: { limit: 10 }, where: 'id = $1', params });
        return service().shape({ offset: '-1' }, { method: 'POST', body });
      };
      const invalid = { message: 'Invalid request', errors: { params: INVALID } };
      for (const params of [{ 1: null }, { 1: { a: 1 } }, ['1'], '{"1":1}', 7]) {
        const answer = await post(params);
        expect([answer.status, JSON.parse(answer.text)]).toEqual([400, invalid]);
      }
      for (const params of [{ 1: 1 }, { 1: '1' }]) expect((await post(params)).text).not.toContain('"params"');
    });

    test('C073 listed columns are what there is, in any order and form', async () => {
      const { answer, handle: listed } = await service().open({ table: 'wide', columns: 'id,v1' });
      expect(rows(messages(answer)).map((row) => row.value)).toEqual([{ id: '1', v1: 'a' }]);
      expect(Object.keys(JSON.parse(header(answer, 'electric-schema')) as object)).toEqual(['id', 'v1']);
      expect(await handle({ table: 'wide', columns: '"v1","id"' })).toBe(listed);
      expect(await handle({ table: 'wide', columns: 'ID,V1' })).toBe(listed);
      expect(await handle({ table: 'wide', columns: 'id,v1,id' })).toBe(listed);
      expect(await handleOf('table=wide&offset=-1&columns[]=v1&columns[]=id')).toBe(listed);
      expect(await handleOf('table=wide&offset=-1&columns%5B%5D=v1&columns%5B%5D=id')).toBe(listed);
    });

    test('C078 quoted columns keep case and commas', async () => {
      const { answer } = await service().open({ table: '"Odd.Name"', columns: '"Id","a,b"' });
      expect(Object.keys(JSON.parse(header(answer, 'electric-schema')) as object)).toEqual(['Id', 'a,b']);
      const { answer: third } = await service().open({ table: '"Odd.Name"', columns: '"Id","say ""hi"""' });
      expect(Object.keys(JSON.parse(header(third, 'electric-schema')) as object)).toEqual(['Id', 'say "hi"']);
    });

    test('C079 all columns, and a list that names them all, are two shapes', async () => {
      expect(await handle({ table: 'wide', columns: 'id,v1,v2,v3' })).not.toBe(await handle({ table: 'wide' }));
    });

    test('C080 a table without key takes the list of all its columns', async () => {
      expect((await service().open({ table: 'nopk', columns: 'b,a' })).answer.status).toBe(200);
    });

    test('C081 queryable_columns are what is selected when nothing else is', async () => {
      const { answer, handle: limited } = await service().open({ table: 'users', queryable_columns: 'id,name' });
      expect(rows(messages(answer)).map((row) => Object.keys(row.value ?? {}))).toEqual([
        ['id', 'name'],
        ['id', 'name'],
      ]);
      expect(answer.text).not.toContain('secret_token');
      expect(header(answer, 'electric-schema')).not.toContain('secret_token');
      expect(await handle({ table: 'users', columns: 'id,name' })).toBe(limited);
      expect(await handle({ table: 'users', columns: 'id,name', queryable_columns: 'name,id' })).toBe(limited);
    });

    test('PA-4 queryable_columns are checked on every request', async () => {
      const { handle: whole, offset: at } = await service().read({ table: 'users' });
      const query = { table: 'users', handle: whole, offset: at };
      expect((await service().shape(query)).status).toBe(200);
      expectRefetch(
        await service().shape({ ...query, queryable_columns: 'id,name' }),
        await handle({ table: 'users', queryable_columns: 'id,name' }),
      );
      expectInvalid(await service().shape({ ...query, queryable_columns: 'id,nope' }), {
        queryable_columns: ['The following queryable columns are not found on the table: nope'],
      });
    });

    test('C083 queryable_columns do not limit the clause of the shape', async () => {
      expect(await ids({ table: 'users', queryable_columns: 'id,name', where: "secret_token = 'x'" })).toEqual(['1']);
    });

    test('a clause that a row of the table makes fail is refused, since asking again would not help', async () => {
      await service().db.query(`insert into parent values (5, true)`);
      expectInvalid(await service().shape({ table: 'parent', where: '10 / (id - 5) > 1', offset: '-1' }), {
        where: ['division by zero'],
      });
      await service().db.query('delete from parent where id = 5');
      expect((await service().shape({ table: 'parent', where: '10 / (id - 5) > 1', offset: '-1' })).status).toBe(200);
    });

    test('C088 an enum is compared with its labels (where-clauses W 2.1), and as text', async () => {
      for (const clause of ["mood = 'sad'", "mood::text = 'sad'"]) {
        expect(await ids({ table: 'moods', where: clause })).toEqual(['1']);
      }
      expectInvalid(await service().shape({ table: 'moods', where: "mood = 'angry'", offset: '-1' }), {
        where: ['At location 7: invalid syntax for type enum mood: angry'],
      });
    });

    test('ER-1 a refusal of a clause shows no SQL but the words of the client', async () => {
      for (const clause of ["id = 'x'", 'pg_sleep(1)', 'id = (select 1)', "title::regclass = 'items'", 'id = 1 --']) {
        const { text } = await service().shape({ where: clause, offset: '-1' });
        expect(text).not.toMatch(/select .* from|pg_catalog|node_modules|\.ts:|postgres(ql)?:\/\//i);
      }
    });
  });

  describe('POST bodies', () => {
    const post = (query: Query, body: string) => service().shape({ offset: '-1', ...query }, { method: 'POST', body });

    test.each([
      ['QP-8 an empty body', ''],
      ['QP-8 white space', ' \n'],
      ['QP-8 an empty object', '{}'],
      [
        'QP-9 form 3, and unknown members',
        '{"foo":1,"cache-buster":{},"__proto__":{"replica":"full"},"constructor":1}',
      ],
    ])('%s is read as GET', async (_name, body) => {
      const answer = await post({}, body);
      expect([answer.status, answer.headers['electric-handle']]).toEqual([200, await handle()]);
      expect(answer.headers['cache-control']).toBe('no-cache');
    });

    test('QP-9 members of a body are parameters, and win over the URL', async () => {
      const full = await handle({ table: 'wide', replica: 'full', columns: 'id,v1' });
      const answer = await service().send('/v1/shape?offset=-1&replica=default', {
        method: 'POST',
        body: '{"table":"wide","replica":"full","columns":["v1","id"],"live":false,"log":null}',
      });
      expect([answer.status, answer.headers['electric-handle']]).toEqual([200, full]);
    });

    test('QP-10 JSON false is not live, true is', async () => {
      expect((await post({}, '{"live":false,"live_sse":false}')).status).toBe(200);
      const answer = await post({}, '{"live":true}');
      expect(JSON.parse(answer.text)).toEqual({
        message: 'Invalid request',
        errors: { live: ["can't be true when offset == -1"] },
      });
    });

    test.each([
      ['{', 'Invalid JSON in request body'],
      ['{"a":1}x', 'Invalid JSON in request body'],
      ['[1]', 'Request body must be a JSON object'],
      ['"x"', 'Request body must be a JSON object'],
      ['null', 'Request body must be a JSON object'],
      ['1', 'Request body must be a JSON object'],
    ])('QP-8 the body %s is refused', async (body, error) => {
      const answer = await post({}, body);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text)).toEqual(
        error.startsWith('Invalid') ? { error, details: expect.any(String) as string } : { error },
      );
      expect(answer.headers).toMatchObject({
        'content-type': 'application/json; charset=utf-8',
        'cache-control': 'no-store',
      });
    });

    test('QP-9 a subset that is not an object is refused', async () => {
      const answer = await post({}, '{"subset":"x"}');
      expect([answer.status, JSON.parse(answer.text)]).toEqual([
        400,
        { message: 'Invalid request', errors: { subset: INVALID } },
      ]);
    });

    test('the body of a GET is not looked at', async () => {
      const answer = await service().shape({ offset: '-1' }, { body: '{"replica":"full"}' });
      expect([answer.status, answer.headers['electric-handle']]).toEqual([200, await handle()]);
    });
  });
}
