import type { Cluster } from '@shapecast/testkit';

export type Role = 'replicator' | 'router' | 'api';

/** Names of series with the number of them, as one process exposes them; and names with the type that it says they have. */
export interface Exposed {
  readonly series: ReadonlyMap<string, number>;
  readonly types: ReadonlyMap<string, string>;
}

/** Reads what Prometheus would. Throws at a line that it could not read. */
export function parseExposition(text: string): Exposed {
  const series = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('# HELP ')) continue;
    const [, typed, type] = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line) ?? [];
    if (typed !== undefined && type !== undefined) {
      types.set(typed, type);
      continue;
    }
    const [, name, value] = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^]*\})? (\S+)$/.exec(line) ?? [];
    if (name === undefined || !/^(?:[+-]Inf|-?\d.*)$/.test(value ?? '')) throw new Error(`not a series: ${line}`);
    series.set(name, (series.get(name) ?? 0) + 1);
  }
  return { series, types };
}

/** What all processes of a role expose together, by role. */
export async function scrape(cluster: Cluster): Promise<ReadonlyMap<Role, Exposed>> {
  const roles = new Map<Role, Exposed>();
  for (const { role, healthUrl } of cluster.processes) {
    const answer = await fetch(new URL('/metrics', healthUrl));
    if (!answer.ok) throw new Error(`${role} answers ${answer.status} to GET /metrics`);
    const { series, types } = parseExposition(await answer.text());
    const known = roles.get(role);
    roles.set(role, {
      series: new Map([...(known?.series ?? []), ...series]),
      types: new Map([...(known?.types ?? []), ...types]),
    });
  }
  return roles;
}
