import { jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { sharedNatsUrl, waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Messaging } from '../messaging.ts';
import { freshName } from '../messaging.contract.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

let messaging: Messaging;
let admin: NatsConnection;
beforeEach(async () => {
  const url = sharedNatsUrl();
  messaging = await openNatsMessaging({ url }, { clock: systemClock, log: silentLogger }, AbortSignal.timeout(60_000));
  admin = await connect({ servers: url });
});
afterEach(async () => {
  await messaging.close();
  await admin.close();
});

async function consumersOf(bucket: string): Promise<number> {
  const { state } = await (await jetstreamManager(admin)).streams.info(`KV_${bucket}`);
  return state.consumer_count;
}

test('50 sources that watch a bucket have one consumer on the server', async () => {
  const bucket = freshName();
  const told = new Map<string, number>();
  const stops = await Promise.all(
    Array.from({ length: 50 }, async (_, i) => {
      // Each part opens the registry for itself.
      const registry = await messaging.registries.open<number>(bucket);
      return registry.watch(`s${i}.`, (key, entry) => told.set(key, entry?.value ?? -1));
    }),
  );
  expect(await consumersOf(bucket)).toBe(1);
  const registry = await messaging.registries.open<number>(bucket);
  await registry.put('s49.a', 7);
  await waitFor(() => told.get('s49.a') === 7);
  for (const stop of stops.slice(1)) stop();
  await registry.put('s0.a', 8);
  await waitFor(() => told.get('s0.a') === 8);
  expect(await consumersOf(bucket)).toBe(1);
  stops[0]?.();
});

test('what has expired is told of, and is no longer held', async () => {
  const registry = await messaging.registries.open<number>(freshName(), { ttlMs: 1_000 });
  const told: string[] = [];
  const stop = await registry.watch('', (key, entry) => told.push(`${key} ${entry?.value ?? 'gone'}`));
  await registry.put('a', 1);
  await waitFor(() => told.length === 2);
  expect(told).toEqual(['a 1', 'a gone']);
  stop();
  const again: string[] = [];
  (await registry.watch('', (key) => again.push(key)))();
  expect(again).toEqual([]);
});

test('F97 who begins to watch while the registry is deleted is told what is written then', async () => {
  const bucket = freshName();
  const registry = await messaging.registries.open<number>(bucket);
  await registry.put('a', 1);
  await (await jetstreamManager(admin)).streams.delete(`KV_${bucket}`);
  const told: string[] = [];
  const stop = await registry.watch('', (key, entry) => told.push(`${key} ${entry?.value}`));
  expect(told).toEqual([]);
  await registry.put('b', 1);
  await waitFor(() => told.length === 1);
  expect(told).toEqual(['b 1']);
  stop();
});
