import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { isShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { startNats, type NatsOptions, type TestServer } from '@shapecast/testkit';
import { afterEach, describe, expect, test } from 'vitest';
import { bytes, freshName, freshStreamId, gate, take, text } from '../messaging.contract.ts';
import type { Messaging } from '../messaging.ts';
import { txStreamName } from '../subjects.ts';
import type { TxStream } from '../tx-stream.ts';
import { openNatsMessaging, type NatsMessagingOptions } from './open-nats-messaging.ts';

const MIB = 1024 ** 2;
const cleanups: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function server(options?: NatsOptions): Promise<TestServer> {
  const started = await startNats(options);
  cleanups.push(() => started.stop());
  return started;
}

async function open(
  url: string,
  options: Partial<NatsMessagingOptions> = {},
  log: Logger = silentLogger,
): Promise<Messaging> {
  const opened = await openNatsMessaging(
    { url, streamMaxBytes: 64 * MIB, ...options },
    { clock: systemClock, log },
    AbortSignal.timeout(60_000),
  );
  cleanups.push(() => opened.close());
  return opened;
}

const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await condition())) await systemClock.sleep(10);
};

/** Publishes m<from>..m<to> as the replicator does: pipelined, and after any failure again from the first not stored. */
async function publishAll(
  stream: TxStream,
  from: number,
  to: number,
  window: number,
  onStored?: (seq: number) => void,
): Promise<void> {
  let next = from;
  while (next <= to) {
    const batch = Array.from({ length: Math.min(window, to + 1 - next) }, (_, i) => next + i);
    const outcomes = await Promise.allSettled(
      batch.map((n) => stream.publish(bytes(`m${n}`), { expectedLastSeq: n - 1, msgId: `id${n}` })),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        if (!isShapecastError(outcome.reason, 'STREAM_UNAVAILABLE')) throw outcome.reason;
        await systemClock.sleep(20);
        break;
      }
      if (outcome.value.kind === 'conflict') throw new Error(`conflict at ${next}, last is ${outcome.value.lastSeq}`);
      next += 1;
      onStored?.(next - 1);
    }
  }
}

function recordingLogger(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const record = (fields: object, message: string): void => {
    const plain = JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? `${value.stack}` : value));
    lines.push(`${message} ${plain}`);
  };
  const log: Logger = { error: record, warn: record, info: record, debug: record, child: () => log };
  return { log, lines };
}

