import { parseAllDocuments } from 'yaml';
import type { ApiClient, KubeObject } from './api-client.ts';

/** Objects of a manifest as helm reads them, which takes it for YAML 1.1: `0440` is octal. */
export function manifestObjects(text: string): readonly KubeObject[] {
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const value = document.toJS() as KubeObject | null;
    return value === null ? [] : [value];
  });
}

/** What the server has not kept of what it was given: a path each. It may have added anything. */
export function lost(given: unknown, kept: unknown, path = ''): readonly string[] {
  // What says nothing is left out.
  if (given === null || given === undefined) return [];
  if (kept === undefined && (given === '' || given === 0 || given === false)) return [];
  if (Array.isArray(given)) {
    const all = Array.isArray(kept) ? (kept as readonly unknown[]) : [];
    if (all.length < given.length) return [path];
    return given.flatMap((one, i) => lost(one, all[i], `${path}[${i}]`));
  }
  if (typeof given === 'object') {
    const fields = Object.entries(given);
    if (typeof kept !== 'object' || kept === null) return fields.length === 0 ? [] : [path];
    return fields.flatMap(([key, value]) => {
      // It is stored as `data`.
      if (key === 'stringData') return lost(encoded(value), (kept as Record<string, unknown>)['data'], `${path}.data`);
      return lost(value, (kept as Record<string, unknown>)[key], `${path}.${key}`);
    });
  }
  return amount(given) === amount(kept) ? [] : [`${path}: ${JSON.stringify(given)} became ${JSON.stringify(kept)}`];
}

const UNITS: Readonly<Record<string, number>> = { m: 0.001, k: 1e3, M: 1e6, G: 1e9 };

/** Of quantities, which the server writes in its own way: 6000 as `6k`, 0.5 as `500m`. */
function amount(value: unknown): string {
  const text = String(value);
  const [, number, unit] = /^(\d+(?:\.\d+)?)([mkMG]?)$/.exec(text) ?? [];
  return number === undefined ? text : String(Number(number) * (UNITS[unit ?? ''] ?? 1));
}

function encoded(value: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(value as Record<string, string>);
  return Object.fromEntries(entries.map(([key, text]) => [key, Buffer.from(text).toString('base64')]));
}

interface Resource {
  readonly name: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
}

const PASSING = new Set(['events', 'endpointslices', 'endpoints', 'controllerrevisions', 'pods', 'replicasets']);

/** Everything that stands in a namespace, as `plural/name`, but for what controllers make and take away by themselves. */
export async function contentsOf(api: ApiClient, namespace: string): Promise<readonly string[]> {
  const groups = await api.get<{ groups: readonly { preferredVersion: { groupVersion: string } }[] }>('/apis');
  const roots = ['/api/v1', ...groups.groups.map(({ preferredVersion }) => `/apis/${preferredVersion.groupVersion}`)];
  const found = new Set<string>();
  for (const root of roots) {
    const { resources } = await api.get<{ resources: readonly Resource[] }>(root);
    for (const { name, namespaced, verbs } of resources) {
      if (!namespaced || !verbs.includes('list') || PASSING.has(name)) continue;
      const objects = await api.list(`${root}/namespaces/${namespace}/${name}`);
      for (const { metadata } of objects) {
        if (metadata.deletionTimestamp === undefined) found.add(`${name}/${metadata.name}`);
      }
    }
  }
  return [...found].sort();
}
