import { describe, expect, test } from 'vitest';
import { CHART } from './paths.ts';
import { refusal, template, type Values } from './render.ts';
import { findTool } from './tools.ts';

const helm = await findTool('helm');
const minimal = `${CHART}/ci/minimal-values.yaml`;
const many = { mode: 'many-sources', source: { existingSecret: '' }, sourcesKeys: { existingSecret: 'keys' } };

/** Values over those of ci/minimal, and the sentence that they are refused with. */
const CASES: readonly (readonly [string, Values, string])[] = [
  ['no registry', { defaults: { image: { registry: '' } } }, 'defaults.image.registry: is required; set it to'],
  ['no database', { source: { existingSecret: '' } }, 'source.existingSecret: is required; set the Secret with'],
  [
    'a database twice',
    { source: { databaseUrl: 'postgresql://u:p@db/app' } },
    'source.databaseUrl: excludes source.existingSecret',
  ],
  ['nobody to let in', { source: { auth: { existingSecret: '' } } }, 'source.auth.existingSecret: is required; set'],
  ['everybody and somebody', { source: { auth: { insecure: true } } }, 'source.auth.insecure: excludes'],
  ['two secrets', { source: { auth: { secret: 's' } } }, 'source.auth.secret: excludes source.auth.existingSecret'],
  [
    'two policies',
    { source: { auth: { access: { rules: [] }, accessExistingConfigMap: 'a' } } },
    'source.auth.access: excludes',
  ],
  ['no NATS', { externalNats: { url: '' } }, 'externalNats.url: is required; set it, or externalNats.existingSecret'],
  ['NATS twice', { nats: { enabled: true } }, 'externalNats.url: excludes'],
  [
    'credentials of no Secret',
    { externalNats: { existingSecretKeys: { creds: 'user.creds' } } },
    'externalNats.existingSecret: is required with externalNats.existingSecretKeys; set the name of the Secret',
  ],
  ['no Redis', { externalRedis: { url: '' } }, 'externalRedis.url: is required; set it, or'],
  ['Redis twice', { externalRedis: { existingSecret: 'redis' } }, 'externalRedis.url: excludes'],
  ['one copy', { externalNats: { streamReplicas: 1 } }, 'externalNats.streamReplicas: fewer than 3 copies lose data'],
  ['sources without the mode', { sources: { acme: { insecure: true } } }, 'sources: are those of mode many-sources'],
  ['an admin API without the mode', { admin: { enabled: true } }, 'admin.enabled: the admin API is there with mode'],
  ['no keys', { ...many, sourcesKeys: {} }, 'sourcesKeys.existingSecret: is required with mode many-sources; set'],
  [
    'keys twice',
    { ...many, sourcesKeys: { existingSecret: 'keys', generate: true } },
    'sourcesKeys.generate: excludes',
  ],
  ['a source in the other place', { mode: 'many-sources' }, 'source.databaseUrl: is that of mode single-source'],
  [
    'two sources files',
    { ...many, sourcesExistingSecret: { name: 'a' }, sourcesExistingConfigMap: { name: 'b' } },
    'replicators follow one file; set one of the three',
  ],
  ['no token', { ...many, admin: { enabled: true } }, 'admin.existingSecret: is required with admin.enabled; set'],
  ['a source without a database', { ...many, sources: { acme: { insecure: true } } }, 'sources.acme.databaseUrl: is'],
  [
    'a source that nobody may read',
    { ...many, sources: { acme: { databaseUrl: 'postgresql://u:p@db/app' } } },
    'sources.acme.secretFrom: is required, or secrets, or access; or set insecure',
  ],
  [
    'a source with two databases',
    { ...many, sources: { acme: { databaseUrl: 'postgresql://a/b', databaseUrlFrom: { file: 'f' }, insecure: true } } },
    'sources.acme.databaseUrl: excludes databaseUrlFrom',
  ],
  ['two scalers', { api: { autoscaling: { enabled: true }, keda: { enabled: true } } }, 'api.keda.enabled: excludes'],
  ['scaled replicators', { replicator: { autoscaling: { enabled: true } } }, 'replicators are not scaled by load'],
  [
    'more routers than shards',
    { router: { autoscaling: { enabled: true, maxReplicas: 9 } } },
    'router.autoscaling.maxReplicas: is 9, but the source has 8 shards',
  ],
  [
    'at most fewer than at least',
    { api: { autoscaling: { enabled: true, minReplicas: 20 } } },
    'set it to at least 20',
  ],
  ['keda without a trigger', { api: { keda: { enabled: true } } }, 'api.keda.prometheus.serverAddress: is required'],
  [
    'too little time to drain',
    { api: { terminationGracePeriodSeconds: 54 } },
    'api.terminationGracePeriodSeconds: is 54, but api.drain takes 55',
  ],
  [
    'an edge with too little time',
    { edge: { enabled: true, terminationGracePeriodSeconds: 30 } },
    'edge.terminationGracePeriodSeconds: is 30',
  ],
  [
    'an edge of nothing',
    { edge: { enabled: true }, api: { enabled: false } },
    'edge.enabled: there is nothing behind it',
  ],
  [
    'a gatekeeper of Varnish',
    { edge: { gatekeeper: { existingSecret: 's' } } },
    'only nginx checks the tokens of users',
  ],
  ['an Ingress of no host', { ingress: { enabled: true } }, 'ingress.hosts: is required with ingress.enabled; set at'],
  [
    'a route of no Gateway',
    { gateway: { enabled: true } },
    'gateway.parentRefs: is required with gateway.enabled; set',
  ],
  [
    'metrics twice',
    { monitoring: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } } },
    'monitoring.podMonitor.enabled: excludes monitoring.serviceMonitor.enabled',
  ],
  [
    'metrics by annotations, and again',
    { monitoring: { serviceMonitor: { enabled: true }, scrapeAnnotations: true } },
    'monitoring.scrapeAnnotations: excludes the monitors',
  ],
  [
    'an edge scaled by a metric that it has not',
    { edge: { enabled: true, autoscaling: { enabled: true, ownMetric: { enabled: true } } } },
    'edge.autoscaling.ownMetric.enabled: the edge has no metric of its own; set edge.autoscaling.metrics',
  ],
  [
    'an edge scaled by no query',
    { edge: { enabled: true, keda: { enabled: true, prometheus: { serverAddress: 'http://prometheus' } } } },
    'edge.keda.prometheus.query: is required with serverAddress',
  ],
  ['a hook for many', { ...many, cleanup: { dropReplicationSlots: true } }, 'set `state: removed` on each before'],
  [
    'a hook without NATS',
    { externalNats: { url: '' }, nats: { enabled: true }, cleanup: { dropReplicationSlots: true } },
    'cleanup.dropReplicationSlots: needs NATS',
  ],
  ['a test of no source', { ...many, tests: { table: 'items' } }, 'tests.source: is required with tests.table'],
  [
    'a variable that nobody reads',
    { config: { SHAPECAST_SNAPSHOT_CONCURENCY: 8 } },
    'config.SHAPECAST_SNAPSHOT_CONCURENCY: no service reads it; set SHAPECAST_SNAPSHOT_CONCURRENCY if you meant that',
  ],
  ['one of a component', { api: { env: { ELECTRIC_CACHE_MAXAGE: 5 } } }, 'set ELECTRIC_CACHE_MAX_AGE if you meant'],
  [
    'letters that changed places',
    { config: { SHAPECAST_LGO_LEVEL: 'debug' } },
    'config.SHAPECAST_LGO_LEVEL: no service reads it; set SHAPECAST_LOG_LEVEL if you meant that',
  ],
  [
    'a variable like no other',
    { config: { ELECTRIC_FOO: 1 } },
    'config.ELECTRIC_FOO: no service reads it; correct its name (docs/config.md)',
  ],
  [
    'a variable that has a value of its own',
    { api: { config: { SHAPECAST_LAG_HEADER: 'true' } } },
    'api.config.SHAPECAST_LAG_HEADER: is set by the chart; set telemetry.lagHeader instead',
  ],
  ['a variable of the chart', { config: { ELECTRIC_PORT: 80 } }, 'config.ELECTRIC_PORT: is set by the chart'],
  [
    'a password among settings',
    { router: { config: { DATABASE_URL: 'postgresql://u:p@db/app' } } },
    'router.config.DATABASE_URL: is set by the chart; set source instead',
  ],
];

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('values that are not right are refused with a sentence on what to set', () => {
  test.each(CASES)('%s', async (_, values, sentence) => {
    const said = await refusal(helm as string, [minimal], values);
    expect(said.replace(/\s+/g, ' ')).toContain(sentence);
  });

  test('all of them at a time', async () => {
    const values = {
      externalNats: { url: '' },
      externalRedis: { url: '' },
      api: { terminationGracePeriodSeconds: 10 },
    };
    const said = await refusal(helm as string, [minimal], values);
    for (const start of ['externalNats.url:', 'externalRedis.url:', 'api.terminationGracePeriodSeconds:']) {
      expect(said).toContain(start);
    }
  });

  test.each([
    ['replicaCount', { api: { replicaCount: 'two' } }],
    ['redisPorts', { networkPolicy: { redisPorts: [70_000] } }],
    ['sampler', { telemetry: { sampler: 'sometimes' } }],
    ['samplingRatio', { telemetry: { samplingRatio: 2 } }],
    ['endpoint', { telemetry: { otlp: { endpoint: 'collector:4317' } } }],
  ])('a value of the wrong kind, by the schema: %s', async (name, values) => {
    expect(await refusal(helm as string, [minimal], values)).toContain(name);
  });

  test('but what somebody insists on goes', async () => {
    const values = { allowUnknownSettings: true, config: { SHAPECAST_OF_TOMORROW: 'yes' } };
    expect(await template(helm as string, [minimal], values)).toContain('SHAPECAST_OF_TOMORROW');
  });
});
