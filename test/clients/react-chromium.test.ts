import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitFor } from '@shapecast/testkit';
import { startBrowser, type Browser } from './support/browser.ts';
import { ONE_OF_EACH, startClientCluster, type ClientCluster } from './support/client-cluster.ts';
import { servePage, type PageServer } from './support/page-server.ts';

/** An answer as the browser's network log has it. */
interface Loaded {
  readonly url: URL;
  readonly status: number;
  /** Without a word to the API. */
  readonly fromCache: boolean;
}

const POLLED: Readonly<Record<string, string>> = {};
const STREAMED: Readonly<Record<string, string>> = { sse: '', preflight: '' };

/** @electric-sql/react in Chromium, on a page of another origin than the API (spec H 3, 20, 24). */
describe('useShape in a browser', () => {
  let service: ClientCluster;
  let browser: Browser;
  let pages: PageServer;
  let page: Page;
  /** What the page complained of. */
  const complaints: string[] = [];
  const answers: { readonly id: string; readonly url: URL; readonly status: number; readonly stored: boolean }[] = [];
  /** Status on the wire, by request; what came from the cache was never there. */
  const onTheWire = new Map<string, number>();

  beforeAll(async () => {
    const tables = ['polled', 'streamed', 'cached', 'ended', 'paged'];
    const ddl = (table: string) =>
      `create table ${table} (id int primary key, title text);
       insert into ${table} values (1, 'one'), (2, 'two'), (3, 'three');`;
    [service, browser, pages] = await Promise.all([
      startClientCluster(tables.map(ddl).join('\n'), {
        ...ONE_OF_EACH,
        // Answers grow old at once, so that the browser asks with the tag it has (CA-1).
        env: { ELECTRIC_CACHE_MAX_AGE: '0', ELECTRIC_CACHE_STALE_AGE: '0' },
      }),
      startBrowser(),
      servePage(),
    ]);
    page = await browser.context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await watchNetwork();
  });
  afterAll(async () => {
    await browser.stop();
    await pages.stop();
    await service.stop();
  });

  async function watchNetwork(): Promise<void> {
    const log = await browser.context.newCDPSession(page);
    await log.send('Network.enable');
    log.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => onTheWire.set(requestId, statusCode));
    log.on('Network.responseReceived', ({ requestId: id, response }) => {
      const { url, status, fromDiskCache } = response;
      if (url.startsWith(service.shapeUrl)) {
        answers.push({ id, url: new URL(url), status, stored: fromDiskCache === true });
      }
    });
  }

  /** Since the page was opened. What was on the wire may be reported after the answer, so this is put together late. */
  function loaded(): readonly Loaded[] {
    return answers.map(({ id, url, status, stored }) => {
      const sent = onTheWire.get(id);
      // A page never sees a 304: the browser makes the stored 200 of it.
      return { url, status: sent ?? status, fromCache: stored && sent === undefined };
    });
  }

  async function open(query: Readonly<Record<string, string>>): Promise<void> {
    answers.length = 0;
    await page.goto(`${pages.origin}/?${new URLSearchParams({ api: service.shapeUrl, ...query }).toString()}`);
  }

  async function shows(...rows: string[]): Promise<void> {
    let seen: string[] = [];
    const state = page.locator('ul');
    const equal = async (): Promise<boolean> => {
      seen = await page.locator('li').allTextContents();
      return seen.join('\n') === rows.join('\n') && (await state.getAttribute('title')) === 'ready';
    };
    await waitFor(equal, { intervalMs: 50, describe: () => ({ seen, complaints, loaded: loaded() }) });
  }

  test.each([
    { name: 'long polling', table: 'polled', query: POLLED, live: 'live' },
    {
      name: 'server-sent events, with a header that needs a preflight',
      table: 'streamed',
      query: STREAMED,
      live: 'live_sse',
    },
  ])('shows rows and what happens to them: $name', async ({ table, query, live }) => {
    await open({ table, ...query });
    await shows('1 one', '2 two', '3 three');
    await service.db.query(`update ${table} set title = 'zwei' where id = 2; delete from ${table} where id = 3`);
    await shows('1 one', '2 zwei');
    await service.db.query(`insert into ${table} values (4, 'four')`);
    await shows('1 one', '2 zwei', '4 four');
    await service.db.query(`truncate ${table}; insert into ${table} values (7, 'after the truncation')`);
    await shows('7 after the truncation');
    expect(loaded().some(({ url }) => url.searchParams.has(live))).toBe(true);
    // The truncation is a 409, which browsers report as an error of the page and clients as news.
    expect(complaints.splice(0).filter((complaint) => !complaint.includes('409'))).toEqual([]);
  });

  test('a page of the same shape later starts from the answers the browser has stored', async () => {
    await open({ table: 'cached' });
    await shows('1 one', '2 two', '3 three');
    expect(loaded()[0]?.fromCache).toBe(false);
    // Whether an answer is stored already, and what was on the wire, a busy browser tells when it likes: so more than one try.
    const asksAgain = async (): Promise<boolean> => {
      await open({ table: 'cached' });
      await shows('1 one', '2 two', '3 three');
      return loaded()[0]?.fromCache === true && loaded()[1]?.status === 304;
    };
    await waitFor(asksAgain, { intervalMs: 500, describe: loaded });
    const [snapshot, log] = loaded();
    expect(snapshot?.url.searchParams.get('offset')).toBe('-1');
    expect(log?.url.searchParams.get('offset')).toBe('0_0');

    await page.goto('about:blank');
    await service.db.query(`update cached set title = 'since then' where id = 1`);
    await open({ table: 'cached' });
    await shows('1 since then', '2 two', '3 three');
    expect(loaded()[0]?.fromCache).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('CA-10 a stored beginning of a shape that has ended since is found out', async () => {
    await open({ table: 'ended' });
    await shows('1 one', '2 two', '3 three');
    await page.goto('about:blank');
    await service.db.query(`truncate ended; insert into ended values (8, 'another life')`);
    await open({ table: 'ended' });
    await shows('8 another life');
    const [stale] = loaded();
    expect(stale?.fromCache).toBe(true);
    const handleOf = ({ url }: Loaded): string | null => url.searchParams.get('handle');
    const refused = loaded().find(({ status }) => status === 409);
    const again = loaded().find(({ url }) => url.searchParams.has('expired_handle'));
    expect(refused).toBeDefined();
    expect(again?.url.searchParams.get('expired_handle')).toBe(refused && handleOf(refused));
    expect(complaints.splice(0).filter((complaint) => !complaint.includes('409'))).toEqual([]);
  });

  test('a subset by POST is asked for across origins', async () => {
    await open({ table: 'paged' });
    await shows('1 one', '2 two', '3 three');
    expect(await page.evaluate(`fetchSubset('id > 1')`)).toEqual([
      { id: 2, title: 'two' },
      { id: 3, title: 'three' },
    ]);
    expect(complaints).toEqual([]);
  });
});
