import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { isShapecastError } from '@shapecast/errors';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { startNatsCluster, waitFor, type NatsCluster, type TestServer } from '@shapecast/testkit';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bytes, freshName, freshStreamId, text, type OpenMessaging } from '../messaging.contract.ts';
import type { Messaging } from '../messaging.ts';
import { describeRegistry } from '../registry.contract.ts';
import { txStreamName } from '../subjects.ts';
import { describeTxStream } from '../tx-stream.contract.ts';
import type { TxStream } from '../tx-stream.ts';
import { openNatsMessaging, type NatsMessagingOptions } from './open-nats-messaging.ts';

let cluster: NatsCluster;
beforeAll(async () => {
  cluster = await startNatsCluster();
});
afterAll(() => cluster.stop());

const parts = { clock: systemClock, log: silentLogger };

function openOne(url = cluster.url, options: Partial<NatsMessagingOptions> = {}): Promise<Messaging> {
  return openNatsMessaging({ url, streamMaxBytes: 64 * 1024 ** 2, ...options }, parts, AbortSignal.timeout(60_000));
}

const open: OpenMessaging = async () => {
  // Each talks to another server first.
  const [one, other] = await Promise.all([openOne(), openOne(cluster.url.split(',').reverse().join(','))]);
  return {
    one,
    other,
    async close() {
      await Promise.all([one.close(), other.close()]);
    },
  };
};

describeTxStream('a NATS cluster', open);
describeRegistry('a NATS cluster', open, { passTtl: async () => {} });

/** As the replicator does: pipelined, and after any failure again from the first that is not stored, once that is known. */
async function write(stream: TxStream, from: number, to: number, onStored?: (seq: number) => void): Promise<void> {
  let next = from;
  while (next <= to) {
    const batch = Array.from({ length: Math.min(50, to + 1 - next) }, (_, i) => next + i);
    const outcomes = await Promise.allSettled(
      batch.map((n) => stream.publish(bytes(`m${n}`), { expectedLastSeq: n - 1, msgId: `id${n}` })),
    );
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') {
        if (!isShapecastError(outcome.reason, 'STREAM_UNAVAILABLE')) throw outcome.reason;
        await systemClock.sleep(50);
        break;
      }
      if (outcome.value.kind === 'conflict') {
        if (outcome.value.lastSeq >= next) throw new Error(`conflict at ${next}, last is ${outcome.value.lastSeq}`);
        break;
      }
      next += 1;
      onStored?.(next - 1);
    }
  }
}

describe('servers of a cluster that die', () => {
  /** The leader of the stream, and another one: with them goes the quorum. */
  const victimsFor = async (stream: string): Promise<readonly TestServer[]> => {
    const leader = await leaderOf(stream);
    return [leader, ...cluster.servers.filter((server) => server !== leader).slice(0, 1)];
  };

  const leaderOf = async (stream: string): Promise<TestServer> =>
    waitFor(() => cluster.leader(stream), { describe: () => `${stream} has no leader` });

  test('F103, F104 cost neither a record nor a repetition, and writers and readers go on by themselves', async () => {
    const [writing, reading] = [await openOne(), await openOne()];
    const stream = await writing.txStreams.create(freshStreamId());
    const name = txStreamName(stream.id);
    expect((await stream.info()).replicas).toBe(3);
    const registry = await writing.registries.open<number>(freshName());
    const seen: string[] = [];
    const over = new AbortController();
    const reader = (async () => {
      const opened = await reading.txStreams.open(stream.id);
      for await (const { seq, payload } of opened!.read(1, { maxBufferedBytes: 50_000 }, over.signal)) {
        seen.push(`${seq} ${text(payload)}`);
      }
    })();
    let stored = 0;
    let counted = 0;
    const failed: string[] = [];
    let done = false;
    const writer = (async () => {
      for (let next = 1; !done; next += 200) await write(stream, next, next + 199, (seq) => (stored = seq));
    })();
    /** Counts in a record, as whoever holds a lease would: a write whose answer is lost is looked up. */
    const counter = (async () => {
      while (!done) {
        try {
          const entry = await registry.get('count');
          if ((entry?.value ?? 0) > counted) counted = entry?.value ?? 0;
          const next = counted + 1;
          const revision = entry
            ? await registry.update('count', next, entry.revision)
            : await registry.create('count', 1);
          if (revision !== undefined) counted = next;
          const now = (await registry.get('count'))?.value ?? 0;
          if (now < counted) failed.push(`the count went back from ${counted} to ${now}`);
        } catch (error) {
          if (!isShapecastError(error, 'STREAM_UNAVAILABLE')) throw error;
        }
        await systemClock.sleep(10);
      }
    })();
    await waitFor(() => stored > 500 && counted > 0);
    const victims = await victimsFor(name);
    await Promise.all(victims.map((server) => server.kill()));
    await Promise.all(victims.map((server) => server.start()));
    const [before, beforeCount] = [stored, counted];
    await waitFor(() => stored > before + 300 && counted > beforeCount + 3, {
      describe: () => `${stored} records after ${before}, count ${counted} after ${beforeCount}`,
    });
    done = true;
    await Promise.all([writer, counter]);
    await waitFor(() => seen.length >= stored, { describe: () => `${seen.length} of ${stored}` });
    over.abort();
    await reader;
    expect(seen).toEqual(Array.from({ length: stored }, (_, i) => `${i + 1} m${i + 1}`));
    expect((await stream.info()).lastSeq).toBe(stored);
    expect(failed).toEqual([]);
    await Promise.all([writing.close(), reading.close()]);
  });

  test('8.2.1 registries and streams made with one copy get three once they are to have them', async () => {
    const single = await openOne(cluster.url, { streamReplicas: 1 });
    const { id } = await single.txStreams.create(freshStreamId());
    const bucket = freshName();
    await (await single.registries.open<string>(bucket)).put('a', 'kept');
    await single.close();
    const messaging = await openOne();
    const stream = await messaging.txStreams.open(id, { reconcile: true });
    expect(await stream?.info()).toMatchObject({ replicas: 3 });
    expect((await (await messaging.registries.open<string>(bucket)).get('a'))?.value).toBe('kept');
    const admin = await connect({ servers: cluster.servers.map(({ url }) => url) });
    const { config } = await (await jetstreamManager(admin)).streams.info(`KV_${bucket}`);
    expect(config.num_replicas).toBe(3);
    await admin.close();
    await messaging.close();
  });
});
