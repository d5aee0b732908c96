import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryDatabase, MemorySourceDatabase, type SourcePublication } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { BUCKETS, ddlHintSubject, openMemoryMessaging, usageKey, type UsageRecord } from '@shapecast/messaging';
import { systemClock, type Logger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { PublicationKeeper, type PublicationKeeperOptions } from './publication-keeper.ts';

const never = new AbortController().signal;
const MINUTE = 60_000;
const SHARDS = 2;

describe('the keeper of the publication', () => {
  const source = 's';
  let messaging: ReturnType<typeof openMemoryMessaging>;
  let memory: MemoryDatabase;
  let database: MemorySourceDatabase;
  let nowMs: number;
  let lines: { level: string; fields: Record<string, unknown>; message: string }[];

  beforeEach(() => {
    messaging = openMemoryMessaging(systemClock);
    memory = new MemoryDatabase();
    database = new MemorySourceDatabase(memory);
    nowMs = 1_000_000;
    lines = [];
  });

  function keeping(
    publication: Partial<SourcePublication> = {},
    options: Partial<PublicationKeeperOptions> = {},
  ): PublicationKeeper {
    const write = (level: string) => (fields: object, message: string) =>
      void lines.push({ level, fields: fields as Record<string, unknown>, message });
    const log: Logger = {
      error: write('error'),
      warn: write('warn'),
      info: write('info'),
      debug: () => undefined,
      child: () => log,
    };
    const { publication: real } = database;
    const bound: SourcePublication = {
      verify: (used, signal) => real.verify(used, signal),
      complete: (signal) => real.complete(signal),
      hasHarmful: (used, signal) => real.hasHarmful(used, signal),
      unpublish: (table, mayGo, signal) => real.unpublish(table, mayGo, signal),
      sight: (oids, signal) => real.sight(oids, signal),
      ...publication,
    };
    const publish = database.publish.bind(database);
    return new PublicationKeeper(
      {
        database: { publish, publication: bound },
        registries: messaging.registries,
        hints: messaging.hints,
        // Waits take a thousandth of their time.
        clock: { ...systemClock, now: () => nowMs, sleep: (ms, signal) => systemClock.sleep(ms / 1_000, signal) },
        log,
      },
      {
        sourceId: source,
        incarnation: 1,
        shards: SHARDS,
        publicationRefreshMs: MINUTE,
        unpublishLingerMs: 10 * MINUTE,
        manualPublishing: false,
        ...options,
      },
    );
  }

  const table = (name: string) => memory.createTable({ schema: 'public', name, columns: ['id'], primaryKey: ['id'] });

  async function tell(shard: number, tables: UsageRecord['tables']): Promise<void> {
    const { name, ttlMs } = BUCKETS.usages;
    const usages = await messaging.registries.open<UsageRecord>(name, { ttlMs });
    await usages.put(usageKey(source, 1, shard), { epoch: 1, tables });
  }

  async function after(minutes: number, keeper: PublicationKeeper): Promise<void> {
    nowMs += minutes * MINUTE;
    await keeper.verify(never);
  }

  const said = (text: string) =>
    lines.filter(({ message, fields }) => `${message} ${JSON.stringify(fields)}`.includes(text));

  test('takes a table out once no shard has had shapes on it for the linger, and no request came', async () => {
    const [items, others] = [table('items'), table('others')];
    const keeper = keeping();
    for (const each of [items, others]) await keeper.publish(each, never);
    await tell(0, [[items.oid, '']]);
    await tell(1, []);
    await keeper.verify(never);
    await after(9, keeper);
    expect(memory.published()).toEqual([items.oid, others.oid]);
    await keeper.publish(others, never);
    await after(2, keeper);
    expect(memory.published()).toEqual([items.oid, others.oid]);
    await after(10, keeper);
    expect(memory.published()).toEqual([items.oid]);
    await tell(0, []);
    await after(1, keeper);
    await after(10, keeper);
    expect(memory.published()).toEqual([]);
  });

  test('keeps everything while a shard tells nothing, and says so once', async () => {
    const items = table('items');
    const keeper = keeping();
    await keeper.publish(items, never);
    await tell(0, []);
    for (let i = 0; i < 30; i += 1) await after(1, keeper);
    expect(memory.published()).toEqual([items.oid]);
    expect(said('nobody tells which tables have shapes')).toHaveLength(1);
    // The linger begins with the first time that all is known.
    await tell(1, []);
    await after(1, keeper);
    await after(9, keeper);
    expect(memory.published()).toEqual([items.oid]);
    await after(1, keeper);
    expect(memory.published()).toEqual([]);
  });

  test('looks once more before it takes a table out', async () => {
    const items = table('items');
    let checks = 0;
    const keeper = keeping({
      verify: async (used, signal) => {
        checks += 1;
        const check = await database.publication.verify(used, signal);
        // A shape is made after that.
        if (checks === 3) await tell(1, [[items.oid, '']]);
        return check;
      },
    });
    await keeper.publish(items, never);
    await tell(0, []);
    await tell(1, []);
    await keeper.verify(never);
    await after(5, keeper);
    await after(5, keeper);
    expect(checks).toBe(4);
    expect(memory.published()).toEqual([items.oid]);
  });

  test('a request that comes while its turn comes up keeps the table', async () => {
    const items = table('items');
    const keeper: PublicationKeeper = keeping({
      unpublish: async (gone, mayGo, signal) => {
        const publishing = keeper.publish(items, signal);
        const out = await database.publication.unpublish(gone, mayGo, signal);
        await publishing;
        return out;
      },
    });
    memory.publish(items.oid);
    await tell(0, []);
    await tell(1, []);
    await keeper.verify(never);
    await after(10, keeper);
    expect(memory.published()).toEqual([items.oid]);
    expect(said('table is not published any more')).toEqual([]);
  });

  test('what cannot be taken out is told and tried again, and nobody hears of it', async () => {
    const items = table('items');
    let attempts = 0;
    const keeper = keeping({
      unpublish: async () => {
        attempts += 1;
        throw new ShapecastError('NOT_READY', 'Snapshot timed out while waiting for a table lock');
      },
    });
    memory.publish(items.oid);
    await tell(0, []);
    await tell(1, []);
    await keeper.verify(never);
    await after(10, keeper);
    await after(1, keeper);
    expect(attempts).toBe(2);
    expect(said('the publication could not be changed, trying again')).toHaveLength(2);
    expect(keeper.problem).toBeUndefined();
  });

  test('T34 with manual publishing nothing is taken out', async () => {
    const items = table('items');
    const keeper = keeping({}, { manualPublishing: true });
    memory.publish(items.oid);
    await tell(0, []);
    await tell(1, []);
    await keeper.verify(never);
    for (let i = 0; i < 3; i += 1) await after(10, keeper);
    expect(memory.published()).toEqual([items.oid]);
  });

  test('adds what is missing, and says once that all is well', async () => {
    const items = table('items');
    await tell(0, [[items.oid, '']]);
    await tell(1, []);
    const keeper = keeping();
    await keeper.verify(never);
    expect(memory.published()).toEqual([items.oid]);
    expect(said('publication verified')).toEqual([]);
    await keeper.verify(never);
    await keeper.verify(never);
    expect(said('publication verified')).toHaveLength(1);
    memory.unpublish(items.oid);
    await keeper.verify(never);
    await keeper.verify(never);
    expect(said('publication verified')).toHaveLength(2);
  });

  test('names what is for somebody else to put right while it lasts, and says when it is over', async () => {
    const items = table('items');
    for (const shard of [0, 1]) await tell(shard, []);
    const flaw = { oid: items.oid, schema: 'public', name: 'items', message: 'Do this.', harmful: false };
    let flaws = [flaw];
    const keeper = keeping({
      verify: async (used, signal) => ({ ...(await database.publication.verify(used, signal)), flaws }),
    });
    for (let i = 0; i < 3; i += 1) await keeper.verify(never);
    expect(keeper.problem).toBe('Do this.');
    expect(said('Do this.')).toHaveLength(1);
    flaws = [];
    await keeper.verify(never);
    expect(keeper.problem).toBeUndefined();
    expect(said('problems of the publication are over')).toHaveLength(1);
    expect(said('publication verified')).toHaveLength(1);
  });

  test('takes out at once what Postgres refuses the application updates for', async () => {
    const items = table('items');
    memory.publish(items.oid);
    await tell(0, [[items.oid, '']]);
    const flaw = { oid: items.oid, schema: 'public', name: 'items', message: 'Virtual.', harmful: true };
    const keeper = keeping({
      verify: async (used, signal) => ({ ...(await database.publication.verify(used, signal)), flaws: [flaw] }),
    });
    await keeper.verify(never);
    expect(memory.published()).toEqual([]);
    expect(keeper.problem).toBe('Virtual.');
  });

  test('knows from live shapes whose gap was closed', async () => {
    const items = table('items');
    const asked: unknown[] = [];
    const publish = database.publish.bind(database);
    database.publish = (wanted, signal) => {
      asked.push(wanted.gapClosedFor);
      return publish(wanted, signal);
    };
    const keeper = keeping();
    await keeper.publish(items, never);
    await tell(0, [[items.oid, '']]);
    await tell(1, [[items.oid, 'rel:1']]);
    await keeper.verify(never);
    await keeper.publish(items, never);
    expect(asked).toEqual([undefined, 'rel:1']);
  });

  test('verifies again soon after DDL, and when something harmful is seen', async () => {
    let checks = 0;
    let harmful = false;
    const keeper = keeping({
      verify: (used, signal) => {
        checks += 1;
        return database.publication.verify(used, signal);
      },
      hasHarmful: async () => harmful,
    });
    const stop = new AbortController();
    const running = keeper.run(stop.signal);
    await waitFor(() => checks === 1);
    messaging.hints.publish(ddlHintSubject(source), new Uint8Array());
    await waitFor(() => checks === 2);
    harmful = true;
    await waitFor(() => checks >= 3);
    stop.abort();
    await running;
  });
});
