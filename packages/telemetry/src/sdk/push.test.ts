import { silentLogger, systemClock, type Logger } from '@shapecast/service-kit';
import { waitFor } from '@shapecast/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openProcessTelemetry, openThreadTelemetry, type ProcessTelemetry } from '../process-telemetry.ts';
import { TELEMETRY_DEFAULTS, type TelemetryConfig } from '../telemetry-config.ts';
import { startCollector, type Collector, type ReceivedSpan } from '../testing/collector.ts';
import { traceFields } from '../traceparent.ts';
import { NO_SPAN } from '../tracing.ts';

let collector: Collector;
const opened: ProcessTelemetry[] = [];

beforeEach(async () => {
  collector = await startCollector();
});
afterEach(async () => {
  for (const telemetry of opened.splice(0)) await telemetry.stop();
  await collector.stop();
});

interface World {
  readonly thread?: boolean;
  readonly log?: Logger;
}

async function open(config: Partial<TelemetryConfig> = {}, { thread = false, log = silentLogger }: World = {}) {
  const make = thread ? openThreadTelemetry : openProcessTelemetry;
  const telemetry = await make(
    { ...TELEMETRY_DEFAULTS, otlpEndpoint: collector.url, otlpProtocol: 'http/json', samplingRatio: 1, ...config },
    { role: 'replicator', instance: 'p1', source: 'main' },
    { log, clock: systemClock },
  );
  opened.push(telemetry);
  await telemetry.start(new AbortController().signal);
  return telemetry;
}

const dropped = (telemetry: ProcessTelemetry, reason: string): number | undefined =>
  telemetry.samples().find(({ name, labels }) => name === 'shapecast.telemetry.dropped.count' && labels[0] === reason)
    ?.value;

const span = (name: string): ReceivedSpan => collector.spans.find((one) => one.name === name) as ReceivedSpan;

describe('a trace', () => {
  test('hangs together over processes: parents, links, times, and what went wrong', async () => {
    const { tracing } = await open();
    const startMs = systemClock.now() - 500;
    const root = tracing.start('root', { kind: 'producer', startMs, attributes: { num_changes: 3, kept: true } });
    const near = tracing.start('near', { parent: root });
    // Elsewhere there is only the text.
    const far = tracing.start('far', { parent: root.traceparent, kind: 'consumer' });
    const linked = tracing.start('linked', { links: [root.traceparent as string, 'nonsense'] });
    near.set({ later: 'yes' });
    near.fail(new Error('no access with password=hunter2'));
    for (const one of [linked, far, near]) one.end();
    root.end(startMs + 250);
    await waitFor(() => collector.spans.length === 4);

    expect(root.traceparent).toBe(`00-${span('root').traceId}-${span('root').spanId}-01`);
    expect(span('root')).toMatchObject({ parentSpanId: undefined, kind: 4, status: 0 });
    expect(span('root').attributes).toEqual({ num_changes: 3, kept: true });
    expect(Math.round(span('root').endMs - span('root').startMs)).toBe(250);
    for (const name of ['near', 'far']) {
      expect(span(name)).toMatchObject({ traceId: span('root').traceId, parentSpanId: span('root').spanId });
    }
    expect(span('near')).toMatchObject({ status: 2, attributes: { later: 'yes', 'error.type': 'Error' } });
    expect(span('linked').traceId).not.toBe(span('root').traceId);
    expect(span('linked').links).toMatchObject([{ traceId: span('root').traceId, spanId: span('root').spanId }]);
    expect(collector.requests.map(({ body }) => body.toString()).join()).not.toContain('hunter2');
    expect(traceFields(root)).toEqual({ trace_id: span('root').traceId, span_id: span('root').spanId });
  });

  test('O 6.1.5 says which process it is from, and what operators say of it', async () => {
    const { tracing } = await open({ resourceAttributes: { region: 'eu', 'service.name': 'shapes' } });
    tracing.start('one').end();
    await waitFor(() => collector.spans.length === 1);
    expect(span('one').resource).toMatchObject({
      'service.name': 'shapes',
      'service.version': '0.1.0',
      'service.instance.id': 'p1',
      'instance.id': 'p1',
      role: 'replicator',
      source_id: 'main',
      stack_id: 'main',
      region: 'eu',
    });
  });

  test('is recorded as often as was asked for, and whole or not at all', async () => {
    const { tracing } = await open({ samplingRatio: 0.2 });
    let recorded = 0;
    for (let i = 0; i < 2_000; i += 1) {
      const root = tracing.start('root');
      const child = tracing.start('child', { parent: root });
      expect(child.recorded).toBe(root.recorded);
      if (root.recorded) recorded += 1;
      else expect(traceFields(root)).toEqual({});
    }
    expect(recorded).toBeGreaterThan(200);
    expect(recorded).toBeLessThan(700);
  });

  test('from elsewhere is recorded as it says itself', async () => {
    const { tracing } = await open({ samplingRatio: 0.5 });
    const parent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}`;
    for (let i = 0; i < 20; i += 1) {
      expect(tracing.start('sampled', { parent: `${parent}-01` }).recorded).toBe(true);
      expect(tracing.start('not sampled', { parent: `${parent}-00` })).toBe(NO_SPAN);
    }
  });

  test.each<[TelemetryConfig['sampler'], boolean, boolean, boolean]>([
    ['always_on', true, true, true],
    ['always_off', false, false, false],
    ['parentbased_always_on', true, true, false],
    ['parentbased_always_off', false, true, false],
    ['traceidratio', true, true, true],
    ['parentbased_traceidratio', true, true, false],
  ])(
    'with %s: begun here %s, below a sampled one %s, below one that is not %s',
    async (sampler, root, below, beside) => {
      const { tracing } = await open({ sampler });
      const parent = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}`;
      expect(tracing.start('x').recorded).toBe(root);
      expect(tracing.start('x', { parent: `${parent}-01` }).recorded).toBe(below);
      expect(tracing.start('x', { parent: `${parent}-00` }).recorded).toBe(beside);
    },
  );

  test('leaves out spans by name, and answers without news, and hangs together all the same', async () => {
    const { tracing } = await open({ excludeSpans: ['middle'], dropEmptySpans: true });
    const root = tracing.start('root');
    const middle = tracing.start('middle', { parent: root });
    const leaf = tracing.start('leaf', { parent: middle });
    const empty = tracing.start('Plug_shape_get', { attributes: { SampleRate: 0 } });
    for (const one of [empty, leaf, middle, root]) one.end();
    await waitFor(() => collector.spans.length >= 2);
    await opened[0]?.stop();
    expect(collector.spans.map(({ name }) => name).sort()).toEqual(['leaf', 'root']);
    expect(span('leaf').parentSpanId).toBe(span('root').spanId);
  });

  test('is printed for somebody who debugs, with and without a collector', async () => {
    const lines: object[] = [];
    const log: Logger = { ...silentLogger, info: (fields) => void lines.push(fields), child: () => log };
    const { tracing } = await open({ printSpans: true, otlpEndpoint: undefined }, { log });
    tracing.start('shown', { attributes: { shard: 1 } }).end();
    expect(lines).toContainEqual(expect.objectContaining({ span: 'shown', attributes: { shard: 1 } }));
  });
});

