import { openNatsMessaging } from '@shapecast/messaging';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { copyNatsStore, startNats, waitFor } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { Harness, type PlacedShape } from './testing/harness.ts';
import { readShape } from './testing/read-shape.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

/** A router over a NATS server whose store can be taken back. */
async function start() {
  const nats = await startNats();
  closing.push(() => nats.stop());
  const parts = { clock: systemClock, log: silentLogger };
  const options = { url: nats.url, streamReplicas: 1, streamMaxBytes: 64 * 1024 * 1024 };
  const messaging = await openNatsMessaging(options, parts, AbortSignal.timeout(60_000));
  const harness = new Harness({ shards: 1, messaging, retain: true });
  closing.push(() => harness.close());
  await harness.open();
  await harness.startRouter('one', { worker: { lingerMs: 5 } });
  const shape = await harness.createShape();
  await waitFor(async () => (await headOf(harness, shape))?.state === 'live');
  return { nats, harness, shape };
}

const headOf = ({ store }: Harness, { shard, handle }: PlacedShape) => store.readHead(shard, handle);
const cursorOf = async ({ store }: Harness, { shard }: PlacedShape) => (await store.readMeta(shard))?.cursor;

let nextId = 1;
function insert(harness: Harness, count: number): void {
  for (let i = 0; i < count; i += 1) {
    const id = String((nextId += 1));
    harness.commit((tx) => tx.insert(harness.items, { id, owner: 'a', note: null }));
  }
}

/** Until the shape has a row for every insert so far, and shows all that was told. */
async function caughtUp(harness: Harness, shape: PlacedShape): Promise<void> {
  const wanted = harness.memory.rows(harness.items.oid).length;
  await waitFor(async () => (await readShape(harness.store, shape)).rows.size === wanted, {
    timeoutMs: 30_000,
    describe: () => `not ${wanted} rows`,
  });
}

async function textsOf(harness: Harness, shape: PlacedShape): Promise<string[]> {
  return (await readShape(harness.store, shape)).log.map(({ offset, text }) => `${offset} ${text}`);
}

const connected = ({ messaging }: Harness) => waitFor(() => messaging.connected());

describe('a tx stream that has lost its tail', () => {
  test.each([
    ['the same messages', 1],
    ['fewer messages', 500],
  ])('F113 is waited for, and read on where it is refilled with %s', async (_, perRecord) => {
    const { nats, harness, shape } = await start();
    insert(harness, 10);
    await harness.flush(1);
    await caughtUp(harness, shape);
    const copy = await copyNatsStore([nats]);
    closing.push(() => copy.drop());
    await connected(harness);
    insert(harness, 30);
    await harness.flush(1);
    await caughtUp(harness, shape);
    const before = await textsOf(harness, shape);
    const at = await cursorOf(harness, shape);
    await copy.restore();
    await connected(harness);
    expect((await harness.stream.info()).lastSeq).toBe((at?.seq ?? 0) - 30);
    await harness.leadAgain();
    await harness.flush(perRecord);
    // Nothing new is in the stream, so nothing but its place may have changed.
    const { lastSeq } = await harness.stream.info();
    await waitFor(async () => (await cursorOf(harness, shape))?.seq === lastSeq);
    expect((await cursorOf(harness, shape))?.position).toEqual(at?.position);
    expect(await textsOf(harness, shape)).toEqual(before);
    insert(harness, 5);
    await harness.flush(2);
    await caughtUp(harness, shape);
    const after = await textsOf(harness, shape);
    expect(after.slice(0, before.length)).toEqual(before);
    expect(after).toHaveLength(before.length + 5);
    expect((await headOf(harness, shape))?.state).toBe('live');
  });

  test('F113 inside a transaction goes on with the rest of it', async () => {
    const { nats, harness, shape } = await start();
    insert(harness, 3);
    await harness.flush();
    await caughtUp(harness, shape);
    const copy = await copyNatsStore([nats]);
    closing.push(() => copy.drop());
    await connected(harness);
    harness.commit((tx) => {
      for (let i = 0; i < 40; i += 1) {
        tx.insert(harness.items, { id: String((nextId += 1)), owner: 'a', note: null });
      }
    });
    const { lastSeq } = await harness.stream.info();
    // All but the end of it is stored.
    const publish = harness.stream.publish.bind(harness.stream);
    let stored = 0;
    harness.stream.publish = async (payload, options) =>
      (stored += 1) <= 7 ? publish(payload, options) : { kind: 'stored', seq: options.expectedLastSeq + 1 };
    await harness.flush(5);
    harness.stream.publish = publish;
    await waitFor(async () => (await cursorOf(harness, shape))?.seq === lastSeq + 7);
    await copy.restore();
    await connected(harness);
    await harness.leadAgain();
    await harness.flush(9);
    await caughtUp(harness, shape);
    const { log } = await readShape(harness.store, shape);
    expect(log.filter(({ message }) => message.headers.last)).toHaveLength(4);
    expect(log).toHaveLength(43);
  });

  test('F113 and goes on without them being sent again yet keeps every shape, and nothing is taken back', async () => {
    const { nats, harness, shape } = await start();
    const copy = await copyNatsStore([nats]);
    closing.push(() => copy.drop());
    await connected(harness);
    insert(harness, 5);
    await harness.flush(1);
    await caughtUp(harness, shape);
    const at = await cursorOf(harness, shape);
    await copy.restore();
    await connected(harness);
    await harness.leadAgain();
    await harness.progress();
    const { lastSeq } = await harness.stream.info();
    await waitFor(async () => (await cursorOf(harness, shape))?.seq === lastSeq);
    expect((await cursorOf(harness, shape))?.position).toEqual(at?.position);
    expect((await headOf(harness, shape))?.state).toBe('live');
  });
});
