import { parentPort } from 'node:worker_threads';
import { systemClock } from '@shapecast/service-kit';
import type { Sample } from '@shapecast/telemetry';
import type { FromWorker, ToWorker, WorkerSourceState } from '../workers/messages.ts';

/**
 * Stands in for the worker of sources in tests of their threads: counts for each source how often it was looked at, and comes to grief
 * in the way that the id of a source names.
 */
const sources = new Map<string, { ticks: number }>();

function run(id: string): void {
  if (id.startsWith('throws')) throw new Error(`${id} threw`);
  if (id.startsWith('rejects')) void Promise.reject(new Error(`${id} rejected`));
  if (id.startsWith('leaves')) process.exit(3);
  if (id.startsWith('greedy')) {
    const kept: unknown[] = [];
    for (;;) kept.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
  }
  if (id.startsWith('hangs')) for (;;);
}

function tell(): void {
  const states: Record<string, WorkerSourceState> = {};
  for (const [id, source] of sources) {
    source.ticks += 1;
    states[id] = { report: { ready: true, status: 'active', ticks: source.ticks } };
  }
  const samples = [...sources].flatMap(([id, { ticks }]): Sample[] => [
    { name: 'shapecast.replicator.changes.count', labels: [id], value: ticks },
    { name: 'shapecast.replicator.leader', labels: [id], value: 1 },
  ]);
  const told: FromWorker = { sources: states, events: { ready: sources.size }, heapBytes: 0, samples };
  parentPort?.postMessage(told);
}

parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'stop') process.exit(0);
  if (message.source === undefined) sources.delete(message.id);
  else sources.set(message.id, { ticks: 0 });
  tell();
  if (message.source !== undefined) setImmediate(() => run(message.id));
});
for (;;) {
  tell();
  await systemClock.sleep(10);
}
