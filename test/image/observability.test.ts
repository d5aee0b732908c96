import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ROOT } from '../chart/paths.ts';

const FOLDER = 'deploy/docker/observability';
const read = <T>(path: string) => parse(readFileSync(`${ROOT}/${path}`, 'utf8'), { merge: true }) as T;

interface Service {
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
}

const { services } = read<{ services: Readonly<Record<string, Service>> }>('compose.yaml');
const ROLES = ['replicator', 'router', 'api'];

/** Where a file of ours is in the container of a service. */
function placeOf(service: string, file: string): string | undefined {
  const mounts = (services[service]?.volumes ?? []).map((volume) => volume.split(':'));
  return mounts.find(([from]) => from === `./${file}`)?.[1];
}

describe('the profile `observability` of compose.yaml', () => {
  test('is there only when asked for, and none of the others needs it', () => {
    const profile = Object.entries(services).filter(([, { profiles }]) => profiles?.includes('observability'));
    expect(profile.map(([name]) => name)).toEqual(['prometheus', 'otel-collector', 'tempo', 'grafana']);
  });

  test('Prometheus reads every role on the port where it tells, with the labels that dashboards select by', () => {
    const { scrape_configs: jobs, rule_files: rules } = read<{
      rule_files: readonly string[];
      scrape_configs: readonly {
        job_name: string;
        dns_sd_configs: readonly { names: readonly string[]; port: number; type: string }[];
        relabel_configs: readonly { target_label: string }[];
      }[];
    }>(`${FOLDER}/prometheus.yaml`);
    expect(jobs.map(({ job_name: name }) => name)).toEqual(ROLES);
    for (const { job_name: name, dns_sd_configs: found, relabel_configs: labels } of jobs) {
      expect(found).toMatchObject([{ names: [name], type: 'A', port: 9090 }]);
      expect(labels.map(({ target_label: label }) => label)).toEqual(['namespace', 'pod']);
      // The image's health port, which none of them changes.
      expect(services[name]?.environment).not.toHaveProperty('SHAPECAST_HEALTH_PORT');
    }
    expect(rules).toEqual([`${placeOf('prometheus', 'deploy/monitoring/rules')}/*.yaml`]);
    expect(readdirSync(`${ROOT}/deploy/monitoring/rules`).some((name) => name.endsWith('.yaml'))).toBe(true);
  });

  test('traces go from the services by the collector to Tempo, once somebody says so', () => {
    for (const role of ROLES) {
      expect(services[role]?.environment).toMatchObject({
        // Unset unless the profile is wanted: nobody would listen.
        OTEL_EXPORTER_OTLP_ENDPOINT: '${OTEL_EXPORTER_OTLP_ENDPOINT:-}',
        OTEL_METRICS_EXPORTER: 'none',
      });
    }
    const collector = read<{
      receivers: { otlp: { protocols: { http: { endpoint: string } } } };
      exporters: Readonly<Record<string, { endpoint: string }>>;
      service: { pipelines: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> };
      processors: Readonly<Record<string, unknown>>;
    }>(`${FOLDER}/otel-collector.yaml`);
    // The port that compose.yaml names for OTEL_EXPORTER_OTLP_ENDPOINT.
    expect(collector.receivers.otlp.protocols.http.endpoint).toBe('0.0.0.0:4318');
    expect(readFileSync(`${ROOT}/compose.yaml`, 'utf8')).toContain('http://otel-collector:4318');
    const { traces } = collector.service.pipelines;
    expect(traces?.['receivers']).toEqual(Object.keys(collector.receivers));
    expect(traces?.['exporters']).toEqual(Object.keys(collector.exporters));
    expect(traces?.['processors']).toEqual(Object.keys(collector.processors));
    const tempo = read<{
      server: { http_listen_port: number };
      distributor: { receivers: { otlp: { protocols: { grpc: { endpoint: string } } } } };
    }>(`${FOLDER}/tempo.yaml`);
    const [port] = tempo.distributor.receivers.otlp.protocols.grpc.endpoint.split(':').slice(-1);
    expect(collector.exporters['otlp/tempo']?.endpoint).toBe(`tempo:${port}`);
  });

  test('Grafana has the dashboards, and asks the two servers where they are', () => {
    const { datasources } = read<{ datasources: readonly { uid: string; type: string; url: string }[] }>(
      `${FOLDER}/grafana/datasources.yaml`,
    );
    expect(datasources.map(({ type, url }) => [type, url])).toEqual([
      ['prometheus', 'http://prometheus:9090'],
      ['tempo', 'http://tempo:3200'],
    ]);
    const { providers } = read<{ providers: readonly { options: { path: string } }[] }>(
      `${FOLDER}/grafana/dashboards.yaml`,
    );
    expect(providers.map(({ options }) => options.path)).toEqual([placeOf('grafana', 'deploy/monitoring/dashboards')]);
    expect(readdirSync(`${ROOT}/deploy/monitoring/dashboards`)).toEqual(
      expect.arrayContaining(['cluster.json', 'edge.json', 'source.json']),
    );
    for (const file of ['datasources', 'dashboards']) {
      const place = placeOf('grafana', `${FOLDER}/grafana/${file}.yaml`);
      expect(place).toBe(`/etc/grafana/provisioning/${file}/shapecast.yaml`);
    }
  });
});
