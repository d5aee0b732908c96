import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext } from 'playwright-core';
import { findChromium } from '@shapecast/testkit';

/** Nothing but the page's own requests, and a start that works as root and without a graphics card. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface Browser {
  readonly context: BrowserContext;
  stop(): Promise<void>;
}

/** The system's Chromium with a profile of its own, and therefore an empty cache on disk. */
export async function startBrowser(): Promise<Browser> {
  const executablePath = await findChromium();
  const profile = await mkdtemp(join(tmpdir(), 'shapecast-chromium-'));
  const context = await chromium.launchPersistentContext(profile, { executablePath, headless: true, args: QUIET });
  return {
    context,
    async stop() {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
