import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CHART } from './paths.ts';
import { component, find, render, variables, type Rendered, type Values } from './render.ts';
import { findTool } from './tools.ts';

const run = promisify(execFile);
const helm = await findTool('helm');
const ci = (name: string) => `${CHART}/ci/${name}-values.yaml`;
const minimal = (values: Values = {}) => render(helm as string, [ci('minimal')], values);
const SERVICES = ['replicator', 'router', 'api'];
const COLLECTOR = { telemetry: { otlp: { endpoint: 'http://collector.monitoring:4318' } } };

const specOf = (objects: readonly Rendered[], kind: string, name: string) => find(objects, kind, name).spec;
const names = (objects: readonly Rendered[], kind: string) =>
  objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);

/** The autoscaler's metrics that are no resource. */
async function podMetrics(name: string, values: Values): Promise<unknown> {
  const objects = await minimal({ [name]: { autoscaling: { enabled: true, maxReplicas: 8 }, ...values } });
  const { metrics } = specOf(objects, 'HorizontalPodAutoscaler', `shapecast-${name}`) as {
    metrics: readonly { type: string; pods?: unknown }[];
  };
  return metrics.filter(({ type }) => type === 'Pods').map(({ pods }) => pods);
}

async function keda(
  name: string,
  values: object,
): Promise<readonly { type: string; metricType?: string; metadata: object }[]> {
  const prometheus = { serverAddress: 'http://prometheus:9090', ...values };
  const objects = await minimal({ [name]: { keda: { enabled: true, maxReplicas: 8, prometheus } } });
  const spec = specOf(objects, 'ScaledObject', `shapecast-${name}`) as { triggers: never };
  return spec.triggers;
}

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('traces and metrics', () => {
  test('are pushed nowhere, and no variable speaks of it, without a collector', async () => {
    const objects = await minimal();
    for (const name of SERVICES) {
      const all = (component(objects, name).main.env ?? []).map((variable) => variable.name);
      expect(all.filter((variable) => /^(OTEL|K8S)_/.test(variable))).toEqual([]);
    }
  });

  test('with a collector traces are pushed, sampled, and metrics too if asked for', async () => {
    const quiet = await minimal(COLLECTOR);
    for (const name of SERVICES) {
      expect(variables(component(quiet, name).main)).toMatchObject({
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.monitoring:4318',
        OTEL_TRACES_EXPORTER: 'otlp',
        OTEL_METRICS_EXPORTER: 'none',
        OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0.01',
      });
    }
    const otlp = { ...COLLECTOR.telemetry.otlp, traces: false, metrics: true, existingSecret: 'otlp' };
    const { main } = component(await minimal({ telemetry: { otlp, sampler: 'always_on' } }), 'api');
    expect(variables(main)).toMatchObject({
      OTEL_TRACES_EXPORTER: 'none',
      OTEL_METRICS_EXPORTER: 'otlp',
      OTEL_TRACES_SAMPLER: 'always_on',
    });
    expect(main.env?.find(({ name }) => name === 'OTEL_EXPORTER_OTLP_HEADERS')).toEqual({
      name: 'OTEL_EXPORTER_OTLP_HEADERS',
      valueFrom: { secretKeyRef: { name: 'otlp', key: 'headers' } },
    });
  });

  test('say which pod they are of, by names that stand before what refers to them', async () => {
    const telemetry = { ...COLLECTOR.telemetry, resourceAttributes: { team: 'core, data' } };
    const { main } = component(await minimal({ telemetry }), 'router');
    const text = variables(main)['OTEL_RESOURCE_ATTRIBUTES'] ?? '';
    expect(text.split(',')).toEqual([
      'k8s.container.name=router',
      'k8s.deployment.name=shapecast-router',
      'k8s.namespace.name=$(K8S_NAMESPACE_NAME)',
      'k8s.node.name=$(K8S_NODE_NAME)',
      'k8s.pod.name=$(K8S_POD_NAME)',
      'k8s.pod.uid=$(K8S_POD_UID)',
      'team=core%2C%20data',
    ]);
    const order = (main.env ?? []).map(({ name }) => name);
    for (const [, name] of text.matchAll(/\$\((\w+)\)/g)) {
      expect(order.indexOf(name as string)).toBeGreaterThanOrEqual(0);
      expect(order.indexOf(name as string)).toBeLessThan(order.indexOf('OTEL_RESOURCE_ATTRIBUTES'));
    }
  });

  test('only API pods tell clients how long their news took, and only when asked to', async () => {
    expect(variables(component(await minimal(), 'api').main)).not.toHaveProperty('SHAPECAST_LAG_HEADER');
    const objects = await minimal({ telemetry: { lagHeader: true } });
    expect(variables(component(objects, 'api').main)['SHAPECAST_LAG_HEADER']).toBe('true');
    expect(variables(component(objects, 'router').main)).not.toHaveProperty('SHAPECAST_LAG_HEADER');
  });

  test('are found by annotations of pods when asked for, on the internal port', async () => {
    const annotations = {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '9090',
      'prometheus.io/path': '/metrics',
    };
    const plain = await minimal();
    const marked = await minimal({ monitoring: { scrapeAnnotations: true }, edge: { enabled: true } });
    for (const name of SERVICES) {
      expect(component(plain, name).pod.metadata.annotations ?? {}).not.toHaveProperty(['prometheus.io/scrape']);
      expect(component(marked, name).pod.metadata.annotations).toMatchObject(annotations);
      expect(component(marked, name).main.ports).toContainEqual({
        name: 'internal',
        containerPort: 9090,
        protocol: 'TCP',
      });
    }
    // It has no internal port.
    expect(component(marked, 'edge').pod.metadata.annotations).not.toHaveProperty(['prometheus.io/scrape']);
  });

  test.each([
    ['http://collector.monitoring:4318', 4318],
    ['https://otlp.example.com', 443],
    ['http://collector', 80],
  ])('a network policy lets pods push to %s', async (endpoint, port) => {
    const objects = await minimal({ telemetry: { otlp: { endpoint } }, networkPolicy: { enabled: true } });
    for (const name of SERVICES) {
      const { egress } = specOf(objects, 'NetworkPolicy', `shapecast-${name}`) as { egress: readonly unknown[] };
      expect(egress).toContainEqual({ ports: [{ protocol: 'TCP', port }] });
    }
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('scaling by what components are there for', () => {
  const ownMetric = { enabled: true };

  test('is not done by the HPA unless asked for: something has to serve those metrics', async () => {
    expect(await podMetrics('api', {})).toEqual([]);
  });

  test('follows the lag of routers, and the requests that wait of API pods', async () => {
    const scale = { autoscaling: { enabled: true, maxReplicas: 8, ownMetric } };
    expect(await podMetrics('router', scale)).toEqual([
      { metric: { name: 'shapecast_router_lag_seconds' }, target: { type: 'AverageValue', averageValue: '2' } },
    ]);
    expect(await podMetrics('api', scale)).toEqual([
      { metric: { name: 'shapecast_api_waiting_requests' }, target: { type: 'AverageValue', averageValue: '6000' } },
    ]);
  });

  test('aims at 60 % of what an API pod admits, or at what is said', async () => {
    const autoscaling = { enabled: true, ownMetric };
    const config = { SHAPECAST_MAX_CONCURRENT_REQUESTS: '{"initial":300,"existing":2000}' };
    expect(await podMetrics('api', { autoscaling, config })).toMatchObject([{ target: { averageValue: '1200' } }]);
    const given = { enabled: true, ownMetric: { enabled: true, name: 'polls', target: '750' } };
    expect(await podMetrics('api', { autoscaling: given, config })).toEqual([
      { metric: { name: 'polls' }, target: { type: 'AverageValue', averageValue: '750' } },
    ]);
  });

  test('KEDA asks Prometheus for the same, of the pods of this release', async () => {
    const [router] = await keda('router', {});
    expect(router).toMatchObject({
      type: 'prometheus',
      metricType: 'Value',
      metadata: {
        threshold: '2',
        query: 'max(shapecast_router_lag_seconds{namespace="shapecast",pod=~"shapecast-router-.+"})',
      },
    });
    const [api] = await keda('api', {});
    expect(api).toMatchObject({
      metricType: 'AverageValue',
      metadata: {
        threshold: '6000',
        query: 'sum(shapecast_api_waiting_requests{namespace="shapecast",pod=~"shapecast-api-.+"})',
      },
    });
    const [own] = await keda('api', { query: 'sum(up)', threshold: '3', metricType: 'Value' });
    expect(own).toMatchObject({ metricType: 'Value', metadata: { threshold: '3', query: 'sum(up)' } });
  });

  test('whatever leaves out the number of pods has something that sets it', async () => {
    const scaler = { keda: { enabled: true, maxReplicas: 8, triggers: [{ type: 'cpu', metadata: { value: '60' } }] } };
    const objects = await minimal({ router: scaler, api: scaler, edge: { enabled: true, ...scaler } });
    for (const name of ['router', 'api', 'edge']) {
      expect(specOf(objects, 'Deployment', `shapecast-${name}`)).not.toHaveProperty('replicas');
      expect(names(objects, 'ScaledObject')).toContain(`shapecast-${name}`);
      expect(find(objects, 'Deployment', `shapecast-${name}`).metadata.annotations).toMatchObject({
        'shapecast/replicas': 'scaled',
      });
    }
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('a missing Secret of one source', () => {
  test('does not keep the replicators of all others from starting', async () => {
    const objects = await render(helm as string, [ci('production')]);
    const { pod } = component(objects, 'replicator');
    const sources = pod.spec.volumes?.find(({ name }) => name === 'sources') as unknown as {
      projected: { sources: readonly { secret: { name: string; optional?: boolean } }[] };
    };
    expect(sources.projected.sources.map(({ secret }) => [secret.name, secret.optional])).toEqual([
      ['shapecast-sources', undefined],
      ['acme-database', true],
      ['globex-database', true],
    ]);
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('the notes', () => {
  test('name variables that hold a secret as plain text, and not its value', async () => {
    const values = [
      ...['--set', 'api.env.HTTPS_PROXY=http://user:hunter2@proxy:3128'],
      ...['--set', 'router.config.MY_API_KEY=hunter3', '--set', 'config.SHAPECAST_LOG_LEVEL=debug'],
    ];
    const place = ['install', 'shapecast', CHART, '--dry-run=client', '--namespace', 'sync', '--values', ci('minimal')];
    const said = (await run(helm as string, [...place, ...values])).stdout.split('NOTES:')[1] ?? '';
    expect(said).toContain('api.env.HTTPS_PROXY: a password or secret stands in the values');
    expect(said).toContain('router.config.MY_API_KEY: a password or secret stands in the values');
    expect(said).not.toContain('SHAPECAST_LOG_LEVEL');
    expect(said).not.toContain('hunter');
  });
});
