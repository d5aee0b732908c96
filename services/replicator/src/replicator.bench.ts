import { openMemoryMessaging, openNatsMessaging, type Messaging } from '@shapecast/messaging';
import type { Change, Lsn, TransactionPart } from '@shapecast/log';
import { silentLogger, systemClock } from '@shapecast/service-kit';
import { ownTelemetry } from '@shapecast/telemetry';
import { startNats } from '@shapecast/testkit';
import { replicatorDefaults } from './options.ts';
import { Outbox } from './outbox.ts';
import { ReplicatorMetrics } from './telemetry/replicator-metrics.ts';
import { testRelation } from './testing/test-wal.ts';

/**
 * Changes per second through pack, encode and publish, one JSON line per case. Run it with
 * `node services/replicator/src/replicator.bench.ts`; NATS is started on loopback.
 */
const SECONDS = 3;
/** Parts a source has at hand in one read of its socket. */
const PARTS_AT_HAND = 200;

let lsn = 1_000n;

function transaction(changes: number): TransactionPart {
  lsn += 100n;
  return {
    lsn: lsn as Lsn,
    endLsn: (lsn + 50n) as Lsn,
    xid: lsn,
    commitTimeUs: 0n,
    begin: true,
    commit: true,
    changes: Array.from({ length: changes }, (_, i): Change => {
      const row = [String(i), `a note of some length, as rows have them, number ${lsn}`];
      return { kind: 'update', op: 2 * i, relation: testRelation, new: row, old: row.with(1, 'before'), changed: [1] };
    }),
  };
}

async function measure(name: string, messaging: Messaging, perTransaction: number): Promise<void> {
  const incarnation = 1 + perTransaction;
  const stream = await messaging.txStreams.create({ source: 'bench', incarnation });
  let stored = 0;
  const events = { onStored: () => void (stored += 1), onResent() {}, onFailed: (error: Error) => report(error) };
  const metrics = new ReplicatorMetrics(ownTelemetry(), systemClock, 'bench');
  const outbox = new Outbox(
    { stream, clock: systemClock, log: silentLogger, metrics, traces: metrics.traces(), events },
    {
      ...replicatorDefaults,
      incarnation,
      epoch: 1,
      seq: 0,
      chain: { position: { lsn: 0n as Lsn, op: 0 }, progressLsn: 0n as Lsn },
      open: false,
      aloneUntilSeq: 0,
    },
  );
  const start = performance.now();
  const cpu = process.cpuUsage();
  let changes = 0;
  while (performance.now() - start < SECONDS * 1_000) {
    const count = Math.max(1, Math.floor(PARTS_AT_HAND / perTransaction));
    const parts = Array.from({ length: count }, () => transaction(perTransaction));
    changes += count * perTransaction;
    await outbox.accept(parts);
    // As a socket would: the loop turns between two reads, and memory streams need their reader.
    await new Promise((resolve) => setImmediate(resolve));
    if (name === 'memory') await stream.trim(Infinity);
  }
  await outbox.drained();
  const seconds = (performance.now() - start) / 1_000;
  const { user, system } = process.cpuUsage(cpu);
  const result = {
    name,
    perTransaction,
    changesPerSecond: Math.round(changes / seconds),
    messagesPerSecond: Math.round(stored / seconds),
    cpuUsPerChange: Number(((user + system) / changes).toFixed(2)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  outbox.close();
}

function report(error: Error): void {
  if (!error.message.includes('session has ended')) process.stderr.write(`${error.stack}\n`);
}

const sizes = [1, 10, 1_000];
const memory = openMemoryMessaging(systemClock);
for (const size of sizes) await measure('memory', memory, size);
await memory.close();

const server = await startNats();
const abort = new AbortController();
const options = { url: server.url, streamReplicas: 1, streamMaxBytes: 4 * 1024 ** 3 };
const nats = await openNatsMessaging(options, { clock: systemClock, log: silentLogger }, abort.signal);
for (const size of sizes) await measure('nats', nats, size);
await nats.close();
await server.stop();
