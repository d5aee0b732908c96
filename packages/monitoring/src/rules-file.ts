import { stringify } from 'yaml';
import type { Alert } from './alerts/alert.ts';
import { ALERT_GROUPS } from './alerts/index.ts';
import { withDefaults } from './alerts/thresholds.ts';
import { seriesIn } from './promql/names.ts';
import { RECORDED } from './recording.ts';

/** A rule as Prometheus reads it. */
type Rule =
  | { readonly record: string; readonly expr: string }
  | {
      readonly alert: string;
      readonly expr: string;
      readonly for: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly annotations: Readonly<Record<string, string>>;
    };

interface RuleGroup {
  readonly name: string;
  readonly rules: readonly Rule[];
}

/** Stands where the address of the runbook belongs, which whoever installs knows. */
const RUNBOOK = '<runbook>';
/** Where it is in the repository. */
export const RUNBOOK_PATH = 'docs/runbook.md';

const DO_NOT_EDIT = '# Made by `npm run docs:metrics` from packages/monitoring. Changes here are lost.\n';

/** The anchor of an alert in the runbook: its section has its name. */
export function anchorOf({ name }: Alert): string {
  return name.toLowerCase();
}

/** All rules, with `<name.level>` for thresholds and `<runbook>` for the address of the runbook. */
function ruleGroups(): readonly RuleGroup[] {
  const recorded = [...RECORDED].map(([record, expr]) => ({ record, expr }));
  const alerts = ALERT_GROUPS.map(({ name, alerts: all }) => ({ name, rules: all.flatMap(rulesOf) }));
  return [{ name: 'shapecast-recorded', rules: recorded }, ...alerts];
}

function rulesOf(alert: Alert): readonly Rule[] {
  const { name, summary, description, stages } = alert;
  const annotations = { summary: firstUpper(summary), description, runbook_url: `${RUNBOOK}#${anchorOf(alert)}` };
  return stages.map(({ severity, expr, for: held }) => ({
    alert: name,
    expr,
    for: held,
    labels: { severity },
    annotations,
  }));
}

function firstUpper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/**
 * The file for the chart, which puts in the thresholds of its values, and the namespace: two installations that one Prometheus watches
 * would have each other's alerts otherwise.
 */
export function chartRules(): string {
  const groups = ruleGroups().map(({ name, rules }) => ({
    name,
    rules: rules.map((rule) => ({ ...rule, expr: inNamespace(rule.expr) })),
  }));
  return DO_NOT_EDIT + toYaml({ groups });
}

/** The same expression about one namespace, wherever it selects series. */
function inNamespace(expr: string): string {
  const names = [...seriesIn(expr)].sort((a, b) => b.length - a.length);
  const selected = new RegExp(`(?<![\\w:])(${names.join('|')})(?![\\w:])(\\{)?`, 'g');
  return expr.replaceAll(selected, (_, name: string, brace?: string) => {
    const namespace = 'namespace="<namespace>"';
    return brace === undefined ? `${name}{${namespace}}` : `${name}{${namespace}, `;
  });
}

/** The file for a Prometheus without the chart, with our thresholds. */
export function plainRules(): string {
  return withDefaults(DO_NOT_EDIT + toYaml({ groups: ruleGroups() })).replaceAll(RUNBOOK, RUNBOOK_PATH);
}

function toYaml(value: unknown): string {
  // No anchors for annotations that several rules share, and no line breaks inside of expressions.
  return stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
}
