import { execFile } from 'node:child_process';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { runStatements } from '@shapecast/change-source';
import type { SourceRecord } from '@shapecast/messaging';
import { sharedNatsUrl, startPostgres, waitFor, type TestPostgres } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import type { Replicator } from './replicator.ts';
import { openPgWorld, type PgWorld } from './testing/pg-world.contract.ts';

const run = promisify(execFile);

let world: PgWorld;
let cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await world.stop();
  for (const task of cleanUp.reverse()) await task();
  cleanUp = [];
});

const active = (replicator: Replicator) =>
  waitFor(() => replicator.report().status === 'active', { describe: () => replicator.report() });
const insert = (from: number, to: number, note = 'note'): string =>
  `insert into items select i, '${note}' from generate_series(${from}, ${to}) i`;

async function incarnation(): Promise<number | undefined> {
  const sources = await world.messaging.registries.open<SourceRecord>('shapecast_sources');
  return (await sources.get(world.source))?.value.incarnation;
}

async function holds(last: number, of = 1): Promise<void> {
  const ids = (): Promise<number[]> => world.insertedIds(of).catch(() => []);
  await waitFor(async () => (await ids()).includes(last), { describe: () => `row ${last} in incarnation ${of}` });
}

/** Until Postgres forgot all that is stored: then nothing is sent again. */
const confirmedAll = (replicator: Replicator) =>
  waitFor(() => BigInt(String(replicator.report()['confirmed'])) >= BigInt(String(replicator.report()['durable'])));

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'shapecast-history-'));
  cleanUp.push(() => rm(path, { recursive: true, force: true }));
  // Postgres runs as another user than we where we are root, and makes the copies.
  await run('chmod', ['777', path]);
  return path;
}

async function startServer(dataDir: string, settings: Record<string, string> = {}): Promise<TestPostgres> {
  const server = await startPostgres({ version: 18, dataDir, durable: false, settings });
  cleanUp.push(() => server.stop());
  return server;
}

const ask = async (url: string, text: string) => (await runStatements(url, [text]))[0];

/** A copy of the data of a running server, as a base backup makes it. */
async function backUp(server: TestPostgres, target: string): Promise<void> {
  // By the server itself: a backup begins and ends in one session. Files may go away meanwhile, which is no reason to fail.
  const copy = (from: string, to: string) => `copy (select 1) to program 'cp -a ${from} ${to} || true'`;
  const [backup] = await runStatements(server.url, [
    `select pg_backup_start('test', true)`,
    copy(server.dataDir, target),
    'select labelfile from pg_backup_stop(false)',
  ]);
  await runStatements(server.url, [copy(`${server.dataDir}/pg_wal/.`, `${target}/pg_wal/`)]);
  await writeFile(join(target, 'backup_label'), String(backup?.['labelfile']));
  await run('rm', ['-f', join(target, 'postmaster.pid')]);
  await run('chown', ['-R', `--reference=${server.dataDir}`, target]);
}

/** The world's database on another server. */
const onServer = (server: TestPostgres): string => {
  const url = new URL(world.url);
  url.port = String(server.port);
  return url.href;
};

