import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { CHART } from './paths.ts';
import { component, find, podsOf, render, template, variables, type Rendered, type Values } from './render.ts';
import { findTool } from './tools.ts';

const run = promisify(execFile);
const helm = await findTool('helm');
const ci = (name: string) => `${CHART}/ci/${name}-values.yaml`;
const minimal = (values: Values = {}) => render(helm as string, [ci('minimal')], values);
const MANY = {
  mode: 'many-sources',
  source: { existingSecret: '' },
  sourcesKeys: { existingSecret: 'keys' },
  sources: { acme: { databaseUrlFrom: { file: 'acme-url' }, secretFrom: { file: 'acme-secrets' } } },
};
const SERVICES = ['replicator', 'router', 'api'];

function specOf<T>(objects: readonly Rendered[], kind: string, name: string): T {
  return find(objects, kind, name).spec as T;
}

const names = (objects: readonly Rendered[], kind: string) =>
  objects.filter((object) => object.kind === kind).map(({ metadata }) => metadata.name);

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('the workloads', () => {
  test('are two pods of each service, new ones before old ones go', async () => {
    const objects = await minimal();
    for (const name of SERVICES) {
      const spec = specOf<{ replicas: number; strategy: { rollingUpdate: unknown }; minReadySeconds: number }>(
        objects,
        'Deployment',
        `shapecast-${name}`,
      );
      const maxSurge = name === 'api' ? '25%' : 1;
      expect(spec).toMatchObject({ replicas: 2, strategy: { rollingUpdate: { maxSurge, maxUnavailable: 0 } } });
      expect(spec.minReadySeconds).toBe(name === 'api' ? 10 : 0);
      expect(component(objects, name).main['args']).toEqual([name]);
    }
  });

  test('are asked on the internal port, and a lost server is no reason to restart them', async () => {
    const { main } = component(await minimal(), 'router');
    const probe = (path: string, more: object) => ({ httpGet: { path, port: 'internal' }, ...more });
    expect(main).toMatchObject({
      startupProbe: probe('/startupz', { periodSeconds: 2, failureThreshold: 60 }),
      readinessProbe: probe('/readyz', { periodSeconds: 5, timeoutSeconds: 2, failureThreshold: 3 }),
      livenessProbe: probe('/livez', { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    });
  });

  test.each([
    ['1Gi', 768],
    ['512Mi', 384],
    ['2G', 1430],
    ['1.5Gi', 1152],
  ])('take three quarters of a memory limit of %s as heap', async (memory, mib) => {
    const objects = await minimal({ defaults: { resources: { limits: { memory } } } });
    for (const name of SERVICES) {
      expect(variables(component(objects, name).main)['NODE_OPTIONS']).toBe(`--max-old-space-size=${mib}`);
    }
  });

  test('have requests, no CPU limit, and a memory limit of at most twice the request', async () => {
    const objects = await minimal();
    for (const name of SERVICES) {
      expect(component(objects, name).main.resources).toEqual({
        requests: { cpu: '250m', memory: '512Mi' },
        limits: { memory: '1Gi' },
      });
    }
  });

  test('spread over zones and nodes unless told otherwise', async () => {
    const { pod } = component(await minimal(), 'replicator');
    expect(pod.spec['topologySpreadConstraints']).toMatchObject([
      { topologyKey: 'topology.kubernetes.io/zone', matchLabelKeys: ['pod-template-hash'] },
      { topologyKey: 'kubernetes.io/hostname' },
    ]);
    const none = await minimal({ replicator: { topologySpreadConstraints: [] } });
    expect(component(none, 'replicator').pod.spec['topologySpreadConstraints']).toBeUndefined();
  });

  test('are protected from being away all at once, but only where there are several', async () => {
    const objects = await minimal({ router: { replicaCount: 1 } });
    expect(names(objects, 'PodDisruptionBudget')).toEqual(['shapecast-api', 'shapecast-replicator']);
    expect(specOf(objects, 'PodDisruptionBudget', 'shapecast-api')).toMatchObject({
      maxUnavailable: '25%',
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
    const scaled = await minimal({ api: { autoscaling: { enabled: true, minReplicas: 1 } } });
    expect(names(scaled, 'PodDisruptionBudget')).toEqual(['shapecast-replicator', 'shapecast-router']);
  });

  test('leave the number of pods to what scales them', async () => {
    for (const values of [
      { autoscaling: { enabled: true } },
      { keda: { enabled: true, triggers: [{ type: 'cpu', metadata: { value: '60' } }] } },
    ]) {
      const objects = await minimal({ api: values });
      expect(specOf(objects, 'Deployment', 'shapecast-api')).not.toHaveProperty('replicas');
      expect(specOf(objects, 'Deployment', 'shapecast-router')).toHaveProperty('replicas', 2);
    }
  });

  test('are scaled down slowly: each router that goes moves shards, each API pod that goes its clients', async () => {
    const objects = await render(helm as string, [ci('ha')]);
    expect(specOf(objects, 'HorizontalPodAutoscaler', 'shapecast-router')).toMatchObject({
      behavior: { scaleDown: { stabilizationWindowSeconds: 600, policies: [{ type: 'Pods', value: 1 }] } },
    });
    expect(specOf(objects, 'HorizontalPodAutoscaler', 'shapecast-api')).toMatchObject({
      metrics: expect.arrayContaining([
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 60 } } },
      ]) as unknown,
      behavior: { scaleDown: { stabilizationWindowSeconds: 300, policies: [{ type: 'Percent', value: 10 }] } },
    });
  });

  test('follow their own metrics with KEDA', async () => {
    const objects = await render(helm as string, [ci('keda')]);
    expect(specOf(objects, 'ScaledObject', 'shapecast-router')).toMatchObject({
      scaleTargetRef: { name: 'shapecast-router' },
      triggers: [
        { type: 'prometheus', metadata: { threshold: '2', query: expect.stringContaining('router_lag') as unknown } },
        { type: 'cpu' },
      ],
    });
  });

  test('have one value per variable: of the component, or else of all, or else of the chart', async () => {
    const objects = await minimal({
      config: { SHAPECAST_LOG_LEVEL: 'debug', SHAPECAST_CHUNK_CACHE_BYTES: 268435456 },
      api: { config: { SHAPECAST_LOG_LEVEL: 'warning' } },
      router: { env: { SHAPECAST_HEALTH_HOST: '::', NODE_OPTIONS: null } },
      replicator: { env: { SHAPECAST_LOG_LEVEL: { valueFrom: { configMapKeyRef: { name: 'levels', key: 'log' } } } } },
    });
    expect(variables(component(objects, 'api').main)['SHAPECAST_LOG_LEVEL']).toBe('warning');
    expect(variables(component(objects, 'api').main)['SHAPECAST_CHUNK_CACHE_BYTES']).toBe('268435456');
    const router = variables(component(objects, 'router').main);
    expect(router).toMatchObject({ SHAPECAST_LOG_LEVEL: 'debug', SHAPECAST_HEALTH_HOST: '::' });
    const replicator = component(objects, 'replicator').main.env?.find(({ name }) => name === 'SHAPECAST_LOG_LEVEL');
    expect(replicator).toEqual({
      name: 'SHAPECAST_LOG_LEVEL',
      valueFrom: { configMapKeyRef: { name: 'levels', key: 'log' } },
    });
  });

  test('run a digest rather than a tag, from the registry of all if there is one', async () => {
    const digest = `sha256:${'ab'.repeat(32)}`;
    const objects = await minimal({ api: { image: { digest, tag: 'x' } }, router: { image: { tag: 'edge' } } });
    expect(component(objects, 'api').main.image).toBe(`registry.example.com/shapecast/shapecast@${digest}`);
    expect(component(objects, 'router').main.image).toBe('registry.example.com/shapecast/shapecast:edge');
    const mirrored = await minimal({ global: { imageRegistry: 'mirror.example.com' } });
    expect(component(mirrored, 'replicator').main.image).toMatch(/^mirror\.example\.com\/shapecast\/shapecast:\d/);
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('going away', () => {
  test('an API pod serves while load balancers learn of it, then answers what waits, within its grace', async () => {
    const { pod, main } = component(await minimal(), 'api');
    expect(main['lifecycle']).toEqual({ preStop: { sleep: { seconds: 10 } } });
    expect(variables(main)).toMatchObject({ SHAPECAST_PRESTOP_DELAY: '0s', SHAPECAST_DRAIN_SPREAD: '10s' });
    expect(pod.spec['terminationGracePeriodSeconds']).toBe(60);
  });

  test('the numbers of the drain are those that the service gets', async () => {
    const values = { api: { drain: { preStopSeconds: 40, spreadSeconds: 4 }, terminationGracePeriodSeconds: 79 } };
    const { main } = component(await minimal(values), 'api');
    expect(main['lifecycle']).toEqual({ preStop: { sleep: { seconds: 40 } } });
    expect(variables(main)['SHAPECAST_DRAIN_SPREAD']).toBe('4s');
  });

  test('routers and replicators are told at once', async () => {
    const objects = await minimal();
    for (const name of ['router', 'replicator']) expect(component(objects, name).main).not.toHaveProperty('lifecycle');
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('many sources', () => {
  const many = (values: Values = {}) => minimal({ ...MANY, ...values });

  test('are a file in a folder that is followed, never a single file', async () => {
    const objects = await many();
    const { main, pod } = component(objects, 'replicator');
    expect(variables(main)).toMatchObject({ SHAPECAST_SOURCES_FILE: '/etc/shapecast/sources/sources.yaml' });
    expect(main.volumeMounts).toContainEqual({ name: 'sources', mountPath: '/etc/shapecast/sources', readOnly: true });
    expect(pod.spec.volumes?.find(({ name }) => name === 'sources')).toMatchObject({
      projected: { sources: [{ secret: { name: 'shapecast-sources' } }] },
    });
    expect(await template(helm as string, [ci('production')])).not.toContain('subPath');
    const file = find(objects, 'Secret', 'shapecast-sources').stringData?.['sources.yaml'] ?? '';
    expect(JSON.parse(file)).toEqual({ sources: MANY.sources });
  });

  test('a change of a source changes no pod', async () => {
    const before = podsOf(await many());
    const acme = { ...MANY.sources.acme, state: 'paused', limits: { maxShapes: 5 } };
    const sources = { acme, globex: { ...MANY.sources.acme, displayName: 'Globex' } };
    const objects = await many({ sources });
    expect(podsOf(objects)).toEqual(before);
    expect(find(objects, 'Secret', 'shapecast-sources').stringData?.['sources.yaml']).toContain('"paused"');
  });

  test('a Secret of a source becomes a file beside the sources file', async () => {
    const databaseUrlFrom = { secretKeyRef: { name: 'acme', key: 'url' } };
    const objects = await many({ sources: { acme: { databaseUrlFrom, insecure: true } } });
    const { pod } = component(objects, 'replicator');
    expect(pod.spec.volumes?.find(({ name }) => name === 'sources')).toMatchObject({
      projected: {
        sources: [{}, { secret: { name: 'acme', items: [{ key: 'url', path: 'acme.databaseUrl' }] } }],
      },
    });
    const file = find(objects, 'Secret', 'shapecast-sources').stringData?.['sources.yaml'] ?? '';
    expect(JSON.parse(file)).toEqual({
      sources: { acme: { databaseUrlFrom: { file: 'acme.databaseUrl' }, insecure: true } },
    });
  });

  test('each service gets the keys it needs, and an API pod never that of the database URLs', async () => {
    const objects = await many();
    const keys = (name: string) =>
      (component(objects, name).main.env ?? []).flatMap(({ valueFrom }) =>
        valueFrom?.secretKeyRef?.name === 'keys' ? [valueFrom.secretKeyRef.key] : [],
      );
    expect(keys('replicator')).toEqual(['api', 'database']);
    expect(keys('router')).toEqual(['database']);
    expect(keys('api')).toEqual(['api']);
  });

  test('without the mode no service hears of them, and only replicators and routers of the database', async () => {
    const objects = await minimal();
    for (const name of SERVICES) {
      const all = (component(objects, name).main.env ?? []).map((variable) => variable.name);
      expect(all.filter((variable) => variable.startsWith('SHAPECAST_SOURCES'))).toEqual([]);
      expect(all.includes('DATABASE_URL')).toBe(name !== 'api');
    }
  });

  test('a sources file of somebody else is taken as it is', async () => {
    const objects = await many({
      sources: {},
      sourcesExistingConfigMap: { name: 'mine', key: 'all.yaml' },
      sourcesFilesSecrets: ['urls'],
    });
    const { main, pod } = component(objects, 'replicator');
    expect(variables(main)['SHAPECAST_SOURCES_FILE']).toBe('/etc/shapecast/sources/all.yaml');
    expect(pod.spec.volumes?.find(({ name }) => name === 'sources')).toMatchObject({
      projected: { sources: [{ configMap: { name: 'mine' } }, { secret: { name: 'urls' } }] },
    });
    expect(names(objects, 'Secret')).not.toContain('shapecast-sources');
  });

  test('the admin API has a Service of its own, and is nowhere else', async () => {
    const objects = await many({ admin: { enabled: true, existingSecret: 'token', port: 3100 } });
    expect(specOf(objects, 'Service', 'shapecast-admin')).toMatchObject({
      ports: [{ port: 3100, targetPort: 'admin' }],
    });
    expect(component(objects, 'replicator').main.ports).toContainEqual({
      name: 'admin',
      containerPort: 3100,
      protocol: 'TCP',
    });
    for (const name of ['router', 'api']) {
      expect(component(objects, name).main.env?.map((variable) => variable.name)).not.toContain(
        'SHAPECAST_ADMIN_TOKEN',
      );
    }
  });

  test('keys are made when asked for, 32 bytes each, and outlive the release', async () => {
    const objects = await many({ sourcesKeys: { existingSecret: '', generate: true } });
    const { data = {}, metadata } = find(objects, 'Secret', 'shapecast-source-keys');
    const keys = ['database', 'api'].map((name) => Buffer.from(data[name] ?? '', 'base64').toString());
    expect(keys.map((key) => Buffer.from(key, 'base64').length)).toEqual([32, 32]);
    expect(new Set(keys).size).toBe(2);
    expect(metadata.annotations).toMatchObject({ 'helm.sh/resource-policy': 'keep' });
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('what is confidential', () => {
  test('is in no variable of a pod, however it was given', async () => {
    const text = await template(helm as string, [ci('single-tenant')]);
    const objects = await render(helm as string, [ci('single-tenant')]);
    expect(JSON.stringify([...podsOf(objects)])).not.toContain('password');
    expect(text).toContain('password');
    expect(Object.keys(find(objects, 'Secret', 'shapecast-connections').stringData ?? {}).sort()).toEqual([
      'DATABASE_URL',
      'ELECTRIC_POOLED_DATABASE_URL',
      'ELECTRIC_SECRET',
      'SHAPECAST_NATS_URL',
      'SHAPECAST_REDIS_URL',
    ]);
  });

  test('restarts the pods that read it once when it is changed in the values', async () => {
    const checksum = async (secret: string) => {
      const objects = await minimal({ source: { auth: { existingSecret: '', secret } } });
      return component(objects, 'api').pod.metadata.annotations?.['checksum/secret'];
    };
    expect(await checksum('one')).toEqual(expect.any(String));
    expect(await checksum('one')).not.toBe(await checksum('two'));
  });

  test('comes from Secrets of the user where there are any, and the chart makes none', async () => {
    const objects = await render(helm as string, [ci('byo-everything')], { cleanup: { dropReplicationSlots: false } });
    expect(names(objects, 'Secret')).toEqual([]);
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('reaching it', () => {
  test('the public Service never has an internal port', async () => {
    const objects = await minimal();
    expect(specOf<{ ports: unknown }>(objects, 'Service', 'shapecast-api').ports).toMatchObject([
      { targetPort: 'http' },
    ]);
    for (const name of SERVICES) {
      const internal = specOf<{ ports: unknown }>(objects, 'Service', `shapecast-${name}-internal`);
      expect(internal).toMatchObject({ clusterIP: 'None', ports: [{ port: 9090, targetPort: 'internal' }] });
    }
  });

  test('routes lead to the edge if there is one, and say how long a request may take', async () => {
    const gateway = { enabled: true, parentRefs: [{ name: 'public' }] };
    const ingress = { enabled: true, hosts: [{ host: 'shapes.example.com' }] };
    for (const [edge, target] of [
      [false, { name: 'shapecast-api', port: 3000 }],
      [true, { name: 'shapecast-edge', port: 3000 }],
    ] as const) {
      const objects = await minimal({ gateway, ingress, edge: { enabled: edge } });
      expect(specOf(objects, 'HTTPRoute', 'shapecast')).toMatchObject({
        rules: [{ backendRefs: [target], timeouts: { request: '0s', backendRequest: '0s' } }],
      });
      expect(specOf(objects, 'Ingress', 'shapecast')).toMatchObject({
        rules: [{ http: { paths: [{ path: '/v1', backend: { service: { name: target.name } } }] } }],
      });
    }
  });

  test('the edge runs the recipe of its kind, and its pods follow it', async () => {
    for (const kind of ['varnish', 'nginx']) {
      const objects = await minimal({ edge: { enabled: true, kind } });
      const { main, pod } = component(objects, 'edge');
      expect(main['command']).toEqual(['/bin/sh', '/etc/shapecast-edge/start.sh']);
      expect(variables(main)['SHAPECAST_EDGE_ORIGIN']).toBe('shapecast-api:3000');
      const files = Object.keys(find(objects, 'ConfigMap', 'shapecast-edge').data ?? {});
      expect(files).toContain(kind === 'nginx' ? 'nginx.conf.template' : 'default.vcl.template');
      expect(pod.metadata.annotations?.['checksum/config']).toMatch(/^[0-9a-f]{64}$/);
    }
  });
});

interface Policy {
  readonly policyTypes: readonly string[];
  readonly ingress: readonly Rule[];
  readonly egress: readonly Rule[];
}

interface Rule {
  readonly from?: readonly unknown[];
  readonly to?: readonly unknown[];
  readonly ports: readonly { readonly port: unknown }[];
}

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('network policies', () => {
  const policies = async () => render(helm as string, [ci('production')]);
  const ports = (rules: readonly Rule[]) => rules.flatMap((rule) => rule.ports.map(({ port }) => port));
  const component = (name: string) => ({
    podSelector: { matchLabels: { 'app.kubernetes.io/component': name } },
  });

  test.each([
    ['replicator', [53, 53, 4222, 6379, 26379, 5432, 4318]],
    ['router', [53, 53, 4222, 6379, 26379, 5432, 4318]],
    ['api', [53, 53, 4222, 6379, 26379, 4318, 443]],
    ['edge', [53, 53, 'http']],
  ])('let a %s reach what it needs and nothing else', async (name, expected) => {
    const { egress, policyTypes } = specOf<Policy>(await policies(), 'NetworkPolicy', `shapecast-${name}`);
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(ports(egress)).toEqual(expected);
    expect(egress.every(({ to }) => to !== undefined && to.length > 0)).toBe(true);
  });

  test('let clients reach the edge, the edge the API, and Prometheus the internal ports', async () => {
    const objects = await policies();
    const api = specOf<Policy>(objects, 'NetworkPolicy', 'shapecast-api');
    expect(ports(api.ingress)).toEqual(['internal', 'http']);
    expect(api.ingress[1]?.from).toMatchObject([component('edge'), component('tests')]);
    const edge = specOf<Policy>(objects, 'NetworkPolicy', 'shapecast-edge');
    expect(edge.ingress[0]?.from).toMatchObject([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'gateways' } } },
      component('tests'),
    ]);
    expect(edge.egress[1]?.to).toMatchObject([component('api')]);
    const router = specOf<Policy>(objects, 'NetworkPolicy', 'shapecast-router');
    expect(ports(router.ingress)).toEqual(['internal']);
    expect(router.ingress[0]?.from).toMatchObject([
      { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'monitoring' } } },
      component('tests'),
    ]);
  });

  test('a replicator with one source has no business with Redis', async () => {
    const objects = await minimal({ networkPolicy: { enabled: true } });
    expect(ports(specOf<Policy>(objects, 'NetworkPolicy', 'shapecast-replicator').egress)).toEqual([
      53, 53, 4222, 5432,
    ]);
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('watching it', () => {
  test('monitors are made where the cluster knows them, or when forced', async () => {
    const values = ['--values', ci('minimal'), '--set', 'monitoring.serviceMonitor.enabled=true'];
    const bare = async (...more: string[]) =>
      (await run(helm as string, ['template', 'shapecast', CHART, ...values, ...more])).stdout;
    expect(await bare()).not.toContain('kind: ServiceMonitor');
    expect(await bare('--set', 'monitoring.force=true')).toContain('kind: ServiceMonitor');
  });

  test('a monitor finds the internal port of its component, once', async () => {
    const objects = await render(helm as string, [ci('production')]);
    const { selector } = specOf<{ selector: { matchLabels: Record<string, string> } }>(
      objects,
      'ServiceMonitor',
      'shapecast-api',
    );
    const found = objects.filter(
      ({ kind, metadata }) =>
        kind === 'Service' &&
        Object.entries(selector.matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['shapecast-api-internal']);
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('uninstalling', () => {
  test('drops nothing unless asked', async () => {
    expect(names(await minimal(), 'Job')).toEqual([]);
  });

  test('removes the source once the replicators are gone, with what is left then', async () => {
    const objects = await render(helm as string, [ci('single-tenant')]);
    const hook = { 'helm.sh/hook': 'post-delete', 'helm.sh/hook-delete-policy': 'before-hook-creation,hook-succeeded' };
    const job = find(objects, 'Job', 'shapecast-cleanup');
    expect(job.metadata.annotations).toMatchObject(hook);
    expect(job.spec).toMatchObject({ activeDeadlineSeconds: 300, backoffLimit: 6 });
    const [pod] = [...podsOf([job]).values()];
    expect(pod?.spec['serviceAccountName']).toBe('default');
    const [main] = pod?.spec.containers ?? [];
    expect(main?.['args']).toEqual(['source-remove', '--yes']);
    const secrets = (main?.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.name ?? []);
    expect(new Set(secrets)).toEqual(new Set(['shapecast-cleanup']));
    expect(find(objects, 'Secret', 'shapecast-cleanup').metadata.annotations).toMatchObject(hook);
  });

  test('keeps a publication that is to stay, and its shapes in Redis', async () => {
    const cleanup = { dropReplicationSlots: true, dropPublications: false, deleteRedisKeys: false };
    const objects = await minimal({ cleanup });
    const [main] = [...podsOf([find(objects, 'Job', 'shapecast-cleanup')]).values()][0]?.spec.containers ?? [];
    if (main === undefined) throw new Error('The job has no container.');
    expect(variables(main)['ELECTRIC_MANUAL_TABLE_PUBLISHING']).toBe('true');
    expect(main.env?.map(({ name }) => name)).not.toContain('SHAPECAST_REDIS_URL');
  });
});

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('the notes', () => {
  const notes = async (name: string) => {
    const args = ['install', 'shapecast', CHART, '--dry-run=client', '--namespace', 'sync', '--values', ci(name)];
    return (await run(helm as string, args)).stdout.split('NOTES:')[1] ?? '';
  };

  test('say where it is, how to read a shape, and what uninstalling leaves', async () => {
    const said = await notes('minimal');
    expect(said).toContain('http://shapecast-api.sync.svc:3000/v1/shape');
    expect(said).toContain("curl 'http://localhost:3000/v1/shape?table=<table>&offset=-1&secret=<secret>'");
    expect(said).toContain("select pg_drop_replication_slot('electric_slot_default')");
    expect(await notes('gateway')).toContain('https://shapes.example.com/v1/shape');
    expect(await notes('many-tenants')).toContain('source_id=<source>');
  });

  test('warn of what production needs and this has not', async () => {
    const demo = await notes('demo');
    for (const warning of [
      'source.auth.insecure: everybody who reaches the API can read every table.',
      'nats.enabled: a single server without a volume',
      'router: a single pod',
      'networkPolicy.enabled: is off',
      'DATABASE_URL: stands in the values',
    ]) {
      expect(demo).toContain(warning);
    }
    expect(await notes('production')).not.toContain('this has not');
  });
});
