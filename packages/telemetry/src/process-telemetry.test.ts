import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { silentLogger, systemClock, type Clock } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, expect, test } from 'vitest';
import { openProcessTelemetry, openThreadTelemetry, type ProcessTelemetry } from './process-telemetry.ts';
import { prometheusName } from './table/index.ts';
import { PROCESS_METRICS } from './table/process.ts';
import { TELEMETRY_DEFAULTS, type TelemetryConfig } from './telemetry-config.ts';
import { readExposition } from './testing/exposition.ts';
import { NO_TRACING } from './tracing.ts';

const opened: ProcessTelemetry[] = [];
afterEach(async () => {
  for (const telemetry of opened.splice(0)) await telemetry.stop();
});

/** What is due in ten seconds happens at once. */
const hurried: Clock = { ...systemClock, after: (_, callback) => systemClock.after(50, callback) };

async function open(
  config: Partial<TelemetryConfig> = {},
  { thread = false, events }: { thread?: boolean; events?: { counts: Record<string, number>; omitted: number } } = {},
): Promise<ProcessTelemetry> {
  const deps = { log: silentLogger, clock: hurried, ...(events === undefined ? {} : { events }) };
  const identity = { role: 'router', instance: 'r1' } as const;
  const make = thread ? openThreadTelemetry : openProcessTelemetry;
  const telemetry = await make({ ...TELEMETRY_DEFAULTS, ...config }, identity, deps);
  opened.push(telemetry);
  await telemetry.start(new AbortController().signal);
  return telemetry;
}

const value = (telemetry: ProcessTelemetry, name: string, at = 0): number | undefined =>
  readExposition(telemetry.text()).get(name)?.series[at]?.value;

test('a process tells of itself, of its event loop and of its machine', async () => {
  const telemetry = await open();
  await waitFor(() => value(telemetry, 'nodejs_eventloop_utilization') !== undefined);
  await waitFor(() => value(telemetry, 'system_cpu_utilization_total') !== undefined);
  for (let i = 0; i < 2_000; i += 1) Array.from({ length: 1_000 }, () => ({}));
  await waitFor(() => (value(telemetry, 'v8js_gc_duration') ?? -1) >= 0);
  const exposed = readExposition(telemetry.text());
  // The rest is what parts of a process feed that are not here.
  const others = /^shapecast_(ready|bus|redis|postgres|tenant|state_events|log)/;
  const missing = Object.keys(PROCESS_METRICS)
    .map((name) => prometheusName(name as keyof typeof PROCESS_METRICS))
    .filter((name) => !others.test(name) && !exposed.has(name));
  expect(missing).toEqual([]);
  const between = (name: string, low: number, high: number) => {
    for (const { value: one } of exposed.get(name)?.series ?? []) {
      expect(one, name).toBeGreaterThanOrEqual(low);
      expect(one, name).toBeLessThanOrEqual(high);
    }
  };
  between('process_memory_total', 10e6, 10e9);
  between('process_memory_heap_used', 1e6, 10e9);
  between('process_memory_heap_limit', 10e6, 100e9);
  between('process_start_timestamp', Date.now() / 1_000 - 3_600, Date.now() / 1_000);
  between('vm_uptime_total', 0, 3_600);
  between('process_cpu_time', 0, 3_600);
  between('nodejs_eventloop_utilization', 0, 1);
  between('nodejs_eventloop_delay_p50', 0, 60);
  between('system_cpu_core_count', 1, 4_096);
  between('system_cpu_utilization_total', 0, 100);
  between('system_cpu_utilization_core', 0, 100);
  between('system_memory_percent_used_memory', 0, 100);
  expect(exposed.get('shapecast_build_info')?.series.map(({ labels }) => labels)).toEqual([
    { version: '0.1.0', name: 'shapecast' },
    { version: process.versions.node, name: 'node' },
  ]);
  expect(telemetry.tracing).toBe(NO_TRACING);
});

test('a thread tells of its own event loop and heap, and leaves the process to the process', async () => {
  const thread = await open({}, { thread: true });
  await waitFor(() => value(thread, 'nodejs_eventloop_utilization') !== undefined);
  const exposed = readExposition(thread.text());
  expect(exposed.has('process_memory_heap_used')).toBe(true);
  for (const name of ['process_memory_total', 'process_cpu_time', 'shapecast_build_info', 'system_cpu_core_count']) {
    expect([name, exposed.has(name)]).toEqual([name, false]);
  }
});

test('what threads measured is told with what the process measured', async () => {
  const [telemetry, thread] = [await open(), await open({}, { thread: true })];
  thread.metrics.counter('shapecast.replicator.fenced.count', { source: 'a' }).add(2);
  telemetry.metrics.counter('shapecast.replicator.fenced.count', { source: 'a' }).add(1);
  // As it comes from another thread: plain data.
  let newest = structuredClone(thread.samples());
  const ended = telemetry.include(() => newest);
  expect(value(telemetry, 'shapecast_replicator_fenced_count')).toBe(3);
  thread.metrics.counter('shapecast.replicator.fenced.count', { source: 'a' }).add(4);
  newest = structuredClone(thread.samples());
  ended();
  expect(value(telemetry, 'shapecast_replicator_fenced_count')).toBe(7);
  telemetry.forgetSource('a');
  expect(value(telemetry, 'shapecast_replicator_fenced_count')).toBeUndefined();
});

test('state events are counted by name, and those that the log left out', async () => {
  const events = { counts: { ready: 1, shape_rotated: 40 }, omitted: 30 };
  const telemetry = await open({}, { events });
  events.counts.ready = 2;
  const { series } = readExposition(telemetry.text()).get('shapecast_state_events_count') ?? { series: [] };
  expect(series.map(({ labels, value: count }) => [labels['name'], count])).toEqual([
    ['ready', 2],
    ['shape_rotated', 40],
  ]);
  expect(value(telemetry, 'shapecast_log_dropped_count')).toBe(30);
});

test('there are as many series with many sources as with those that are told apart', async () => {
  const telemetry = await open({ metricsMaxSources: 3 });
  for (let i = 0; i < 50; i += 1) {
    telemetry.metrics.counter('shapecast.replicator.fenced.count', { source: `s${i}` }).add();
  }
  const { series } = readExposition(telemetry.text()).get('shapecast_replicator_fenced_count') ?? { series: [] };
  expect(series.map(({ labels, value: count }) => [labels['source'], count])).toEqual([
    ['s0', 1],
    ['s1', 1],
    ['s2', 1],
    ['other', 47],
  ]);
});

test('ELECTRIC_PROMETHEUS_PORT is one more place to scrape', async () => {
  const port = await freePort();
  const telemetry = await open({ metricsPort: port });
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  expect(readExposition(await response.text()).has('shapecast_build_info')).toBe(true);
  expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
  await telemetry.stop();
  await expect(fetch(`http://127.0.0.1:${port}/metrics`)).rejects.toThrow();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