describe('metrics', () => {
  test('are pushed from the cells that are scraped, as sums since the start', async () => {
    const telemetry = await open({ metricsExportMs: 200 });
    telemetry.metrics.counter('shapecast.replicator.fenced.count', { source: 'main' }).add(2);
    telemetry.metrics.histogram('shapecast.replicator.publish.latency', {}).record(3);
    const of = (name: string) => collector.metrics.filter((one) => one.name === name);
    await waitFor(() => of('shapecast.replicator.publish.latency').length >= 2);
    expect(of('shapecast.replicator.fenced.count').at(-1)).toMatchObject({
      temporality: 2,
      unit: '1',
      points: [{ attributes: { source: 'main' }, value: 2 }],
      resource: { role: 'replicator', 'service.name': 'shapecast-replicator' },
    });
    const [latency] = of('shapecast.replicator.publish.latency').at(-1)?.points ?? [];
    expect(latency?.count).toBe(1);
    expect(latency?.buckets?.indexOf(1)).toBe(3);
    expect(of('process.memory.total')[0]?.points[0]?.value).toBeGreaterThan(1e6);
  });

  test('are not pushed by threads, whose spans are', async () => {
    const { tracing } = await open({ metricsExportMs: 50 }, { thread: true });
    tracing.start('of a thread').end();
    await waitFor(() => collector.spans.length === 1);
    expect(collector.requests.map(({ path }) => path)).toEqual(['/v1/traces']);
  });
});

test('what is pushed carries the headers that let us in, in the form of protocol buffers by default', async () => {
  const telemetry = await open({
    otlpProtocol: 'http/protobuf',
    otlpHeaders: { authorization: 'Bearer x' },
    honeycombKey: 'key',
    honeycombDataset: 'data',
  });
  telemetry.tracing.start('a-name-to-find').end();
  await telemetry.stop();
  expect(collector.requests.map(({ path }) => path).sort()).toEqual(['/v1/metrics', '/v1/traces']);
  for (const { headers, body, path } of collector.requests) {
    expect(headers).toMatchObject({
      'content-type': 'application/x-protobuf',
      authorization: 'Bearer x',
      'x-honeycomb-team': 'key',
      'x-honeycomb-dataset': 'data',
    });
    expect(body.includes(path === '/v1/traces' ? 'a-name-to-find' : 'process.memory.total')).toBe(true);
  }
});

describe('a collector', () => {
  test('that is away costs what is given up, and that is counted and said once', async () => {
    const lines: string[] = [];
    const log: Logger = { ...silentLogger, warn: (_, message) => void lines.push(message), child: () => log };
    const telemetry = await open({ metricsExportMs: 100 }, { log });
    collector.mode = 'refuse';
    telemetry.tracing.start('lost').end();
    await waitFor(() => dropped(telemetry, 'spans_not_pushed') === 1);
    await waitFor(() => (dropped(telemetry, 'metrics_not_pushed') ?? 0) >= 2);
    expect(lines).toEqual(Array.from({ length: 2 }, () => 'telemetry could not be pushed, it is given up'));
    collector.mode = 'take';
    telemetry.tracing.start('told').end();
    await waitFor(() => collector.spans.some(({ name }) => name === 'told'));
    expect(collector.spans).toHaveLength(1);
  });

  test('that hangs holds nobody up: spans are given up at a bound, and stopping does not wait for it', async () => {
    const telemetry = await open();
    collector.mode = 'hang';
    const startedAt = performance.now();
    for (let i = 0; i < 10_000; i += 1) telemetry.tracing.start('span').end();
    expect(dropped(telemetry, 'spans_queue_full')).toBe(10_000 - 4_096);
    await telemetry.stop();
    // Three seconds are waited; a request alone would take ten.
    expect(performance.now() - startedAt).toBeLessThan(9_000);
  });
});
