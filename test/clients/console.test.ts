import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '@shapecast/service-kit';
import { run } from '@shapecast/cli/run';
import { createDatabase, startCluster, waitFor, type Cluster } from '@shapecast/testkit';
import { startBrowser, type Browser } from './support/browser.ts';
import { keepBusy, type BusySources } from './support/busy-sources.ts';

/** The console on the admin port in Chromium, of a cluster with three sources that are used. */
describe('the console', () => {
  let cluster: Cluster;
  let browser: Browser;
  let busy: BusySources;
  let page: Page;
  let adminUrl = '';
  let token = '';
  /** What the page complained of. */
  const complaints: string[] = [];
  const asked: URL[] = [];

  beforeAll(async () => {
    [cluster, browser] = await Promise.all([
      startCluster({
        ...{ replicators: 1, routers: 1, apis: 1 },
        sources: {
          'shop-a': { displayName: 'Shop A', limits: { requestsPerSecond: 500, maxShapes: 50, redisBytes: '64MiB' } },
          'shop-b': {},
          'shop-c': {},
        },
      }),
      startBrowser(),
    ]);
    [adminUrl, token] = [cluster.adminUrl ?? '', cluster.adminToken ?? ''];
    busy = await keepBusy(cluster, [20, 5, 2]);
    page = await browser.context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    page.on('request', (request) => asked.push(new URL(request.url())));
  });
  afterAll(async () => {
    await browser.stop();
    await busy.stop();
    await cluster.stop();
  });

  /** As it was looked at last. */
  let seen = '';
  const text = async (): Promise<string> => (seen = await page.locator('body').innerText());
  const until = (condition: () => Promise<boolean>) =>
    waitFor(condition, { intervalMs: 100, describe: () => ({ seen, complaints }) });
  const shows = (...all: readonly string[]) =>
    until(async () => {
      await text();
      return all.every((one) => seen.includes(one));
    });
  const admin = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
    const response = await fetch(`${adminUrl}/admin${path}`, { method, headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as Record<string, unknown>;
  };

  test('lets in whoever has the token, and keeps it in the tab only', async () => {
    await page.goto(adminUrl);
    await page.getByLabel('Admin token').fill('not-the-token');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await shows('This is no admin token.');
    // The browser tells of a 401 whatever the page makes of it.
    expect(complaints.splice(0).filter((complaint) => !complaint.includes('401'))).toEqual([]);
    await page.getByLabel('Admin token').fill(token);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await shows('Sources', 'shop-a', 'shop-b', 'shop-c');
    expect(await page.context().cookies()).toEqual([]);
    expect(await page.evaluate('JSON.stringify({ ...localStorage })')).toBe('{}');
    expect(page.url()).not.toContain(token);
    const other = await browser.context.newPage();
    await other.goto(adminUrl);
    await other.getByLabel('Admin token').waitFor();
    await other.close();
  });

  test('shows sources with state, lag and how much happens', async () => {
    const row = page.getByRole('row').filter({ hasText: 'shop-a' });
    await until(async () => /active.*\d\/s/s.test(await row.innerText()));
    await until(async () => /\d (ms|s)\b/.test(await row.innerText()));
    await shows('replicator-1', 'router-1', 'api-1');
  });

  test('shows one source as it lives: charts, quotas, shapes with readers, clauses', async () => {
    await page.getByRole('link', { name: 'shop-a' }).click();
    await shows('Shop A', 'Changes from Postgres', 'requestsPerSecond', 'public.orders');
    const chart = page.getByRole('img', { name: /Changes from Postgres, now changes \d/ });
    const line = () => chart.locator('path.series').getAttribute('d');
    await until(async () => ((await line()) ?? '').split('L').length > 2);
    const before = await line();
    await until(async () => (await line()) !== before);
    await until(async () => Number(await page.getByRole('meter', { name: /maxShapes/ }).getAttribute('value')) === 6);
    await page.getByRole('button', { name: 'Readers' }).click();
    const first = page.locator('section[aria-label="Shapes"] tbody tr').first();
    await until(async () => /all\s+4\s/.test(await first.innerText()));
    const clauses = page.locator('section[aria-label="Slow clauses"]');
    await until(async () => /\(customer <> note\)\s+scan/.test(await clauses.innerText()));
    // Constants of clauses may be what rows have.
    expect(await text()).not.toMatch(/'c[134]'/);
  });

  test('says the same as the command line, which understands several sources', async () => {
    const shapecast = async (...args: readonly string[]) => {
      const env = {
        ...{ SHAPECAST_ADMIN_URL: adminUrl, SHAPECAST_ADMIN_TOKEN: token, ELECTRIC_SECRET: secretOf('shop-a') },
        ...{
          SHAPECAST_NATS_URL: cluster.natsUrl,
          SHAPECAST_REDIS_URL: cluster.redisUrl,
          SHAPECAST_SOURCES: 'registry',
        },
      };
      const out: string[] = [];
      const signal = new AbortController().signal;
      const take = (line: string) => void out.push(line);
      const code = await run(args, { env, clock: systemClock, fetch, signal, colours: false, out: take, err: take });
      return { code, text: out.join('\n') };
    };
    const secretOf = (id: string) => cluster.sources.find((source) => source.id === id)?.secret ?? '';
    const sources = await shapecast('sources', 'list');
    expect(sources.text).toMatch(/^shop-a +active +file +[\d.]+\/s /m);
    const shapes = await shapecast('shapes', 'list', '--source-id', 'shop-a', '--sort', 'readers');
    expect(shapes.text).toMatch(/ all +public\.orders/);
    expect(shapes.text).toContain('6 of 6 shapes');
    expect((await shapecast('shapes', 'list')).text).toContain('--source-id is required: there are several sources.');
    expect(await shapecast('health', '--api', cluster.url, '--source-id', 'shop-b')).toEqual({
      code: 0,
      text: 'active',
    });
    expect((await shapecast('health', '--api', cluster.url, '--source-id', 'nobody')).code).toBe(1);
    const smoke = await shapecast(
      'smoke',
      '--api',
      cluster.url,
      '--source-id',
      'shop-a',
      '--table',
      'orders',
      '--json',
    );
    expect(JSON.parse(smoke.text)).toMatchObject({ ok: true });
    const lag = await shapecast('lag', '--source-id', 'shop-b', '--json');
    expect(JSON.parse(lag.text)).toMatchObject({
      source: 'shop-b',
      postgres: { unset: 'DATABASE_URL' },
      stream: { leader: 'replicator-1' },
    });
    const doctor = await shapecast('doctor', '--api', cluster.url, '--source-id', 'shop-b', '--json');
    const { findings } = JSON.parse(doctor.text) as { findings: { id: string; status: string }[] };
    expect(findings.find(({ id }) => id === 'api.health')?.status).toBe('ok');
    expect(findings.find(({ id }) => id === 'nats.stream')?.status).toBe('ok');
  });

  test('explains a clause', async () => {
    await page.getByLabel('Table', { exact: true }).fill('orders');
    await page.getByLabel('Where clause').fill(`customer = 'c7' and total > 3`);
    await page.getByRole('button', { name: 'Explain' }).click();
    await shows('Looked up by equality of customer.', 'Pinned columns: customer.');
    await page.getByLabel('Where clause').fill('colour = 1');
    await page.getByRole('button', { name: 'Explain' }).click();
    await shows('where: ');
    expect(complaints.splice(0).filter((complaint) => !complaint.includes('400'))).toEqual([]);
  });

  test('deletes a shape only once the word is typed, and says why it ended', async () => {
    const shape = page.getByRole('row').filter({ hasText: '"total" > ?' });
    const handle = (await shape.innerText()).match(/\d+-\d+/)?.[0] ?? '';
    await shape.getByRole('button', { name: 'Delete' }).click();
    const go = page.getByRole('dialog').getByRole('button', { name: 'Delete' });
    expect(await go.isDisabled()).toBe(true);
    await page.getByLabel('Type delete to go on').fill('delet');
    expect(await go.isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Cancel' }).click();
    expect(await page.getByRole('dialog').count()).toBe(0);
    await shape.getByRole('button', { name: 'Delete' }).click();
    await page.getByLabel('Type delete to go on').fill('delete');
    await go.click();
    await shows('The shape was deleted by an operator.', handle);
  });

  test('pauses, drains, resumes and removes a source that came through the admin API', async () => {
    const database = await createDatabase(cluster.databaseUrl);
    await admin('PUT', '/sources/shop-d', { databaseUrl: database.url, secrets: ['its-secret'] });
    const status = async () => {
      const query = 'source_id=shop-d&secret=its-secret&table=orders&offset=-1';
      return (await fetch(`${cluster.url}/v1/shape?${query}`)).status;
    };
    await page.goto(`${adminUrl}/#/sources/shop-d`);
    const state = page.locator('.tag').first();
    const is = (wanted: string) => until(async () => (await state.innerText()) === wanted);
    await is('active');
    // There is no such table.
    await until(async () => (await status()) === 400);
    await page.getByRole('button', { name: 'Pause' }).click();
    await is('paused');
    await until(async () => (await status()) === 503);
    await page.getByRole('button', { name: 'Resume' }).click();
    await is('active');
    await page.getByRole('button', { name: 'Drain' }).click();
    await is('draining');
    await page.getByRole('button', { name: 'Remove …' }).click();
    await page.getByLabel('Type shop-d to go on').fill('shop-d');
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await until(async () => (await status()) === 401);
    // It goes on without somebody looking, and once it is done there is no such source.
    await until(async () => !JSON.stringify(await admin('GET', '/sources')).includes('shop-d'));
    await shows('There is no source of this id.');
    await database.drop();
    complaints.length = 0;
  });

  test('fits a phone, follows the colours of the system, and can be used without a mouse', async () => {
    await page.goto(`${adminUrl}/#/sources/shop-a`);
    await shows('public.orders');
    const background = () => page.evaluate<string>('getComputedStyle(document.body).backgroundColor');
    const light = await background();
    await page.emulateMedia({ colorScheme: 'dark' });
    expect(await background()).not.toBe(light);
    await page.setViewportSize({ width: 360, height: 740 });
    for (const place of ['#/sources/shop-a', '#/']) {
      await page.goto(`${adminUrl}/${place}`);
      await shows('shop-a');
      expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    }
    await page.keyboard.press('Tab');
    await page.getByRole('link', { name: 'shop-b' }).focus();
    await page.keyboard.press('Enter');
    await shows('Declared in the sources file');
    const nameless = await page.evaluate<number>(
      `[...document.querySelectorAll('button, a, input:not([hidden]), meter, img')].filter((one) =>
        !(one.innerText || one.labels?.length || one.getAttribute('aria-label') || one.hasAttribute('alt'))).length`,
    );
    expect(nameless).toBe(0);
    await page.setViewportSize({ width: 1_200, height: 900 });
  });

  test('asks nobody else, and complains of nothing', () => {
    expect([...new Set(asked.map(({ origin }) => origin))]).toEqual([adminUrl]);
    expect(asked.every(({ search, pathname }) => !`${pathname}${search}`.includes(token))).toBe(true);
    expect(complaints).toEqual([]);
  });

  test('says so when NATS is away, and when the process itself is', async () => {
    await page.goto(`${adminUrl}/#/`);
    await shows('shop-a');
    await cluster.server('nats').stop();
    await shows('NATS is not connected');
    expect(await text()).toContain('shop-a');
    await cluster.process('replicator-1').pause();
    await shows('The admin API does not answer');
    await cluster.process('replicator-1').resume();
  });
});
