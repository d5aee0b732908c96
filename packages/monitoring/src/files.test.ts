import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ALERTS } from './alerts/index.ts';
import { THRESHOLDS, withDefaults } from './alerts/thresholds.ts';
import { dashboardJson } from './dashboards/dashboard.ts';
import { DASHBOARDS } from './dashboards/index.ts';
import { exprsOf } from './docs/metrics-page.ts';
import { generatedFiles } from './files.ts';
import { seriesIn, seriesNames } from './promql/names.ts';
import { RECORDED } from './recording.ts';

const ROOT = new URL('../../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');
const files = generatedFiles(read);

describe('files that are made from code', () => {
  test.each([...files])('%s is up to date (npm run docs:metrics)', (path, text) => {
    expect(read(path)).toBe(text);
  });
});

/** Every expression with where it is from. */
const exprs: readonly (readonly [string, string])[] = [
  ...RECORDED,
  ...ALERTS.flatMap(({ name, stages }) => stages.map(({ expr }) => [name, expr] as const)),
  ...DASHBOARDS.flatMap(({ file, rows }) =>
    rows.flatMap(({ panels }) =>
      panels.flatMap((panel) => exprsOf(panel).map((expr) => [`${file}: ${panel.title}`, expr] as const)),
    ),
  ),
];

describe('expressions', () => {
  test('read series that there are', () => {
    const known = new Set([...seriesNames().keys(), ...RECORDED.keys()]);
    const unknown = exprs.flatMap(([where, expr]) =>
      [...seriesIn(expr)].filter((name) => !known.has(name)).map((name) => `${where}: ${name}`),
    );
    expect(unknown).toEqual([]);
    expect(exprs.length).toBeGreaterThan(150);
    expect(exprs.filter(([, expr]) => seriesIn(expr).size === 0)).toEqual([]);
  });

  test('compare with thresholds that there are, and every threshold is compared with', () => {
    const all = exprs.map(([, expr]) => expr).join('\n');
    expect(withDefaults(all)).not.toMatch(/<[a-zA-Z]+\.[a-z]+>/);
    const unused = Object.entries(THRESHOLDS).flatMap(([name, { levels }]) =>
      Object.keys(levels)
        .filter((level) => !all.includes(`<${name}.${level}>`))
        .map((level) => `${name}.${level}`),
    );
    expect(unused).toEqual([]);
    expect(() => withDefaults('x > <noSuch.high>')).toThrow('There is no threshold noSuch.high');
  });

  test('are all used: what is recorded is read by an alert or a dashboard', () => {
    const read = new Set(exprs.flatMap(([, expr]) => [...seriesIn(expr)]));
    expect([...RECORDED.keys()].filter((name) => !read.has(name))).toEqual([]);
  });
});

describe('alerts', () => {
  test('have one name each, rising severities, and say what clients notice', () => {
    const names = ALERTS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { stages, summary, description } of ALERTS) {
      const order = stages.map(({ severity }) => ['warning', 'high', 'critical'].indexOf(severity));
      expect(new Set(order).size).toBe(order.length);
      expect(summary).toContain('{{ $labels.namespace }}');
      expect(description.length).toBeGreaterThan(40);
    }
  });

  test('are those that the specification names (D O12)', () => {
    const named =
      'NoLeader MultipleLeaders ReplicationLagHigh WalRetentionHigh SlotLostOrInactive RouterLagHigh PartitionUnowned GapDetected PublishFailing Backpressure DeliverySLOBurnRate ApiErrorBudgetBurn AdmissionRejecting PollsNearCapacity RedisMemoryHigh RedisEvicting MustRefetchStorm SnapshotSlow ConfigReloadFailed EventLoopLag PodRestarting StreamNearLimit ClockSkew';
    expect(ALERTS.map(({ name }) => name)).toEqual(
      expect.arrayContaining(named.split(' ').map((name) => `Shapecast${name}`)),
    );
  });
});

interface Json {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly description?: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: unknown;
  readonly targets?: readonly { readonly refId: string; readonly expr: string; readonly datasource: unknown }[];
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string } };
}

describe.each(DASHBOARDS)('dashboard $file', (dashboard) => {
  const json = dashboardJson(dashboard);
  const panels = json['panels'] as readonly Json[];
  const shown = panels.filter(({ type }) => type !== 'row');

  test('can be loaded into any Grafana: its datasource is a variable, and it has no uid', () => {
    expect(json).not.toHaveProperty('uid');
    const { list } = json['templating'] as { list: readonly { name: string }[] };
    expect(list.map(({ name }) => name)).toEqual(['datasource', 'namespace', 'source']);
    const uids = [...JSON.stringify(json).matchAll(/"uid":"([^"]*)"/g)].map(([, uid]) => uid);
    expect(new Set(uids)).toEqual(new Set(['${datasource}']));
  });

  test('shows only what the variables select', () => {
    for (const { targets = [], title } of shown) {
      for (const { expr } of targets) expect(`${title}: ${expr}`).toContain('namespace=~"$namespace"');
    }
  });

  test('has panels side by side within 24 columns, none over another', () => {
    const taken = new Set<string>();
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x},${y}`)).toBe(false);
          taken.add(`${x},${y}`);
        }
      }
    }
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  });

  test('says of each panel what it shows, in which unit', () => {
    for (const { description, fieldConfig, targets = [] } of shown) {
      expect(description?.length).toBeGreaterThan(5);
      expect(fieldConfig?.defaults.unit).toBeTruthy();
      expect(targets.length).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length);
    }
  });
});
