import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { ALERTS, DASHBOARDS, seriesNames } from '@shapecast/monitoring';
import { CHART } from '../chart/paths.ts';
import { find, refusal, render, type Rendered, type Values } from '../chart/render.ts';
import { findTool } from '../chart/tools.ts';
import { findPromtool, promtool } from './promtool.ts';

const helm = await findTool('helm');
const program = await findPromtool();
const VALUES = `${CHART}/ci/monitoring-values.yaml`;

interface AlertRule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

interface RuleSpec {
  readonly groups: readonly { readonly name: string; readonly rules: readonly AlertRule[] }[];
}

const rendered = (values: Values = {}): Promise<readonly Rendered[]> => render(helm as string, [VALUES], values);
const withRules = (rules: Values) => rendered({ monitoring: { rules } });
const specOf = (objects: readonly Rendered[]) => find(objects, 'PrometheusRule', 'shapecast-rules').spec as RuleSpec;
const rulesOf = (objects: readonly Rendered[]) => specOf(objects).groups.flatMap(({ rules }) => rules);
const named = (rules: readonly AlertRule[], name: string) => rules.filter(({ alert }) => alert === name);

// Without Go to build it there is no helm; findTool has said so.
describe.skipIf(helm === undefined)('alerts of the chart', () => {
  test('are all there, about the namespace of the release, with nothing left to fill in', async () => {
    const rules = rulesOf(await rendered());
    expect(new Set(rules.flatMap(({ alert }) => alert ?? []))).toEqual(new Set(ALERTS.map(({ name }) => name)));
    expect(JSON.stringify(rules)).not.toMatch(/<[a-zA-Z]+(\.[a-z]+)?>/);
    for (const { expr } of rules) {
      expect(expr.replaceAll(/namespace="shapecast"/g, '')).not.toBe(expr);
      // Every selector says the namespace, so a release never tells of another one.
      for (const [, selector = ''] of expr.matchAll(/[a-z_]\{([^}]*)\}/g)) expect(selector).toContain('namespace=');
    }
  });

  // Without Debian's package there is no promtool; findPromtool has said so.
  test.skipIf(program === undefined)('are taken by promtool', async () => {
    const text = stringify(specOf(await rendered()), { aliasDuplicateObjects: false });
    expect(await promtool(program as string, ['check', 'rules', 'rules.yaml'], { 'rules.yaml': text })).toContain(
      'SUCCESS',
    );
  });

  test('compare with the thresholds of the values', async () => {
    const rules = rulesOf(
      await withRules({ thresholds: { walRetained: { high: 0.4 }, walUnlimited: { critical: 5e9 } } }),
    );
    const exprs = named(rules, 'ShapecastWalRetentionHigh').map(({ expr }) => expr.split(' > ')[1]);
    expect(exprs).toEqual(['0.25', '0.4', '0.75']);
    expect(rules.find(({ record }) => record === 'shapecast:slot_retained_wal:ratio')?.expr).toContain('5e+09');
  });

  test('lead to the runbook of the values, have its labels, and can be left out one by one', async () => {
    const runbookUrl = 'https://wiki.example.com/shapecast';
    const rules = rulesOf(await withRules({ runbookUrl, labels: { team: 'sync' }, disabled: ['ShapecastNoLeader'] }));
    expect(named(rules, 'ShapecastNoLeader')).toEqual([]);
    const [rule] = named(rules, 'ShapecastMultipleLeaders');
    expect(rule?.labels).toEqual({ severity: 'critical', team: 'sync' });
    expect(rule?.annotations?.['runbook_url']).toBe(`${runbookUrl}#shapecastmultipleleaders`);
    expect(rule?.annotations?.['summary']).toContain('{{ $labels.source }}');
  });

  test('refuse a threshold that there is not, or that is no number', async () => {
    const refused = (thresholds: Values) =>
      refusal(helm as string, [VALUES], { monitoring: { rules: { thresholds } } });
    expect(await refused({ walRetianed: { high: 0.4 } })).toContain("additional properties 'walRetianed' not allowed");
    expect(await refused({ walRetained: { high: '40 %' } })).toContain('want number');
  });

  test('are only there when asked for', async () => {
    const objects = await rendered({
      monitoring: { prometheusRule: { enabled: false }, dashboards: { enabled: false } },
    });
    expect(objects.filter(({ kind }) => kind === 'PrometheusRule')).toEqual([]);
    expect(objects.filter(({ metadata }) => metadata.name.includes('dashboard'))).toEqual([]);
  });
});

// Without Go, as above.
describe.skipIf(helm === undefined)('dashboards of the chart', () => {
  test('are a ConfigMap each, with the label and the folder of the values', async () => {
    const objects = await rendered();
    for (const { file, title } of DASHBOARDS) {
      const { metadata, data = {} } = find(objects, 'ConfigMap', `shapecast-dashboard-${file}`);
      expect(metadata.labels).toMatchObject({ grafana_dashboard: 'shapecast' });
      expect(metadata.annotations).toMatchObject({ grafana_folder: 'Sync' });
      expect(JSON.parse(data[`${file}.json`] ?? '')).toMatchObject({ title });
    }
  });
});

test('what scales pods reads metrics that there are', () => {
  const template = readFileSync(`${CHART}/templates/_workload.tpl`, 'utf8');
  const names = [...template.matchAll(/\b(?:shapecast|electric)_[a-z_]+\b/g)].map(([name]) => name);
  const known = seriesNames();
  expect(names.length).toBeGreaterThan(1);
  expect(names.filter((name) => !known.has(name))).toEqual([]);
});
