import { withThresholds } from './chart-values.ts';
import { dashboardJson } from './dashboards/dashboard.ts';
import { DASHBOARDS } from './dashboards/index.ts';
import { metricsPage } from './docs/metrics-page.ts';
import { chartRules, plainRules } from './rules-file.ts';

const CHART = 'deploy/helm/shapecast';
const PLAIN = 'deploy/monitoring';

/**
 * Everything that is made of the tables in this package: path from the root of the project to text. `read` gives the text of a file that
 * is made in part only.
 */
export function generatedFiles(read: (path: string) => string): ReadonlyMap<string, string> {
  const dashboards = DASHBOARDS.flatMap((dashboard) => {
    const text = `${JSON.stringify(dashboardJson(dashboard), undefined, 2)}\n`;
    return [
      [`${PLAIN}/dashboards/${dashboard.file}.json`, text],
      // A release of Helm is a Secret of at most 1 MiB.
      [`${CHART}/files/dashboards/${dashboard.file}.json`, `${JSON.stringify(dashboardJson(dashboard))}\n`],
    ] as const;
  });
  const values = `${CHART}/values.yaml`;
  return new Map([
    ['docs/metrics.md', metricsPage()],
    [`${PLAIN}/rules/shapecast.yaml`, plainRules()],
    [`${CHART}/files/rules/shapecast.yaml`, chartRules()],
    ...dashboards,
    [values, withThresholds(read(values))],
  ]);
}
