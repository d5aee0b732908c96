export type { LabelName, MetricDefinition, Role } from './definition.ts';
export { Metrics, OTHER_SOURCES, type Counter, type Histogram, type Sample } from './metrics.ts';
export {
  openProcessTelemetry,
  openThreadTelemetry,
  type ProcessIdentity,
  type ProcessTelemetry,
} from './process-telemetry.ts';
export { prometheusText } from './prometheus.ts';
export {
  METRICS,
  prometheusName,
  type CounterName,
  type GaugeName,
  type HistogramName,
  type LabelsOf,
  type MetricName,
} from './table/index.ts';
export { RecentHighest } from './recent-highest.ts';
export { ownTelemetry, type Telemetry } from './telemetry.ts';
export { TELEMETRY_DEFAULTS, telemetryConfig, telemetryNames, type TelemetryConfig } from './telemetry-config.ts';
export { traceFields } from './traceparent.ts';
export { NO_SPAN, NO_TRACING, type Span, type SpanAttributes, type SpanStart, type Tracing } from './tracing.ts';
