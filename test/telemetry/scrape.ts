import { prometheusName, METRICS, type MetricName, type Role } from '@shapecast/telemetry';
import { readExposition, type ExposedMetric } from '@shapecast/telemetry/testing';
import type { Cluster, ClusterProcess } from '@shapecast/testkit';

/** What one process told. */
export interface Scrape {
  readonly process: ClusterProcess;
  readonly text: string;
  readonly metrics: ReadonlyMap<string, ExposedMetric>;
}

async function scrape(process: ClusterProcess): Promise<Scrape> {
  const response = await fetch(`${process.healthUrl}/metrics`);
  if (response.status !== 200) throw new Error(`${process.name} answers /metrics with ${response.status}`);
  const text = await response.text();
  return { process, text, metrics: readExposition(text) };
}

/** Of every process. */
export async function scrapeAll(cluster: Cluster): Promise<readonly Scrape[]> {
  return Promise.all(cluster.processes.map(scrape));
}

/** All processes of the cluster together: the sum over series with these labels, of a histogram how often it was recorded. */
export function total(
  scrapes: readonly Scrape[],
  name: MetricName,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const shown = METRICS[name].type === 'histogram' ? `${prometheusName(name)}_count` : prometheusName(name);
  const values = scrapes.flatMap(({ metrics }) =>
    (metrics.get(prometheusName(name))?.series ?? [])
      .filter((series) => series.name === shown)
      .filter((series) => Object.entries(labels).every(([label, value]) => series.labels[label] === value))
      .map(({ value }) => value),
  );
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

/** Metrics that the table gives a role and that no process of that role tells, as `role name`. */
export function missingRows(scrapes: readonly Scrape[]): readonly string[] {
  const roles: readonly Role[] = ['replicator', 'router', 'api'];
  return roles.flatMap((role) => {
    const told = new Set(
      scrapes.filter(({ process }) => process.role === role).flatMap(({ metrics }) => [...metrics.keys()]),
    );
    return (Object.keys(METRICS) as MetricName[])
      .filter((name) => METRICS[name].roles.includes(role) && !told.has(prometheusName(name)))
      .map((name) => `${role} ${name}`);
  });
}