describe('a standby that is promoted', () => {
  async function primaryAndStandby() {
    const home = await folder();
    const primary = await startServer(join(home, 'primary'));
    world = await openPgWorld(sharedNatsUrl(), { adminUrl: primary.url, source: { slotFailover: true } });
    const first = await world.start('a');
    await active(first.replicator);
    await world.publish();
    await runStatements(primary.url, [`select pg_create_physical_replication_slot('standby')`]);
    await backUp(primary, join(home, 'standby'));
    // As pg_basebackup does: slots are brought over by synchronising them.
    await run('sh', ['-c', `rm -rf ${join(home, 'standby', 'pg_replslot')}/*`]);
    const connection = `host=127.0.0.1 port=${primary.port} user=postgres dbname=postgres`;
    await writeFile(join(home, 'standby', 'standby.signal'), '');
    await appendFile(
      join(home, 'standby', 'postgresql.auto.conf'),
      `primary_conninfo = '${connection}'\nprimary_slot_name = 'standby'\nhot_standby_feedback = on\n`,
    );
    const standby = await startServer(join(home, 'standby'));
    /** Until the standby has all there is, and the slot. */
    const caughtUp = (): Promise<unknown> =>
      waitFor(async () => {
        await runStatements(standby.url, ['select pg_sync_replication_slots()']);
        const now = await ask(primary.url, 'select pg_current_wal_flush_lsn() as lsn');
        const behind = await ask(
          standby.url,
          `select pg_wal_lsn_diff('${String(now?.['lsn'])}', pg_last_wal_replay_lsn()) as bytes from pg_replication_slots
           where slot_name = '${world.slotName}' and synced and not temporary`,
        );
        return Number(behind?.['bytes'] ?? 1) <= 0;
      });
    return { first, primary, standby, caughtUp };
  }

  const promote = (standby: TestPostgres) => runStatements(standby.url, ['select pg_promote()']);

  test('and has all that is stored keeps the incarnation (C2)', async () => {
    const { first, primary, standby, caughtUp } = await primaryAndStandby();
    // A slot that does not move is not taken over.
    await caughtUp();
    await world.sql(insert(1, 5));
    await holds(5);
    await first.replicator.stop();
    await caughtUp();
    await primary.kill();
    await promote(standby);
    await active((await world.start('b', {}, onServer(standby))).replicator);
    expect(await incarnation()).toBe(1);
    await runStatements(onServer(standby), [insert(6, 8)]);
    await holds(8);
    expect(await world.insertedIds()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  test('and misses something that is stored starts a new incarnation (C2)', async () => {
    const { first, primary, standby, caughtUp } = await primaryAndStandby();
    await world.sql(insert(1, 5));
    await holds(5);
    await confirmedAll(first.replicator);
    await caughtUp();
    await runStatements(standby.url, [`alter system set primary_conninfo = ''`, 'select pg_reload_conf()']);
    await waitFor(async () => (await ask(standby.url, 'select pid from pg_stat_wal_receiver')) === undefined);
    await world.sql(insert(6, 7));
    await holds(7);
    await first.replicator.stop();
    await primary.kill();
    await promote(standby);
    await active((await world.start('b', {}, onServer(standby))).replicator);
    expect(await incarnation()).toBe(2);
    await runStatements(onServer(standby), [insert(6, 6)]);
    await holds(6, 2);
    expect(await world.insertedIds(2)).toEqual([6]);
  });
});

describe('a server that was restored', () => {
  async function backedUp() {
    const home = await folder();
    const original = await startServer(join(home, 'original'));
    world = await openPgWorld(sharedNatsUrl(), { adminUrl: original.url });
    const first = await world.start('a', { confirmDelayMs: 3_600_000 });
    await active(first.replicator);
    await world.publish();
    await world.sql(insert(1, 5));
    await holds(5);
    await backUp(original, join(home, 'restored'));
    return { first, original, home };
  }

  test('to a point in time starts a new incarnation (C4)', async () => {
    const { first, original, home } = await backedUp();
    await world.sql(insert(6, 9));
    await holds(9);
    await first.replicator.stop();
    await original.kill();
    await writeFile(join(home, 'restored', 'recovery.signal'), '');
    const settings = { recovery_target: 'immediate', recovery_target_action: 'promote', restore_command: 'false' };
    const restored = await startServer(join(home, 'restored'), settings);
    await waitFor(
      async () => (await ask(restored.url, 'select pg_is_in_recovery()::text as yes'))?.['yes'] === 'false',
    );
    await active((await world.start('b', {}, onServer(restored))).replicator);
    expect(await incarnation()).toBe(2);
    await runStatements(onServer(restored), [insert(6, 6)]);
    await holds(6, 2);
  });

  test('as a clone of its disk, and has gone its own way since, starts a new incarnation (C5)', async () => {
    const { first, original, home } = await backedUp();
    await world.sql(insert(6, 9, 'original'));
    await holds(9);
    await first.replicator.stop();
    await original.kill();
    // Without a recovery it stays on the same timeline, with the same identity, and its slot is where the original's was.
    const restored = await startServer(join(home, 'restored'));
    await runStatements(onServer(restored), [insert(6, 9, 'clone'), insert(10, 3_000, 'clone')]);
    await active((await world.start('b', { confirmDelayMs: 3_600_000 }, onServer(restored))).replicator);
    await waitFor(async () => (await incarnation()) === 2);
    await runStatements(onServer(restored), [insert(3_001, 3_001)]);
    await holds(3_001, 2);
  });
});
