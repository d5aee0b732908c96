import { performance } from 'node:perf_hooks';
import { context, logs, metrics as meters, trace, type Tracer } from '@opentelemetry/api';
import { defaultResource, resourceFromAttributes, type Resource } from '@opentelemetry/resources';
import { PeriodicExportingMetricReader, type IMetricReader, type PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { AlwaysOnSampler, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import { wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import type { Metrics, Sample } from '../metrics.ts';
import type { ProcessIdentity, Push } from '../process-telemetry.ts';
import type { PushTargets, TelemetryConfig } from '../telemetry-config.ts';
import { NO_TRACING } from '../tracing.ts';
import { VERSION } from '../version.ts';
import { Exports } from './exports.ts';
import { SampleProducer } from './otlp-metrics.ts';
import { printedSpans } from './printed-spans.ts';
import { samplingOf } from './sampling.ts';
import { SdkTracing } from './sdk-tracing.ts';
import { SpanQueue } from './span-queue.ts';

interface PushDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Everything that is pushed. */
  readonly samples: () => readonly Sample[];
}

interface PushOptions {
  readonly config: TelemetryConfig;
  readonly identity: ProcessIdentity;
  readonly targets: PushTargets;
}

/** A request to a collector that takes longer is given up. */
const REQUEST_MS = 10_000;
/** A process that stops waits this long for its last push. */
const STOP_MS = 3_000;
/** One attribute may hold a definition of a shape; a span is not to become as large as an answer. */
const SPAN_LIMITS = { attributeCountLimit: 64, attributeValueLengthLimit: 2_000, linkCountLimit: 32 };

/** Traces and metrics on their way to a collector. Loads the SDK; imported only when there is one. */
export async function openPush(deps: PushDeps, { config, identity, targets }: PushOptions): Promise<Push> {
  const { clock } = deps;
  const log = deps.log.child({ component: 'telemetry' });
  const exports = new Exports(log, clock);
  const resource = resourceOf(config, identity);
  const spanProcessors = await spanProcessorsOf({ ...deps, log, exports }, config, targets.traces);
  const metricReaders = await metricReadersOf({ ...deps, exports }, resource, config, targets.metrics);
  const { sdk, tracer } = startSdk({ resource, spanProcessors, metricReaders });
  const traces = spanProcessors.length > 0;
  log.info({ traces, metrics: metricReaders.length > 0 }, 'telemetry is pushed');
  const sampling = samplingOf(config, () => clock.random());
  const exclude = new Set(config.excludeSpans);
  return {
    tracing: traces ? new SdkTracing(tracer, { sampling, exclude }) : NO_TRACING,
    async stop() {
      const pushed = Promise.allSettled([sdk.shutdown()]);
      const waited = new AbortController();
      // A collector that is away holds nobody up.
      await Promise.race([pushed, clock.sleep(STOP_MS, waited.signal).catch(() => undefined)]);
      waited.abort();
    },
  };
}

/**
 * The SDK with nothing but what it is given: no instrumentation, and resources and settings as this project reads them. It registers
 * itself for the whole thread, which is taken back at once: contexts are handed over in the open, and a process may have several.
 */
function startSdk(parts: {
  readonly resource: Resource;
  readonly spanProcessors: SpanProcessor[];
  readonly metricReaders: IMetricReader[];
}): { readonly sdk: NodeSDK; readonly tracer: Tracer } {
  const sdk = new NodeSDK({
    ...parts,
    autoDetectResources: false,
    instrumentations: [],
    logRecordProcessors: [],
    textMapPropagator: null,
    // What is not sampled is not started: `Sampling` has decided before.
    sampler: new AlwaysOnSampler(),
    spanLimits: SPAN_LIMITS,
  });
  sdk.start();
  const tracer = trace.getTracer('shapecast', VERSION);
  for (const registered of [trace, meters, logs, context]) registered.disable();
  return { sdk, tracer };
}

async function spanProcessorsOf(
  { log, metrics, exports }: PushDeps & { readonly exports: Exports },
  config: TelemetryConfig,
  url: string | undefined,
): Promise<SpanProcessor[]> {
  const processors: SpanProcessor[] = [];
  if (config.printSpans) processors.push(printedSpans(log));
  if (url !== undefined) {
    const full = metrics.counter('shapecast.telemetry.dropped.count', { reason: 'spans_queue_full' });
    const failed = metrics.counter('shapecast.telemetry.dropped.count', { reason: 'spans_not_pushed' });
    const exporter = await traceExporter(config, url);
    processors.push(new SpanQueue(exporter, { exports, full, failed }, { dropEmpty: config.dropEmptySpans }));
  }
  return processors;
}

async function metricReadersOf(
  { clock, metrics, samples, exports }: PushDeps & { readonly exports: Exports },
  resource: Resource,
  config: TelemetryConfig,
  url: string | undefined,
): Promise<IMetricReader[]> {
  if (url === undefined) return [];
  const failed = metrics.counter('shapecast.telemetry.dropped.count', { reason: 'metrics_not_pushed' });
  const inner = await metricExporter(config, url);
  const exporter: PushMetricExporter = {
    export: (data, done) =>
      inner.export(data, (result) => {
        exports.ended('metrics', result, failed, 1);
        done({ code: 0 });
      }),
    forceFlush: () => inner.forceFlush(),
    shutdown: () => inner.shutdown(),
  };
  const producer = new SampleProducer(
    { samples, nowMs: () => wallTime(clock) },
    { resource, scope: { name: 'shapecast', version: VERSION }, startMs: performance.timeOrigin },
  );
  const reader = new PeriodicExportingMetricReader({
    exporter,
    exportIntervalMillis: config.metricsExportMs,
    exportTimeoutMillis: Math.min(REQUEST_MS, config.metricsExportMs),
    metricProducers: [producer],
  });
  return [reader];
}

async function traceExporter(config: TelemetryConfig, url: string): Promise<SpanExporter> {
  const options = { url, headers: headersOf(config), timeoutMillis: REQUEST_MS };
  if (config.otlpProtocol === 'http/json') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http');
    return new OTLPTraceExporter(options);
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
  return new OTLPTraceExporter(options);
}

async function metricExporter(config: TelemetryConfig, url: string): Promise<PushMetricExporter> {
  const options = { url, headers: headersOf(config), timeoutMillis: Math.min(REQUEST_MS, config.metricsExportMs) };
  if (config.otlpProtocol === 'http/json') {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-http');
    return new OTLPMetricExporter(options);
  }
  const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
  return new OTLPMetricExporter(options);
}

function headersOf({ otlpHeaders, honeycombKey, honeycombDataset }: TelemetryConfig): Record<string, string> {
  return {
    ...otlpHeaders,
    ...(honeycombKey === undefined ? {} : { 'x-honeycomb-team': honeycombKey }),
    ...(honeycombDataset === undefined ? {} : { 'x-honeycomb-dataset': honeycombDataset }),
  };
}

/** Which process it is (spec O 6.1.5). What operators say goes over what we do, a name of its own over both. */
function resourceOf({ resourceAttributes, telemetryName }: TelemetryConfig, identity: ProcessIdentity): Resource {
  const { role, instance, source } = identity;
  return defaultResource().merge(
    resourceFromAttributes({
      'service.name': `shapecast-${role}`,
      'service.namespace': 'shapecast',
      'service.version': VERSION,
      'service.instance.id': instance,
      'instance.id': instance,
      role,
      ...(source === undefined ? {} : { source_id: source, stack_id: source }),
      ...resourceAttributes,
      ...(telemetryName === undefined ? {} : { 'service.name': telemetryName }),
    }),
  );
}
