import { FetchError, snakeCamelMapper, type ShapeStreamOptions, type SubsetParams } from '@electric-sql/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { canonicalRows } from '../support/rows.ts';
import { connect, startClientCluster, type ClientCluster } from './support/client-cluster.ts';
import { collectWarnings } from './support/electric-warnings.ts';
import { RandomWriter } from './support/random-writer.ts';
import { WatchedShape } from './support/watched-shape.ts';

const METHODS = ['GET', 'POST'] as const;
const PAGES = 10;
/** What the client says of a 409 whose successor nobody has asked for yet (HD-7). */
const ROTATED = 'Received 409 response without a shape handle header';

/** C265: `log=changes_only` and the rows on screen as subsets, by both methods the client has (spec H 13). */
describe('C265 the TypeScript client with subsets', () => {
  let service: ClientCluster;
  let warnings: readonly string[];

  beforeAll(async () => {
    warnings = collectWarnings();
    service = await startClientCluster(
      `create table tasks (id int primary key, title text, project_id int, created_at timestamptz);
       insert into tasks select i, 'task ' || i, i % 3, '2026-01-01'::timestamptz + i * interval '1 day'
         from generate_series(1, 30) i;
       create table pages (id int primary key, v text);
       insert into pages select i, 'v' || i from generate_series(1, 10) i;
       ${METHODS.map((method) => RandomWriter.ddl(`busy_${method.toLowerCase()}`)).join('\n')}`,
    );
  });
  afterAll(async () => {
    await service.stop();
    vi.restoreAllMocks();
  });

  function open(table: string, more: Partial<ShapeStreamOptions> = {}): WatchedShape {
    const { signal } = service;
    return new WatchedShape({ url: service.shapeUrl, params: { table }, log: 'changes_only', signal, ...more });
  }

  describe.each(METHODS)('by %s', (subsetMethod) => {
    test('all pages of a table that is written to all the time add up to the table', async () => {
      const table = `busy_${subsetMethod.toLowerCase()}`;
      const writer = new RandomWriter(await connect(service.cluster.databaseUrl), table, 265);
      await writer.start();
      const watched = open(table, { subsetMethod });
      await watched.upToDate();
      let more = true;
      const writing = (async () => {
        while (more) await writer.write();
        for (let i = 0; i < 20; i += 1) await writer.write();
      })();
      try {
        for (let page = 0; page < PAGES; page += 1) {
          await watched.shape.requestSnapshot({ where: `id % ${PAGES} = $1`, params: { '1': String(page) } });
          const before = writer.count;
          await waitFor(() => writer.count > before + 5);
        }
      } finally {
        more = false;
      }
      await writing;
      await watched.holds(() => Promise.resolve(writer.states.at(-1) ?? []));
      expect(watched.requests.filter(({ status }) => status !== 200)).toEqual([]);
      expect(watched.messages.filter(({ headers }) => headers['control'] === 'subset-end').length).toBe(PAGES);
      expect(warnings.filter((warning) => !warning.includes(ROTATED))).toEqual([]);
      watched.stop();
    });

    test('a page is ordered, limited and parsed like other rows, and can be had without being followed', async () => {
      const watched = open('tasks', { subsetMethod });
      await watched.upToDate();
      const page: SubsetParams = { where: 'project_id = 1', orderBy: 'created_at DESC', limit: 3, offset: 1 };
      const { metadata, data } = await watched.stream.fetchSnapshot(page);
      expect(data.map(({ value }) => value['id'])).toEqual([25, 22, 19]);
      expect(data[0]).toMatchObject({
        key: '"public"."tasks"/"25"',
        headers: { operation: 'insert', snapshot_mark: metadata.snapshot_mark },
      });
      expect(BigInt(metadata.xmax)).toBeGreaterThanOrEqual(BigInt(metadata.xmin));
      expect(BigInt(metadata.database_lsn)).toBeGreaterThan(0n);
      expect(watched.rows).toEqual([]);
      const subset = watched.requests.find(({ headers }) => headers.get('electric-snapshot') === 'true');
      expect(subset?.method).toBe(subsetMethod);
      watched.stop();
    });

    test('a page that is the first request of a stream places the stream behind it', async () => {
      const watched = open('tasks', { subsetMethod, offset: 'now' });
      await watched.shape.requestSnapshot({ where: 'id <= 2', orderBy: 'id', limit: 10 });
      await service.db.query(`update tasks set title = title || '!' where id = 2`);
      await watched.holds(async () => {
        const { rows } = await service.db.query<Record<string, unknown>>(
          `select id, title, project_id, to_char(created_at, 'YYYY-MM-DD HH24:MI:SS+00') as created_at
           from tasks where id <= 2`,
        );
        return canonicalRows(rows);
      });
      watched.stop();
    });

    test('structured expressions and the names of the application', async () => {
      const watched = open('tasks', { subsetMethod, columnMapper: snakeCamelMapper() });
      await watched.upToDate();
      const { data } = await watched.stream.fetchSnapshot({
        whereExpr: {
          type: 'func',
          name: 'and',
          args: [
            {
              type: 'func',
              name: 'eq',
              args: [
                { type: 'ref', column: 'projectId' },
                { type: 'val', paramIndex: 1 },
              ],
            },
            {
              type: 'func',
              name: 'lt',
              args: [
                { type: 'ref', column: 'id' },
                { type: 'val', paramIndex: 2 },
              ],
            },
          ],
        },
        orderByExpr: [{ column: 'createdAt', direction: 'desc', nulls: 'last' }],
        params: { '1': '2', '2': '9' },
        limit: 2,
      });
      expect(data.map(({ value }) => [value['id'], value['projectId']])).toEqual([
        [8, 2],
        [5, 2],
      ]);
      watched.stop();
    });

    test('a page that cannot be is refused and the stream goes on', async () => {
      const watched = open('tasks', { subsetMethod });
      await watched.upToDate();
      const refused = await watched.stream.requestSnapshot({ limit: 3 }).catch((error: unknown) => error);
      expect(refused).toBeInstanceOf(FetchError);
      expect(refused).toMatchObject({
        status: 400,
        json: { errors: { subset: { order_by: ['order_by is required when limit or offset is present'] } } },
      });
      await watched.shape.requestSnapshot({ where: 'id = 3' });
      expect(watched.rows).toMatchObject([{ id: 3 }]);
      watched.stop();
    });

    test('after a rotation the shape asks for its pages again', async () => {
      const watched = open('pages', { subsetMethod });
      await watched.upToDate();
      await watched.shape.requestSnapshot({ where: 'id > 3', orderBy: 'id', limit: 20 });
      expect(watched.rows.length).toBeGreaterThan(0);
      await service.db.query(
        `begin; truncate pages; insert into pages select i, $1 || i from generate_series(2, 6) i; commit`.replace(
          '$1',
          `'${subsetMethod}'`,
        ),
      );
      await watched.holds(() =>
        Promise.resolve(canonicalRows([4, 5, 6].map((id) => ({ id, v: `${subsetMethod}${id}` })))),
      );
      expect(watched.count('must-refetch')).toBe(1);
      watched.stop();
    });
  });
});
