import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { ALERTS, DASHBOARDS, exprsOf, withDefaults } from '@shapecast/monitoring';
import { ALERT_CASES, type AlertCase } from './alert-cases.ts';
import { findPromtool, promtool } from './promtool.ts';

const program = await findPromtool();
const RULES = readFileSync(new URL('../../deploy/monitoring/rules/shapecast.yaml', import.meta.url), 'utf8');

interface Rules {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Readonly<Record<string, unknown>>[] }[];
}

/**
 * The rules of one alert and what they are computed from. Without annotations: promtool compares them word by word, and these are not
 * what is tested.
 */
function rulesOf(alert: string): string {
  const { groups } = parse(RULES) as Rules;
  const all = groups.flatMap(({ rules }) => rules);
  const own = all.filter((rule) => rule['alert'] === alert).map(({ annotations: _, ...rule }) => rule);
  const read = own.map(({ expr }) => String(expr)).join();
  const recorded = all.filter(({ record }) => typeof record === 'string' && read.includes(record));
  return stringify({ groups: [{ name: 'rules', rules: [...recorded, ...own] }] });
}

test('there are cases for every alert: some that fire, with each severity, and some that do not', () => {
  expect(Object.keys(ALERT_CASES).sort()).toEqual(ALERTS.map(({ name }) => name).sort());
  for (const { name, stages } of ALERTS) {
    const cases = ALERT_CASES[name] ?? [];
    const fired = new Set(cases.flatMap(({ fires }) => fires));
    expect([name, [...fired].sort()]).toEqual([name, stages.map(({ severity }) => severity).sort()]);
    expect([name, cases.some(({ fires }) => fires.length === 0)]).toEqual([name, true]);
  }
});

// Without Debian's package there is no promtool; findPromtool has said so.
describe.skipIf(program === undefined)('rules', () => {
  const tool = program as string;

  test('are taken by promtool', async () => {
    expect(await promtool(tool, ['check', 'rules', 'rules.yaml'], { 'rules.yaml': RULES })).toContain('SUCCESS');
  });

  test('are loaded by the configuration for compose, which promtool takes', async () => {
    const config = fileURLToPath(new URL('../../deploy/monitoring/prometheus.yml', import.meta.url));
    const said = await promtool(tool, ['check', 'config', config], {});
    expect(said).toContain('1 rule files found');
  });

  test('of dashboards can be parsed, whatever is selected', async () => {
    const exprs = DASHBOARDS.flatMap(({ rows }) => rows.flatMap(({ panels }) => panels.flatMap(exprsOf)));
    const rules = exprs.map((expr, i) => ({
      record: `panel:${i}`,
      expr: withDefaults(expr)
        .replaceAll('$__rate_interval', '5m')
        .replaceAll('$namespace', '.*')
        .replaceAll('$source', 'a|b'),
    }));
    const text = stringify({ groups: [{ name: 'panels', rules }] });
    const said = await promtool(tool, ['check', 'rules', 'panels.yaml'], { 'panels.yaml': text });
    expect(said).toContain(`${rules.length} rules found`);
    expect(rules.length).toBeGreaterThan(100);
  });

  test('that are wrong are refused', async () => {
    const wrong = { groups: [{ name: 'wrong', rules: [{ alert: 'A', expr: 'sum by (x' }] }] };
    await expect(promtool(tool, ['check', 'rules', 'x.yaml'], { 'x.yaml': stringify(wrong) })).rejects.toThrow('parse');
  });

  test.each(Object.entries(ALERT_CASES).flatMap(([name, cases]) => cases.map((one) => [name, one.when, one] as const)))(
    '%s: %s',
    async (name, _, one) => {
      const files = { 'rules.yaml': rulesOf(name), 'test.yaml': stringify(unitTest(name, one)) };
      const said = await promtool(tool, ['test', 'rules', 'test.yaml'], files).catch((error: Error) => error.message);
      expect(severities(said)).toEqual([...one.fires].sort());
    },
  );
});

/** Expects nothing, so that what fires is told as a difference: of its labels only the severity is known beforehand. */
function unitTest(name: string, { series, at = '30m' }: AlertCase): unknown {
  return {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: [
      {
        interval: '1m',
        input_series: Object.entries(series).map(([text, values]) => ({ series: text, values })),
        alert_rule_test: [{ eval_time: at, alertname: name, exp_alerts: [] }],
      },
    ],
  };
}

/** Severities that fired, as promtool tells them: `SUCCESS`, or the alerts that it got and had not expected. */
function severities(said: string): readonly string[] {
  if (/SUCCESS/.test(said)) return [];
  if (!/exp:\s*\[/.test(said)) throw new Error(said);
  return [...new Set([...said.matchAll(/severity="([a-z]+)"/g)].map(([, severity]) => severity as string))].sort();
}
