import { PGlite } from '@electric-sql/pglite';
import { electricSync } from '@electric-sql/pglite-sync';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { canonicalRows } from '../support/rows.ts';
import { ONE_OF_EACH, startClientCluster, type ClientCluster } from './support/client-cluster.ts';

const TRANSFERS = 60;

const openLocal = () => PGlite.create({ extensions: { electric: electricSync() } });
type Local = Awaited<ReturnType<typeof openLocal>>;

/** Postgres in the process, filled and kept up to date by the library that is made for it (spec H 24.3). */
describe('pglite-sync', () => {
  let service: ClientCluster;
  let local: Local;

  beforeAll(async () => {
    service = await startClientCluster(
      `create table todos (id int primary key, title text not null, tags text[], meta jsonb, big int8);
       insert into todos select i, 'todo ' || i, array['t' || i], jsonb_build_object('n', i), 9007199254740993 + i
         from generate_series(1, 50) i;
       create table accounts (id int primary key, balance int not null);
       insert into accounts select i, 100 from generate_series(1, 5) i;
       create table transfers (id int primary key, source int not null, target int not null, amount int not null);
       create table quiet (id int primary key, v text);
       insert into quiet values (1, 'nothing happens here');
       create table kept (id int primary key, v text);
       insert into kept values (1, 'a'), (2, 'b');`,
      ONE_OF_EACH,
    );
    local = await openLocal();
  });
  afterAll(async () => {
    await local.close();
    await service.stop();
  });

  const shape = (table: string) => ({ url: service.shapeUrl, params: { table }, signal: service.signal });

  async function sameRows(query: string): Promise<void> {
    let here: string[] = [];
    let there: string[] = [];
    const equal = async (): Promise<boolean> => {
      there = canonicalRows((await service.db.query<Record<string, unknown>>(query)).rows);
      here = canonicalRows((await local.query<Record<string, unknown>>(query)).rows);
      return here.join('\n') === there.join('\n');
    };
    await waitFor(equal, { describe: () => ({ here, there }) });
  }

  test('one shape: rows, then what happens to them, a truncation included', async () => {
    const ddl = 'create table todos (id int primary key, title text not null, tags text[], meta jsonb, big int8)';
    await local.exec(ddl);
    let synced = 0;
    const synchronisation = await local.electric.syncShapeToTable({
      shape: shape('todos'),
      table: 'todos',
      primaryKey: ['id'],
      shapeKey: null,
      onInitialSync: () => (synced += 1),
    });
    // As text: both sides print the same type the same way.
    const query = 'select id, title, tags::text, meta::text, big::text from todos';
    await sameRows(query);
    expect(synced).toBe(1);
    await service.db.query(`update todos set title = 'changed', tags = null where id < 4`);
    await service.db.query(`delete from todos where id = 5; insert into todos values (60, 'new', '{"a b"}', '[]', 1)`);
    await service.db.query(`update todos set id = 70 where id = 60`);
    await sameRows(query);
    await service.db.query(`truncate todos`);
    await service.db.query(`insert into todos values (1, 'again', null, null, null)`);
    await sameRows(query);
    expect(synchronisation.isUpToDate).toBe(true);
    synchronisation.unsubscribe();
  });

  test('C269 several shapes: transactions arrive whole, and a table where nothing happens does not hold them up', async () => {
    await local.exec(
      `create table accounts (id int primary key, balance int not null);
       create table transfers (id int primary key, source int not null, target int not null, amount int not null);
       create table quiet (id int primary key, v text);`,
    );
    const tables = ['accounts', 'transfers', 'quiet'];
    const synchronisation = await local.electric.syncShapesToTables({
      key: null,
      shapes: Object.fromEntries(tables.map((table) => [table, { shape: shape(table), table, primaryKey: ['id'] }])),
    });
    await sameRows('select count(*)::int as n from quiet');

    // Of any state that is a state of Postgres, the balances can be had from the transfers.
    const sums = `select 100 + coalesce((select sum(amount) from transfers where target = accounts.id), 0)
      - coalesce((select sum(amount) from transfers where source = accounts.id), 0) = balance as fits from accounts`;
    let looks = 0;
    let more = true;
    const looking = (async () => {
      while (more) {
        const { rows } = await local.query<{ fits: boolean }>(sums);
        expect(rows.map(({ fits }) => fits)).toEqual([true, true, true, true, true]);
        looks += 1;
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    for (let id = 1; id <= TRANSFERS; id += 1) {
      const source = 1 + (id % 5);
      const target = 1 + ((id * 3 + 1) % 5);
      await service.db.query(
        `begin;
         insert into transfers values (${id}, ${source}, ${target}, ${id});
         update accounts set balance = balance - ${id} where id = ${source};
         update accounts set balance = balance + ${id} where id = ${target};
         commit`,
      );
    }
    await sameRows('select * from transfers');
    await sameRows('select * from accounts');
    more = false;
    await looking;
    expect(looks).toBeGreaterThan(10);
    synchronisation.unsubscribe();
  });

  test('continues where it was after a restart, without the rows it has', async () => {
    await local.exec('create table kept (id int primary key, v text)');
    const start = () =>
      local.electric.syncShapeToTable({
        shape: shape('kept'),
        table: 'kept',
        primaryKey: ['id'],
        shapeKey: 'kept',
      });
    const first = await start();
    await service.db.query(`insert into kept values (3, 'c')`);
    await sameRows('select * from kept');
    const handle = first.stream.shapeHandle;
    first.unsubscribe();

    await service.db.query(`update kept set v = 'changed' where id = 1; insert into kept values (4, 'd')`);
    // Only a delta leaves this as it is: the library deletes all rows before it applies others from the beginning.
    await local.query(`update kept set v = 'of this side' where id = 2`);
    const second = await start();
    await waitFor(async () => {
      const { rows } = await local.query<{ v: string }>('select v from kept order by id');
      return rows.map(({ v }) => v).join() === 'changed,of this side,c,d';
    });
    expect(second.stream.shapeHandle).toBe(handle);
    second.unsubscribe();
  });
});
