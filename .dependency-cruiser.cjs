/** The arrows of ARCHITECTURE.md: services -> edges, service-kit -> protocol, shape -> log -> errors. */
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: `^${from}/` },
  to: { path: '^(packages|services)/', pathNot: `^(${[from, ...allowed].join('|')})/` },
});
const tests = '\\.(test|contract|bench|oracle)\\.ts$|/(testing|scripts)/';
const driver = (name, module, homes, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: '^(packages|services)/', pathNot: [`^(${homes.join('|')})/`, tests] },
  to: { path: `node_modules/(${module})/`, dependencyTypesNot: ['type-only'] },
});
const pure = ['errors', 'log', 'where', 'matching', 'shape', 'protocol'].map((name) => `packages/${name}`);
const edges = ['packages/change-source', 'packages/messaging', 'packages/shape-store'];

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'services-do-not-import-services',
      comment:
        'They meet in the tx stream and in the store. Only services/embedded composes them in one process, ' +
        'and services/cli reads the settings as each of them does.',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: '^services/(embedded|cli)/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    only('errors-is-the-bottom', 'packages/errors', [], 'errors imports nothing of ours'),
    only('log-above-errors', 'packages/log', ['packages/errors'], ''),
    only(
      'where-above-log',
      'packages/where',
      ['packages/errors', 'packages/log', 'packages/testkit'],
      'testkit: tests only',
    ),
    only('matching-above-where', 'packages/matching', ['packages/errors', 'packages/log', 'packages/where'], ''),
    only('shape-above-where', 'packages/shape', ['packages/errors', 'packages/log', 'packages/where'], ''),
    only(
      'protocol-above-shape',
      'packages/protocol',
      ['packages/errors', 'packages/log', 'packages/where', 'packages/shape'],
      '',
    ),
    only(
      'access-above-protocol',
      'packages/access',
      ['packages/errors', 'packages/log', 'packages/shape', 'packages/protocol'],
      'who may see what is decided about requests as the protocol has them',
    ),
    only(
      'sources-above-access',
      'packages/sources',
      ['packages/errors', 'packages/service-kit', 'packages/messaging', 'packages/access', 'packages/testkit'],
      'what is declared about sources, and the registry it is kept in; testkit: tests only',
    ),
    only(
      'admin-above-sources',
      'packages/admin',
      [
        ...pure,
        'packages/messaging',
        'packages/service-kit',
        'packages/shape-store',
        'packages/sources',
        'packages/telemetry',
        'packages/testkit',
      ],
      'what operators see and do: part of a process, made of what all processes tell; testkit: tests only',
    ),
    only('service-kit-above-errors', 'packages/service-kit', ['packages/errors'], ''),
    only(
      'telemetry-above-service-kit',
      'packages/telemetry',
      ['packages/errors', 'packages/service-kit', 'packages/testkit'],
      'what is measured, whoever measures it; testkit: tests only',
    ),
    only(
      'monitoring-above-telemetry',
      'packages/monitoring',
      ['packages/telemetry'],
      'alerts, dashboards and their documentation, made of the table of metrics',
    ),
    only('local-postgres-above-errors', 'packages/local-postgres', ['packages/errors'], ''),
    ...edges.map((edge) =>
      only(
        `${edge.slice(9)}-is-an-edge`,
        edge,
        ['packages/errors', 'packages/log', 'packages/shape', 'packages/service-kit', 'packages/testkit'],
        'an edge imports the core, service-kit and, in tests, testkit; never another edge',
      ),
    ),
    {
      name: 'testkit-in-tests-only',
      severity: 'error',
      from: { path: '^(packages|services)/', pathNot: `(^packages/testkit/)|(${tests})` },
      to: { path: '^packages/testkit/' },
    },
    {
      name: 'the-core-has-no-io',
      comment: 'crypto computes; everything else of node: is I/O, a clock or the environment.',
      severity: 'error',
      from: { path: `^(${pure.join('|')})/src/`, pathNot: tests },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    driver('pg-in-one-place', 'pg|pg-logical-replication', ['packages/change-source', 'packages/testkit'], ''),
    driver('nats-in-one-place', '@nats-io/[^/]+', ['packages/messaging'], ''),
    driver('redis-in-one-place', 'ioredis', ['packages/shape-store'], ''),
    driver('jose-in-one-place', 'jose', ['packages/access'], ''),
    driver('express-in-one-place', 'express', ['services/api/src/http', 'packages/admin/src/http'], ''),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)node_modules/\\.cache/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
