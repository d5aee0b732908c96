import { count, flag, list, milliseconds, ratio } from '@shapecast/service-kit';
import { z } from 'zod';

const EXPORTERS = ['otlp', 'prometheus', 'none'] as const;
const PROTOCOLS = ['http/protobuf', 'http/json'] as const;
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** Settings of what a process tells of itself: standard names of OpenTelemetry, and those of the reference (spec O 5.2, D O1). */
export const telemetryConfig = {
  metricsMaxSources: count(500, 'Sources that metrics are told apart by; those beyond share the value `other`.', 1),
  metricsPort: optionalPort('Another port that answers `/metrics`, besides the health port.'),
  systemPollMs: milliseconds(5_000, 'How often the use of the processors is looked at.'),
  longPauseMs: milliseconds(50, 'Pause for garbage collection that is worth a line in the log.'),
  longDelayMs: milliseconds(150, 'Delay of the event loop that is worth a line in the log.'),
  sdkDisabled: flag(false, 'Nothing is pushed, and nothing is traced.'),
  otlpEndpoint: httpUrl('Collector that traces and metrics are pushed to, by OTLP over HTTP.'),
  otlpTracesEndpoint: httpUrl('Where traces are pushed to, as a whole URL.'),
  otlpMetricsEndpoint: httpUrl('Where metrics are pushed to, as a whole URL.'),
  otlpProtocol: oneOf(PROTOCOLS, 'http/protobuf', 'Form in which they are pushed.'),
  otlpHeaders: pairs('Headers of every push, such as one that lets us in.'),
  honeycombKey: z.string().optional().describe('Key for Honeycomb, sent with every push.'),
  honeycombDataset: z.string().optional().describe('Data set of Honeycomb, sent with every push.'),
  tracesExporters: exporters('Where traces go: `otlp` or `none`. Without a collector there are none.'),
  metricsExporters: exporters('Where metrics are pushed to: `otlp` or `none`. `/metrics` is always there.'),
  metricsExportMs: milliseconds(30_000, 'How often metrics are pushed.'),
  sampler: oneOf(SAMPLERS, 'parentbased_traceidratio', 'Which traces are recorded.'),
  samplingRatio: ratio(0.01, 'Share of transactions, and of requests that come without a trace, that are recorded.'),
  dropEmptySpans: flag(false, 'Spans of requests that were answered without news are not pushed.'),
  excludeSpans: list('Names of spans that are left out.'),
  printSpans: flag(false, 'Spans that end are written to the log.'),
  resourceAttributes: pairs('What the process is told apart by in traces and pushed metrics.'),
  telemetryName: z.string().optional().describe('Name of the service in traces; `shapecast-<role>` when unset.'),
};

export const telemetryNames = {
  metricsMaxSources: ['SHAPECAST_METRICS_MAX_SOURCES'],
  metricsPort: ['ELECTRIC_PROMETHEUS_PORT'],
  systemPollMs: ['ELECTRIC_SYSTEM_METRICS_POLL_INTERVAL'],
  longPauseMs: ['ELECTRIC_TELEMETRY_LONG_GC_THRESHOLD'],
  longDelayMs: ['ELECTRIC_TELEMETRY_LONG_SCHEDULE_THRESHOLD'],
  sdkDisabled: ['OTEL_SDK_DISABLED'],
  otlpEndpoint: ['OTEL_EXPORTER_OTLP_ENDPOINT', 'ELECTRIC_OTLP_ENDPOINT'],
  otlpTracesEndpoint: ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'],
  otlpMetricsEndpoint: ['OTEL_EXPORTER_OTLP_METRICS_ENDPOINT'],
  otlpProtocol: ['OTEL_EXPORTER_OTLP_PROTOCOL'],
  otlpHeaders: ['OTEL_EXPORTER_OTLP_HEADERS'],
  honeycombKey: ['ELECTRIC_HNY_API_KEY'],
  honeycombDataset: ['ELECTRIC_HNY_DATASET'],
  tracesExporters: ['OTEL_TRACES_EXPORTER'],
  metricsExporters: ['OTEL_METRICS_EXPORTER'],
  metricsExportMs: ['OTEL_METRIC_EXPORT_INTERVAL', 'ELECTRIC_OTEL_EXPORT_PERIOD'],
  sampler: ['OTEL_TRACES_SAMPLER'],
  samplingRatio: ['OTEL_TRACES_SAMPLER_ARG', 'ELECTRIC_OTEL_SAMPLING_RATIO'],
  dropEmptySpans: ['ELECTRIC_DROP_EMPTY_RESPONSE_SPANS'],
  excludeSpans: ['ELECTRIC_EXCLUDE_SPANS'],
  printSpans: ['ELECTRIC_OTEL_DEBUG'],
  resourceAttributes: ['OTEL_RESOURCE_ATTRIBUTES'],
  telemetryName: ['OTEL_SERVICE_NAME', 'ELECTRIC_SERVICE_NAME'],
} as const;

