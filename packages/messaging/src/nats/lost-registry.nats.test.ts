import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { copyNatsStore, startNats, waitFor, type TestServer } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Messaging } from '../messaging.ts';
import { openNatsMessaging } from './open-nats-messaging.ts';

let nats: TestServer;
let one: Messaging;
let other: Messaging;
beforeEach(async () => {
  nats = await startNats();
  const open = () =>
    openNatsMessaging({ url: nats.url }, { clock: systemClock, log: silentLogger }, AbortSignal.timeout(60_000));
  [one, other] = [await open(), await open()];
});
afterEach(async () => {
  await Promise.all([one.close(), other.close()]);
  await nats.stop();
});

/** A registry at both ends, and what the watch of one was told last. */
async function watched() {
  const [writer, reader] = [await one.registries.open<number>('test'), await other.registries.open<number>('test')];
  const told = new Map<string, number | undefined>();
  await reader.watch('', (key, entry) => told.set(key, entry?.value));
  const has = (key: string, value: number | undefined) =>
    waitFor(() => told.get(key) === value, { describe: () => `${key} is ${told.get(key)} and not ${value}` });
  return { writer, reader, has };
}

describe('a registry', () => {
  test('F97 that was deleted is made again by whoever uses it, and watches go on', async () => {
    const { writer, reader, has } = await watched();
    const first = await writer.put('a', 1);
    for (let i = 2; i <= 20; i += 1) await writer.put('a', i);
    await has('a', 20);
    const admin = await connect({ servers: nats.url });
    await (await jetstreamManager(admin)).streams.delete('KV_test');
    await admin.close();
    expect(await reader.get('a')).toBeUndefined();
    await has('a', undefined);
    expect(await writer.update('a', 21, first + 19)).toBeUndefined();
    expect(await writer.create('a', 22)).toBeDefined();
    await has('a', 22);
    await writer.put('b', 1);
    await has('b', 1);
    expect(await reader.list('')).toHaveLength(2);
  });

  test('F119 whose watch was cut off on the server tells what was written since all the same', async () => {
    const { writer, has } = await watched();
    await writer.put('a', 1);
    await has('a', 1);
    const admin = await connect({ servers: nats.url });
    const jsm = await jetstreamManager(admin);
    let cut = 0;
    for await (const { name } of jsm.consumers.list('KV_test'))
      cut += (await jsm.consumers.delete('KV_test', name)) ? 1 : 0;
    expect(cut).toBeGreaterThan(0);
    await admin.close();
    await writer.put('a', 2);
    await has('a', 2);
  });

  test('F112 that lost its newest entries tells watches what it holds now, and what is written then', async () => {
    const { writer, reader, has } = await watched();
    await writer.put('a', 1);
    await writer.put('b', 1);
    await has('b', 1);
    const copy = await copyNatsStore([nats]);
    await waitFor(() => one.connected() && other.connected());
    for (let i = 2; i <= 20; i += 1) await writer.put('a', i);
    await writer.put('c', 1);
    await has('c', 1);
    await copy.restore();
    await copy.drop();
    await waitFor(() => one.connected() && other.connected());
    await has('a', 1);
    await has('c', undefined);
    await writer.put('b', 2);
    await has('b', 2);
    expect((await reader.get('b'))?.value).toBe(2);
  });
});
