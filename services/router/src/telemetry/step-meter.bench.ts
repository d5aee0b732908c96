/**
 * What measuring costs a step: the part that is there whatever the step does, with and without a trace. Prints JSON, nanoseconds.
 *
 *     node services/router/src/telemetry/step-meter.bench.ts
 */
import type { Lsn } from '@shapecast/log';
import { systemClock } from '@shapecast/service-kit';
import { ownTelemetry } from '@shapecast/telemetry';
import type { Step, StepResult } from '../matching/step.ts';
import { SourceMetrics } from './source-metrics.ts';
import { StepMeter } from './step-meter.ts';

const STEPS = 200_000;
const SHARD = { source: 's', incarnation: 1, shard: 0 };

const step = {
  traces: [],
  bytes: 1_000,
  oldest: { committedMs: 1, publishedMs: 2 },
  commitTimeUs: 1n,
} as unknown as Step;
const result = {
  batch: { entries: [{}, {}], transactions: [{ lsn: 1n as Lsn, xid: 1n }] },
  touched: new Set(['a', 'b']),
} as unknown as StepResult;
const write = async () => 'ok' as const;
const nothing = () => undefined;

async function plain(): Promise<number> {
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < STEPS; i += 1) {
    nothing();
    await write();
  }
  return Number(process.hrtime.bigint() - startedAt) / STEPS;
}

async function measured(): Promise<number> {
  const meter = new StepMeter(
    { metrics: new SourceMetrics(ownTelemetry(), systemClock, 's'), clock: systemClock },
    SHARD,
  );
  const startedAt = process.hrtime.bigint();
  for (let i = 0; i < STEPS; i += 1) {
    meter.begin();
    meter.match(nothing);
    await meter.append(step, result, write);
  }
  return Number(process.hrtime.bigint() - startedAt) / STEPS;
}

await plain();
await measured();
const runs: { readonly plain: number; readonly measured: number }[] = [];
for (let i = 0; i < 5; i += 1) runs.push({ plain: await plain(), measured: await measured() });
const best = (of: (run: (typeof runs)[number]) => number) => Math.round(Math.min(...runs.map(of)));
const [without, withMeter] = [best((run) => run.plain), best((run) => run.measured)];
process.stdout.write(`${JSON.stringify({ steps: STEPS, without, with: withMeter, perStep: withMeter - without })}\n`);
