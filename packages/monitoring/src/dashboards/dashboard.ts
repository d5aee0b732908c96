import { gauge } from '../promql/select.ts';
import { FIGURE_HEIGHT, PANEL_HEIGHT, panelJson, type Panel } from './panel.ts';

export interface Row {
  readonly title: string;
  readonly panels: readonly Panel[];
}

export interface Dashboard {
  /** Of its file. */
  readonly file: string;
  readonly title: string;
  readonly description: string;
  /** Whether one source is looked at, or any number. */
  readonly sources: 'one' | 'many';
  readonly rows: readonly Row[];
}

const COLUMNS = 24;

/** Which series a dashboard shows, for selectors. */
export const HERE = { namespace: '=~$namespace' } as const;
export const OF_SOURCES = { namespace: '=~$namespace', source: '=~$source' } as const;
/** Windows of rates: four scrapes at least, more when Grafana shows days. */
export const WINDOW = '$__rate_interval';

/** A dashboard as Grafana reads it, with neither its own uid nor that of a datasource: both belong to the Grafana that loads it. */
export function dashboardJson({ title, description, sources, rows }: Dashboard): Readonly<Record<string, unknown>> {
  return {
    title,
    description,
    tags: ['shapecast'],
    schemaVersion: 39,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    annotations: { list: [] },
    links: [
      {
        title: 'Shapecast',
        type: 'dashboards',
        tags: ['shapecast'],
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
      },
    ],
    templating: { list: variables(sources) },
    panels: layOut(rows),
  };
}

function variables(sources: 'one' | 'many'): readonly unknown[] {
  const datasource = { type: 'prometheus', uid: '${datasource}' };
  const query = (name: string, label: string, text: string, several: boolean) => ({
    name,
    label,
    type: 'query',
    datasource,
    query: { query: text, refId: name },
    definition: text,
    refresh: 2,
    sort: 1,
    multi: several,
    includeAll: several,
    ...(several ? { allValue: '.*', current: { text: 'All', value: '$__all' } } : {}),
  });
  return [
    { name: 'datasource', label: 'Prometheus', type: 'datasource', query: 'prometheus', refresh: 1 },
    query('namespace', 'Namespace', `label_values(${gauge('shapecast.build.info')}, namespace)`, true),
    query(
      'source',
      'Source',
      `label_values(${gauge('shapecast.replicator.leader', HERE)}, source)`,
      sources === 'many',
    ),
  ];
}

/** Panels from left to right, as many as fit; a heading over those of a row. */
function layOut(rows: readonly Row[]): readonly unknown[] {
  const all: unknown[] = [];
  let y = 0;
  for (const { title, panels } of rows) {
    all.push({
      id: all.length + 1,
      type: 'row',
      title,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const panel of panels) {
      const w = panel.width ?? (panel.kind === 'number' ? 4 : 8);
      const h = panel.kind === 'number' ? FIGURE_HEIGHT : PANEL_HEIGHT;
      // Figures and lines do not share a line: they would leave holes.
      if (x + w > COLUMNS || (height > 0 && h !== height)) {
        y += height;
        x = 0;
      }
      height = h;
      all.push(panelJson(panel, all.length + 1, { x, y, w, h }));
      x += w;
    }
    y += height;
  }
  return all;
}
