import { parseConfig } from '@shapecast/service-kit';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { pushTargets, telemetryConfig, telemetryNames } from './telemetry-config.ts';

const parse = (env: Readonly<Record<string, string>>) => parseConfig(z.object(telemetryConfig), telemetryNames, env);

describe('where telemetry is pushed to', () => {
  test.each<[Record<string, string>, string | undefined, string | undefined]>([
    [{}, undefined, undefined],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318' }, 'http://c:4318/v1/traces', 'http://c:4318/v1/metrics'],
    [{ ELECTRIC_OTLP_ENDPOINT: 'https://c/otlp/' }, 'https://c/otlp/v1/traces', 'https://c/otlp/v1/metrics'],
    [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t/x' }, 'http://t/x', undefined],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://m/y' },
      'http://c/v1/traces',
      'http://m/y',
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_TRACES_EXPORTER: 'none' }, undefined, 'http://c/v1/metrics'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_METRICS_EXPORTER: 'prometheus' }, 'http://c/v1/traces', undefined],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_METRICS_EXPORTER: 'otlp, prometheus' },
      'http://c/v1/traces',
      'http://c/v1/metrics',
    ],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c', OTEL_SDK_DISABLED: 'true' }, undefined, undefined],
  ])('%j', (env, traces, metrics) => {
    expect(pushTargets(parse(env))).toEqual({ traces, metrics });
  });
});

test('what nobody set is as the reference has it', () => {
  expect(parse({})).toMatchObject({
    metricsMaxSources: 500,
    samplingRatio: 0.01,
    metricsExportMs: 30_000,
    sampler: 'parentbased_traceidratio',
    otlpProtocol: 'http/protobuf',
  });
});

test('standard names win over those of the reference', () => {
  const env = { OTEL_TRACES_SAMPLER_ARG: '0.5', ELECTRIC_OTEL_SAMPLING_RATIO: '1', ELECTRIC_OTEL_EXPORT_PERIOD: '2s' };
  expect(parse(env)).toMatchObject({ samplingRatio: 0.5, metricsExportMs: 2_000 });
  expect(parse({ OTEL_METRIC_EXPORT_INTERVAL: '60000' }).metricsExportMs).toBe(60_000);
});

test('attributes and headers are pairs, decoded', () => {
  const env = {
    OTEL_RESOURCE_ATTRIBUTES: 'team=core, region=eu%2Cwest',
    OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20x',
  };
  const { resourceAttributes, otlpHeaders } = parse(env);
  expect(resourceAttributes).toEqual({ team: 'core', region: 'eu,west' });
  expect(otlpHeaders).toEqual({ authorization: 'Bearer x' });
});

test.each([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'gateway:4318'],
  ['OTEL_EXPORTER_OTLP_PROTOCOL', 'grpc'],
  ['OTEL_TRACES_EXPORTER', 'zipkin'],
  ['OTEL_TRACES_SAMPLER', 'jaeger_remote'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'no-value-but-s3cret'],
  ['ELECTRIC_OTEL_SAMPLING_RATIO', '2'],
  ['ELECTRIC_PROMETHEUS_PORT', '70000'],
  ['SHAPECAST_METRICS_MAX_SOURCES', '0'],
])('%s=%s is refused with the form that is accepted, and without the value', (name, value) => {
  expect(() => parse({ [name]: value })).toThrow(new RegExp(`${name}: expected`));
  expect(() => parse({ [name]: value })).not.toThrow(value);
});