describe('a server that is killed and comes back', () => {
  test('writer and readers go on without loss or duplicates', async () => {
    const nats = await server();
    const [writing, reading] = [await open(nats.url), await open(nats.url)];
    const stream = await writing.txStreams.create(freshStreamId());
    const count = 6_000;
    const reader = await reading.txStreams.open(stream.id);
    const slow = take(reader!.read(1, { maxBufferedBytes: 2_000 }, AbortSignal.timeout(60_000)), count);
    const fast = take(reader!.read(1, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000)), count);
    const marks = [gate(), gate()];
    const publishing = publishAll(stream, 1, count, 250, (seq) => {
      if (seq === 1_500) marks[0]?.open();
      if (seq === 4_000) marks[1]?.open();
    });
    for (const mark of marks) {
      await mark.opened;
      await nats.kill();
      await nats.start();
    }
    await publishing;
    const expected = Array.from({ length: count }, (_, i) => ({ seq: i + 1, text: `m${i + 1}` }));
    expect(await fast).toEqual(expected);
    expect(await slow).toEqual(expected);
  });

  test('a reader that waits at the end gets what is stored after the restart', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await publishAll(stream, 1, 3, 3);
    const reading = take(stream.read(1, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000)), 4);
    await nats.kill();
    await until(() => !messaging.connected());
    const refused = stream.publish(bytes('m4'), { expectedLastSeq: 3, msgId: 'id4' });
    await expect(refused).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE', details: { reason: 'disconnected' } });
    await nats.start();
    await until(() => messaging.connected());
    await publishAll(stream, 4, 4, 1);
    expect((await reading).map((message) => message.text)).toEqual(['m1', 'm2', 'm3', 'm4']);
  });

  test('a read begun while the server is down starts when it is back', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await publishAll(stream, 1, 2, 2);
    await nats.kill();
    await until(() => !messaging.connected());
    const reading = take(stream.read(2, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000)), 1);
    await nats.start();
    expect(await reading).toEqual([{ seq: 2, text: 'm2' }]);
  });

  test('a publish whose answer was lost is stored once, however often it is repeated', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await publishAll(stream, 1, 1, 1);
    const lost = stream.publish(bytes('m2'), { expectedLastSeq: 1, msgId: 'id2' }).catch((error: unknown) => error);
    await nats.kill();
    await lost;
    await nats.start();
    await until(() => messaging.connected());
    await publishAll(stream, 2, 3, 1);
    await publishAll(stream, 2, 3, 2);
    expect(await stream.info()).toMatchObject({ lastSeq: 3 });
    expect(text((await stream.get(2))?.payload ?? bytes(''))).toBe('m2');
  });

  test('subscribers to hints are told of the gap and hear again', async () => {
    const nats = await server();
    const [one, other] = [await open(nats.url), await open(nats.url)];
    const subject = `shapecast.hint.${freshName()}`;
    const [gap, heard] = [gate(), gate()];
    one.hints.subscribe(
      subject,
      () => heard.open(),
      () => gap.open(),
    );
    await nats.kill();
    await until(() => !one.connected() && !other.connected());
    other.hints.publish(subject, bytes('dropped'));
    await nats.start();
    await gap.opened;
    await until(() => other.connected());
    other.hints.publish(subject, bytes('heard'));
    await expect(heard.opened).resolves.toBeUndefined();
  });

  test('a request waits for the connection to come back', async () => {
    const nats = await server();
    const [one, other] = [await open(nats.url), await open(nats.url)];
    const subject = `shapecast.rpc.${freshName()}`;
    other.rpc.serve(subject, async () => 'answer');
    await nats.kill();
    await until(() => !one.connected() && !other.connected());
    const call = () => one.rpc.call(subject, {}, { timeoutMs: 30_000, signal: AbortSignal.timeout(60_000) });
    const calling = (async () => {
      for (;;) {
        try {
          return await call();
        } catch (error) {
          if (!isShapecastError(error, 'NOT_READY')) throw error;
        }
      }
    })();
    await nats.start();
    expect(await calling).toBe('answer');
  });

  test('a watch tells what changed meanwhile and what changes after', async () => {
    const nats = await server();
    const [one, other] = [await open(nats.url), await open(nats.url)];
    const bucket = freshName();
    const registry = await one.registries.open<string>(bucket);
    const told = new Map<string, string | undefined>();
    await registry.watch('', (key, entry) => told.set(key, entry?.value));
    const writer = await other.registries.open<string>(bucket);
    await writer.put('a', 'before');
    await until(() => told.get('a') === 'before');
    await nats.kill();
    await until(() => !one.connected() && !other.connected());
    await nats.start();
    await until(() => other.connected());
    await writer.put('a', 'meanwhile');
    await until(() => told.get('a') === 'meanwhile');
    await writer.put('b', 'after');
    await until(() => told.get('b') === 'after');
    await writer.delete('a');
    await until(() => told.get('a') === undefined);
    expect([...told]).toEqual([
      ['a', undefined],
      ['b', 'after'],
    ]);
  });
});

