import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startNats } from '@shapecast/testkit';
import { expect, onTestFinished, test } from 'vitest';
import { readInstallationId } from './installation.ts';
import { openMemoryMessaging } from './memory/open-memory-messaging.ts';
import type { Messaging } from './messaging.ts';
import { openNatsMessaging } from './nats/open-nats-messaging.ts';

const deps = { clock: systemClock, log: silentLogger };

async function idOf({ registries }: Messaging): Promise<string> {
  return readInstallationId({ ...deps, registries }, new AbortController().signal);
}

async function connect(url: string): Promise<Messaging> {
  const messaging = await openNatsMessaging({ url }, deps, new AbortController().signal);
  onTestFinished(() => messaging.close());
  return messaging;
}

test('A4 the installation id persists over restarts of everything, and a new deployment has another', async () => {
  const nats = await startNats();
  onTestFinished(() => nats.stop());
  const processes = await Promise.all(Array.from({ length: 5 }, () => connect(nats.url)));
  const ids = new Set(await Promise.all(processes.map(idOf)));
  expect(ids.size).toBe(1);

  await nats.kill();
  await nats.start();
  ids.add(await idOf(await connect(nats.url)));
  expect(ids.size).toBe(1);

  const other = await startNats();
  onTestFinished(() => other.stop());
  ids.add(await idOf(await connect(other.url)));
  expect(ids.size).toBe(2);
});

test('A4 in memory the installation lasts as long as the registries', async () => {
  const messaging = openMemoryMessaging(systemClock);
  expect(await idOf(messaging)).toBe(await idOf(messaging));
  expect(await idOf(openMemoryMessaging(systemClock))).not.toBe(await idOf(messaging));
});