const schema = z.object(telemetryConfig);
export type TelemetryConfig = z.output<typeof schema>;

/** What holds when nothing is set. */
export const TELEMETRY_DEFAULTS: TelemetryConfig = schema.parse({});

/** Where traces and metrics are pushed to. */
export interface PushTargets {
  readonly traces?: string | undefined;
  readonly metrics?: string | undefined;
}

/** Neither, when nothing is configured that would take them. */
export function pushTargets(config: TelemetryConfig): PushTargets {
  if (config.sdkDisabled) return {};
  const { otlpTracesEndpoint, otlpMetricsEndpoint } = config;
  const traces = exportersOf(config.tracesExporters).includes('otlp')
    ? (otlpTracesEndpoint ?? at('v1/traces'))
    : undefined;
  const metrics = exportersOf(config.metricsExporters).includes('otlp')
    ? (otlpMetricsEndpoint ?? at('v1/metrics'))
    : undefined;
  return { traces, metrics };

  function at(path: string): string | undefined {
    const base = config.otlpEndpoint;
    return base === undefined ? undefined : new URL(path, base.endsWith('/') ? base : `${base}/`).href;
  }
}

function httpUrl(description: string) {
  return z
    .string()
    .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), 'expected a URL such as http://collector:4318')
    .optional()
    .meta({ form: 'a URL such as http://collector:4318' })
    .describe(description);
}

/** Of a setting whose absence means that there is none. */
function optionalPort(description: string) {
  const accepted = 'expected a port from 0 to 65535';
  return z
    .string()
    .refine((text) => /^\d+$/.test(text.trim()) && Number(text) <= 65_535, accepted)
    .transform(Number)
    .optional()
    .describe(description);
}

function oneOf<const T extends readonly string[]>(values: T, fallback: T[number], description: string) {
  const accepted = `expected ${values.slice(0, -1).join(', ')} or ${values.at(-1)}`;
  return z
    .enum(values as unknown as [T[number], ...T[number][]], { error: accepted })
    .default(fallback as never)
    .describe(description);
}

function exporters(description: string) {
  const known: readonly string[] = EXPORTERS;
  const accepted = `expected ${EXPORTERS.slice(0, -1).join(', ')} or ${EXPORTERS.at(-1)}, or several with commas`;
  return z
    .string()
    .default('otlp')
    .refine((text) => exportersOf(text).every((part) => known.includes(part)), accepted)
    .meta({ form: accepted.replace('expected ', '') })
    .describe(description);
}

function exportersOf(text: string): readonly string[] {
  return text.split(',').map((part) => part.trim());
}

/** `key=value` with commas between, values percent-encoded where they must be (W3C Baggage). */
function pairs(description: string) {
  const accepted = 'expected pairs such as team=core,region=eu';
  return z
    .string()
    .optional()
    .transform((text, context): Readonly<Record<string, string>> | undefined => {
      if (text === undefined) return undefined;
      const parsed = parsePairs(text);
      if (parsed === undefined) context.addIssue({ code: 'custom', message: accepted });
      return parsed ?? z.NEVER;
    })
    .describe(description);
}

function parsePairs(text: string): Readonly<Record<string, string>> | undefined {
  const found: Record<string, string> = {};
  for (const part of text.split(',')) {
    if (part.trim() === '') continue;
    const equals = part.indexOf('=');
    if (equals < 1) return undefined;
    try {
      found[part.slice(0, equals).trim()] = decodeURIComponent(part.slice(equals + 1).trim());
    } catch {
      return undefined;
    }
  }
  return found;
}
