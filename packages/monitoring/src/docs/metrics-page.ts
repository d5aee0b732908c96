import { METRICS, prometheusName, type MetricDefinition, type MetricName, type Role } from '@shapecast/telemetry';
import { ALERTS } from '../alerts/index.ts';
import { THRESHOLDS, type Threshold } from '../alerts/thresholds.ts';
import { DASHBOARDS } from '../dashboards/index.ts';
import type { Panel } from '../dashboards/panel.ts';
import { seriesIn, seriesNames } from '../promql/names.ts';
import { RECORDED } from '../recording.ts';

const ROLES: Readonly<Record<Role, string>> = { replicator: 'replicators', router: 'routers', api: 'API pods' };

/** docs/metrics.md: every metric with who has it, what it means, and what looks at it. */
export function metricsPage(): string {
  const alerts = usersOf(ALERTS.map(({ name, stages }) => [name, stages.map(({ expr }) => expr)]));
  const dashboards = usersOf(
    DASHBOARDS.map(({ file, rows }) => [file, rows.flatMap(({ panels }) => panels.flatMap(exprsOf))]),
  );
  const names = Object.keys(METRICS) as MetricName[];
  const everywhere = names.filter((name) => rolesOf(name).length > 1);
  const sections = (Object.keys(ROLES) as Role[]).map((role) => {
    const own = names.filter((name) => rolesOf(name).length === 1 && rolesOf(name)[0] === role);
    return section(`Of ${ROLES[role]}`, own, false);
  });
  return [
    HEAD,
    section('Of several components', everywhere, true),
    ...sections,
    recordedSection(),
    alertSection(),
  ].join('\n');

  function section(title: string, all: readonly MetricName[], withRoles: boolean): string {
    const columns = [
      'name',
      'type',
      'unit',
      'labels',
      ...(withRoles ? ['of'] : []),
      'what it is',
      'alerts',
      'dashboards',
    ];
    const rows = all.map((name) => {
      const { type, unit, labels, description }: MetricDefinition = METRICS[name];
      const cells = [
        `\`${name}\`<br>\`${prometheusName(name)}\``,
        type,
        unit === '1' ? '–' : `\`${unit}\``,
        labels.length === 0 ? '–' : labels.map((label) => `\`${label}\``).join(', '),
        ...(withRoles
          ? [
              rolesOf(name)
                .map((role) => ROLES[role])
                .join(', '),
            ]
          : []),
        description,
        (alerts.get(name) ?? [])
          .map((alert) => `[${shortName(alert)}](runbook.md#${alert.toLowerCase()})`)
          .join(', ') || '–',
        (dashboards.get(name) ?? []).join(', ') || '–',
      ];
      return row(cells);
    });
    return [`## ${title}\n`, tableHead(columns), ...rows, ''].join('\n');
  }
}

const HEAD = `# Metrics

<!-- Made by \`npm run docs:metrics\` from packages/telemetry/src/table and packages/monitoring. Changes here are lost. -->

Each process answers \`GET /metrics\` on its internal port (\`SHAPECAST_HEALTH_PORT\`) in the text format of Prometheus, and pushes the same by OTLP where a collector is
configured ([telemetry.md](telemetry.md)). Names in Prometheus are the same with underscores, and units are not part of them unless the name has one; a histogram has \`_bucket\`, \`_sum\`
and \`_count\`. \`source\` tells the first \`SHAPECAST_METRICS_MAX_SOURCES\` sources apart, all others are \`other\`. No label has a handle, a table, an offset or anything that a
client sent. Which pod and component a series is of, the scraper says: alerts and dashboards expect the labels \`namespace\`, \`job\` (\`replicator\`, \`router\`, \`api\`) and \`pod\`,
as the chart's monitors give them.

Rules and dashboards are in [deploy/monitoring](../deploy/monitoring/README.md) and in the chart; what to do about an alert is in [runbook.md](runbook.md).

<!-- prettier-ignore-start -->
`;

function recordedSection(): string {
  const rows = [...RECORDED.keys()].map((name) => row([`\`${name}\``, recordedText(name)]));
  return ['## Recorded by rules\n', tableHead(['name', 'what it is']), ...rows, ''].join('\n');
}

function recordedText(name: string): string {
  const [, what = '', , window = ''] = /^shapecast:([a-z_]+):(ratio_rate|increase|ratio)(.*)$/.exec(name) ?? [];
  const texts: Readonly<Record<string, string>> = {
    slot_retained_wal: 'WAL kept for the slot, as a share of what Postgres keeps at most',
    delivery_fast_bad: `share of changes that came later than 500 ms, over ${window}`,
    delivery_slow_bad: `share of changes that came later than 2 s, over ${window}`,
    requests_bad: `share of requests answered 5xx, over ${window}`,
    delivery_fast: `changes that were told to waiting clients in ${window}`,
    delivery_slow: `changes that were told to waiting clients in ${window}`,
    requests: `requests for shapes in ${window}`,
  };
  return texts[what] ?? what;
}

function alertSection(): string {
  const rows = Object.entries(THRESHOLDS).map(([name, { about, levels }]: [string, Threshold]) =>
    row([
      `\`${name}\``,
      about,
      Object.entries(levels)
        .map(([level, value]) => `${level} ${value}`)
        .join(', '),
    ]),
  );
  return [
    '## Thresholds of alerts\n',
    'The chart takes them from `monitoring.rules.thresholds`.\n',
    tableHead(['name', 'what it is compared with', 'default']),
    ...rows,
    '\n<!-- prettier-ignore-end -->\n',
  ].join('\n');
}

function usersOf(users: readonly (readonly [string, readonly string[]])[]): ReadonlyMap<MetricName, readonly string[]> {
  const series = seriesNames();
  const found = new Map<MetricName, string[]>();
  for (const [user, exprs] of users) {
    const metrics = exprs.flatMap((expr) => [...allSeries(expr)]).map((name) => series.get(name));
    for (const metric of new Set(metrics)) {
      if (metric !== undefined) found.set(metric, [...(found.get(metric) ?? []), user]);
    }
  }
  return found;
}

/** With those that recorded series are made of. */
function allSeries(expr: string): ReadonlySet<string> {
  const direct = seriesIn(expr);
  const behind = [...direct].flatMap((name) => [...seriesIn(RECORDED.get(name) ?? '')]);
  return new Set([...direct, ...behind]);
}

/** Every expression of a panel. */
export function exprsOf(panel: Panel): readonly string[] {
  switch (panel.kind) {
    case 'lines':
      return panel.queries.map(({ expr }) => expr);
    case 'number':
      return [panel.query];
    case 'table':
      return panel.columns.map(({ expr }) => expr);
  }
}

function rolesOf(name: MetricName): readonly Role[] {
  return METRICS[name].roles;
}

function shortName(alert: string): string {
  return alert.replace(/^Shapecast/, '');
}

function tableHead(columns: readonly string[]): string {
  return `${row(columns)}\n${row(columns.map(() => '---'))}`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
