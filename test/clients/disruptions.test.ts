import type { ShapeStreamOptions } from '@electric-sql/client';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { selectText } from '../support/rows.ts';
import { connect, startClientCluster, type ClientCluster } from './support/client-cluster.ts';
import { collectWarnings } from './support/electric-warnings.ts';
import { WatchedShape } from './support/watched-shape.ts';

/**
 * C264: one client that long-polls and one that streams live through everything below, with nothing in the application
 * that would help them. Their handles change where the shape really began anew, and only there.
 */
describe('C264 clients follow through', () => {
  let service: ClientCluster;
  let warnings: readonly string[];
  let clients: readonly WatchedShape[];
  const errors: Error[] = [];

  beforeAll(async () => {
    warnings = collectWarnings();
    service = await startClientCluster(
      `create table notes (id int primary key, body text, stars int);
       insert into notes select i, 'note ' || i, i % 5 from generate_series(1, 10) i`,
    );
    clients = [false, true].map((liveSse) => {
      // The short wait before a repetition is the application's right to choose, and saves this test minutes.
      const backoffOptions: ShapeStreamOptions['backoffOptions'] = { initialDelay: 50, maxDelay: 500, multiplier: 2 };
      const watched = new WatchedShape({
        url: service.shapeUrl,
        params: { table: 'notes' },
        signal: service.signal,
        backoffOptions,
        liveSse,
      });
      watched.stream.subscribe(
        () => undefined,
        (error) => errors.push(error),
      );
      return watched;
    });
    await follow(['id', 'body', 'stars']);
  });
  afterAll(async () => {
    await service.stop();
    vi.restoreAllMocks();
  });

  async function follow(columns: readonly string[]): Promise<void> {
    for (const client of clients) {
      await client.holds(() => selectText(service.db, 'notes', columns, ''));
    }
    expect(errors).toEqual([]);
  }

  const handles = () => clients.map(({ stream }) => stream.shapeHandle);

  test('the death of the leading replicator, while rows are written', async () => {
    const before = handles();
    const leader = await service.cluster.leader();
    const dying = service.cluster.process(leader).kill();
    await service.db.query(`insert into notes values (11, 'while nobody leads', 1)`);
    await dying;
    await service.db.query(`update notes set stars = stars + 1 where id < 4`);
    await follow(['id', 'body', 'stars']);
    expect(handles()).toEqual(before);
  });

  test('the death of every process at once', async () => {
    const before = handles();
    await Promise.all(service.cluster.processes.map((process) => process.kill()));
    await service.db.query(`insert into notes values (12, 'while nothing ran', 2)`);
    await service.cluster.waitReady();
    await service.db.query(`delete from notes where id = 2`);
    await follow(['id', 'body', 'stars']);
    expect(handles()).toEqual(before);
  });

  test('a truncation', async () => {
    const before = handles();
    await service.db.query(`truncate notes`);
    await service.db.query(`insert into notes values (20, 'after the truncation', 3)`);
    await follow(['id', 'body', 'stars']);
    for (const [i, handle] of handles().entries()) expect(handle).not.toBe(before[i]);
    expect(clients.map((client) => client.count('must-refetch'))).toEqual([1, 1]);
  });

  test('a new column, which they then have', async () => {
    await service.db.query(`alter table notes add column owner text default 'nobody'`);
    await service.db.query(`insert into notes values (21, 'with an owner', 4, 'me')`);
    await follow(['id', 'body', 'stars', 'owner']);
    // A table that changes while a shape on it is made is not the client's business (H 8.1).
    const beginnings = clients.flatMap(({ requests }) =>
      requests.filter(({ url }) => url.searchParams.get('offset') === '-1'),
    );
    expect(beginnings.map(({ status }) => status).filter((status) => status === 409)).toEqual([]);
  });

  test('the death of Postgres, NATS, Redis and every process', async () => {
    const roles = ['postgres', 'nats', 'redis'] as const;
    await Promise.all([
      ...service.cluster.processes.map((process) => process.kill()),
      ...roles.map((role) => service.cluster.server(role).kill()),
    ]);
    await Promise.all(roles.map((role) => service.cluster.server(role).start()));
    await service.cluster.waitReady();
    const db = await connect(service.cluster.databaseUrl);
    await db.query(`insert into notes values (22, 'after the end of the world', 5, 'me')`);
    for (const client of clients) {
      await client.holds(() => selectText(db, 'notes', ['id', 'body', 'stars', 'owner'], ''));
    }
    await db.end();
    expect(errors).toEqual([]);
  });

  test('and at the end the one still polls, the other still streams', async () => {
    const live = clients.map((client) => client.requests.filter(({ url }) => url.searchParams.has('live')).at(-1));
    expect(live.map((request) => request?.url.searchParams.has('live_sse'))).toEqual([false, true]);
    expect(warnings.filter((warning) => /SSE|fast retry loop|stale/i.test(warning))).toEqual([]);
    await waitFor(() => clients.every(({ stream }) => stream.isConnected()));
  });
});