describe('a tx stream in trouble', () => {
  test('a full stream refuses without losing anything and takes again once trimmed', async () => {
    const nats = await server();
    const messaging = await open(nats.url, { streamMaxBytes: 64 * 1024 });
    const stream = await messaging.txStreams.create(freshStreamId());
    const payload = new Uint8Array(10_000);
    let stored = 0;
    let refused: unknown;
    while (refused === undefined) {
      try {
        await stream.publish(payload, { expectedLastSeq: stored, msgId: `id${stored}` });
        stored += 1;
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: 'STREAM_UNAVAILABLE', details: { reason: 'full' }, retryable: true });
    expect(await stream.info()).toMatchObject({ firstSeq: 1, lastSeq: stored });
    await stream.trim(3);
    const outcome = await stream.publish(payload, { expectedLastSeq: stored, msgId: `id${stored}` });
    expect(outcome).toEqual({ kind: 'stored', seq: stored + 1 });
  });

  test('a publish to a stream that was deleted says so', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await messaging.txStreams.delete(stream.id);
    const publishing = stream.publish(bytes('m1'), { expectedLastSeq: 0, msgId: 'id1' });
    await expect(publishing).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE', details: { reason: 'no-stream' } });
  });

  test('a reader goes on when its consumer is deleted by hand', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await publishAll(stream, 1, 10, 10);
    const admin = await connect({ servers: nats.url });
    cleanups.push(() => admin.close());
    const jsm = await jetstreamManager(admin);
    const first = gate();
    const reading = (async () => {
      const seqs: number[] = [];
      for await (const message of stream.read(1, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000))) {
        seqs.push(message.seq);
        if (message.seq === 10) first.open();
        if (message.seq === 20) break;
      }
      return seqs;
    })();
    await first.opened;
    for await (const consumer of jsm.consumers.list(txStreamName(stream.id))) {
      await jsm.consumers.delete(txStreamName(stream.id), consumer.name);
    }
    await publishAll(stream, 11, 20, 10);
    expect(await reading).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  });

  test('a reader leaves no consumer behind', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    await publishAll(stream, 1, 3, 3);
    await take(stream.read(1, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000)), 3);
    const admin = await connect({ servers: nats.url });
    cleanups.push(() => admin.close());
    const jsm = await jetstreamManager(admin);
    await until(async () => (await jsm.streams.info(txStreamName(stream.id))).state.consumer_count === 0);
    expect((await stream.info()).lastSeq).toBe(3);
  });

  test('streams are made as the settings say, and follow them when they change', async () => {
    const nats = await server();
    const id = freshStreamId();
    await (await open(nats.url)).txStreams.create(id);
    await (await open(nats.url, { streamMaxBytes: 32 * MIB, streamMaxAgeMs: 90_000_000 })).txStreams.create(id);
    const admin = await connect({ servers: nats.url });
    cleanups.push(() => admin.close());
    const { config } = await (await jetstreamManager(admin)).streams.info(txStreamName(id));
    expect(config).toMatchObject({
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      num_replicas: 1,
      max_bytes: 32 * MIB,
      max_age: 90_000_000 * 1_000_000,
      duplicate_window: 120_000 * 1_000_000,
      allow_direct: true,
      deny_purge: false,
    });
  });
});

describe('opening', () => {
  test('waits for a server that is not there yet, and says so without credentials', async () => {
    const nats = await server({ config: 'authorization { user: shapecast, password: s3cret }' });
    await nats.kill();
    const { log, lines } = recordingLogger();
    const url = nats.url.replace('nats://', 'nats://shapecast:s3cret@');
    const opening = open(url, {}, log);
    await until(() => lines.some((line) => line.startsWith('NATS is not reachable, retrying')));
    await nats.start();
    const messaging = await opening;
    expect(messaging.connected()).toBe(true);
    expect(lines.join('\n')).not.toContain('s3cret');
    expect(lines[0]).toContain(nats.url);
  });

  test('ends when its signal aborts', async () => {
    const nats = await server();
    await nats.kill();
    const { log, lines } = recordingLogger();
    const stop = new AbortController();
    const opening = openNatsMessaging({ url: nats.url }, { clock: systemClock, log }, stop.signal);
    const failed = expect(opening).rejects.toThrow('stopped');
    await until(() => lines.length > 0);
    stop.abort(new Error('stopped'));
    await failed;
  });

  test('an account without JetStream is one clear sentence', async () => {
    const nats = await server({ config: 'accounts { PLAIN { users: [ { user: shapecast, password: s3cret } ] } }' });
    await expect(open(nats.url.replace('nats://', 'nats://shapecast:s3cret@'))).rejects.toMatchObject({
      code: 'STREAM_UNAVAILABLE',
      message: 'JetStream is not enabled for this NATS account: add "jetstream: enabled" to the account',
    });
  });

  test('after closing, readers end with an error and nothing is connected', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    const stream = await messaging.txStreams.create(freshStreamId());
    const reading = take(stream.read(1, { maxBufferedBytes: MIB }, AbortSignal.timeout(60_000)), 1);
    const failed = expect(reading).rejects.toMatchObject({ code: 'STREAM_UNAVAILABLE' });
    await messaging.close();
    await messaging.close();
    await failed;
    expect(messaging.connected()).toBe(false);
  });

  test('closing while the server is away does not wait for it', async () => {
    const nats = await server();
    const messaging = await open(nats.url);
    await nats.kill();
    await until(() => !messaging.connected());
    await expect(messaging.close()).resolves.toBeUndefined();
  });
});
