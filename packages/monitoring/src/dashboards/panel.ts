import { withDefaults, THRESHOLDS, type ThresholdName, type Threshold, type Severity } from '../alerts/thresholds.ts';

/** Units as Grafana calls them. */
export type Unit =
  'short' | 'none' | 'percentunit' | 'ms' | 's' | 'bytes' | 'Bps' | 'ops' | 'reqps' | 'cps' | 'dateTimeFromNow';

interface Query {
  readonly expr: string;
  /** Name of a series, with `{{label}}` for labels. */
  readonly legend: string;
}

/** A value from which on a panel has another colour. */
export interface Step {
  readonly from: number;
  readonly colour: 'green' | 'yellow' | 'orange' | 'red';
}

interface Common {
  readonly title: string;
  /** What it says and what to think of it: shown when somebody points at the panel. */
  readonly description: string;
  readonly unit: Unit;
  readonly steps?: readonly Step[];
  /** Colour below the first step. */
  readonly base?: Step['colour'];
  /** Columns of 24. */
  readonly width?: number;
}

export type Panel =
  | (Common & {
      readonly kind: 'lines';
      readonly queries: readonly Query[];
      readonly stacked?: boolean;
      readonly max?: number;
    })
  | (Common & { readonly kind: 'number'; readonly query: string; readonly words?: Readonly<Record<string, string>> })
  | (Common & { readonly kind: 'table'; readonly columns: readonly Column[]; readonly by: readonly string[] });

export interface Column {
  readonly title: string;
  readonly unit: Unit;
  readonly expr: string;
}

type Options<K extends Panel['kind']> = Omit<Extract<Panel, { kind: K }>, 'kind' | 'title' | 'description' | 'unit'>;

/** Lines over time; one query per line or group of lines. */
export function lines(
  title: string,
  description: string,
  unit: Unit,
  queries: Readonly<Record<string, string>>,
  options: Partial<Omit<Options<'lines'>, 'queries'>> = {},
): Panel {
  const all = Object.entries(queries).map(([legend, expr]) => ({ legend, expr }));
  return { kind: 'lines', title, description, unit, queries: all, ...options };
}

/** One figure, as it is now. */
export function figure(
  title: string,
  description: string,
  unit: Unit,
  query: string,
  options: Partial<Omit<Options<'number'>, 'query'>> = {},
): Panel {
  return { kind: 'number', title, description, unit, query, ...options };
}

/** A row for each combination of `by`, and a column for each expression. */
export function table(title: string, description: string, by: readonly string[], columns: readonly Column[]): Panel {
  return { kind: 'table', title, description, unit: 'short', by, columns, width: 24 };
}

const COLOURS = { warning: 'yellow', high: 'orange', critical: 'red' } as const satisfies Record<
  Severity,
  Step['colour']
>;

/** The thresholds of an alert as colours, so that a panel turns red when somebody is called. */
export function stepsOf(name: ThresholdName): readonly Step[] {
  const { levels }: Threshold = THRESHOLDS[name];
  return Object.entries(levels).map(([severity, from]) => ({ from, colour: COLOURS[severity as Severity] }));
}

/** The ten that have most of it, so that hundreds of sources can be looked at. */
export function top(expr: string): string {
  return `topk(10, ${expr})`;
}

/** Everything from 1 on is bad. */
export const ANY_IS_BAD: readonly Step[] = [{ from: 1, colour: 'red' }];
/** Less than 1 is bad. */
export const NONE_IS_BAD = { base: 'red', steps: [{ from: 1, colour: 'green' }] } as const;

const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;
export const PANEL_HEIGHT = 8;
export const FIGURE_HEIGHT = 4;

export interface GridPosition {
  readonly x: number;
  readonly y: number;
  readonly w: number;
  readonly h: number;
}

/** A panel as Grafana reads it. */
export function panelJson(panel: Panel, id: number, gridPos: GridPosition): Readonly<Record<string, unknown>> {
  const { title, description } = panel;
  return { id, title, description, datasource: DATASOURCE, gridPos, ...bodyOf(panel) };
}

function bodyOf(panel: Panel): Readonly<Record<string, unknown>> {
  switch (panel.kind) {
    case 'lines':
      return {
        type: 'timeseries',
        fieldConfig: {
          defaults: {
            ...fieldDefaults(panel),
            min: 0,
            ...(panel.max === undefined ? {} : { max: panel.max }),
            custom: {
              drawStyle: 'line',
              lineWidth: 1,
              fillOpacity: panel.stacked === true ? 30 : 8,
              showPoints: 'never',
              spanNulls: false,
              stacking: { mode: panel.stacked === true ? 'normal' : 'none', group: 'A' },
              thresholdsStyle: { mode: panel.steps === undefined ? 'off' : 'line' },
            },
          },
          overrides: [],
        },
        options: {
          legend: { showLegend: true, displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
          tooltip: { mode: 'multi', sort: 'desc' },
        },
        targets: panel.queries.map(({ expr, legend }, i) => target(i, expr, { legendFormat: legend, range: true })),
      };
    case 'number':
      return {
        type: 'stat',
        fieldConfig: {
          defaults: { ...fieldDefaults(panel), mappings: mappingsOf(panel.words ?? {}), noValue: '–' },
          overrides: [],
        },
        options: {
          reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
          colorMode: panel.steps === undefined ? 'none' : 'background',
          graphMode: 'none',
          justifyMode: 'auto',
          textMode: 'auto',
          orientation: 'auto',
        },
        targets: [target(0, panel.query, { legendFormat: '', instant: true })],
      };
    case 'table':
      return {
        type: 'table',
        fieldConfig: {
          defaults: fieldDefaults(panel),
          overrides: panel.columns.map(({ title, unit }) => ({
            matcher: { id: 'byName', options: title },
            properties: [{ id: 'unit', value: unit }],
          })),
        },
        options: { showHeader: true, footer: { show: false } },
        targets: panel.columns.map(({ expr }, i) => target(i, expr, { format: 'table', instant: true })),
        transformations: [
          { id: 'merge', options: {} },
          {
            id: 'organize',
            options: {
              excludeByName: { Time: true },
              indexByName: Object.fromEntries(panel.by.map((label, i) => [label, i])),
              renameByName: Object.fromEntries(panel.columns.map(({ title }, i) => [`Value #${refId(i)}`, title])),
            },
          },
        ],
      };
  }
}

function fieldDefaults({ unit, steps = [], base = 'green' }: Panel): Readonly<Record<string, unknown>> {
  const all = [{ color: base, value: null }, ...steps.map(({ from, colour }) => ({ color: colour, value: from }))];
  return { unit, thresholds: { mode: 'absolute', steps: all } };
}

function mappingsOf(words: Readonly<Record<string, string>>): readonly unknown[] {
  const options = Object.fromEntries(Object.entries(words).map(([value, text]) => [value, { text }]));
  return Object.keys(words).length === 0 ? [] : [{ type: 'value', options }];
}

function target(i: number, expr: string, more: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return { refId: refId(i), datasource: DATASOURCE, expr: withDefaults(expr), ...more };
}

function refId(i: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + i);
}
