import { mkdirSync, writeFileSync } from 'node:fs';
import { startCluster, waitFor } from '@shapecast/testkit';
import { startBrowser } from '../clients/support/browser.ts';
import { keepBusy } from '../clients/support/busy-sources.ts';

/** For how long the charts are to have something to show. */
const HISTORY_MS = 100_000;
const IMAGE = new URL('../../docs/images/console.png', import.meta.url);

/** Takes the picture of the console that the README has: one source of a cluster with three that are used. */
const cluster = await startCluster({
  ...{ replicators: 2, routers: 2, apis: 2 },
  sources: {
    'shop-a': {
      displayName: 'Shop A',
      limits: { requestsPerSecond: 200, parkedReaders: 50, maxShapes: 50, redisBytes: '4MiB', unindexableClauses: 5 },
    },
    'shop-b': { displayName: 'Shop B' },
    'shop-c': { displayName: 'Shop C' },
  },
});
const busy = await keepBusy(cluster, [15, 5, 2]);
const browser = await startBrowser();
try {
  const begun = performance.now();
  await waitFor(() => performance.now() - begun > HISTORY_MS, { timeoutMs: 2 * HISTORY_MS, intervalMs: 1_000 });
  const page = await browser.context.newPage();
  await page.setViewportSize({ width: 1_180, height: 1_130 });
  await page.goto(cluster.adminUrl ?? '');
  await page.getByLabel('Admin token').fill(cluster.adminToken ?? '');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('link', { name: 'shop-a' }).click();
  await page.getByRole('button', { name: 'Readers' }).click();
  await page.getByRole('row').filter({ hasText: '4' }).first().waitFor();
  await page.locator('section[aria-label="Slow clauses"] tbody tr').first().waitFor();
  await page.getByText('live', { exact: true }).first().waitFor();
  mkdirSync(new URL('.', IMAGE), { recursive: true });
  writeFileSync(IMAGE, await page.screenshot());
} finally {
  await browser.stop();
  await busy.stop();
  await cluster.stop();
}
