import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { CHART } from './paths.ts';
import { KUBERNETES_VERSIONS } from './versions.ts';

const run = promisify(execFile);
const MAX_BYTES = 16 * 1024 * 1024;

/** Kinds of others that the cluster is said to know. */
const KNOWN = ['ServiceMonitor', 'PodMonitor', 'PrometheusRule'].map((kind) => `monitoring.coreos.com/v1/${kind}`);

/** An object as the chart makes it. Tests look into it by what they know of its kind. */
export interface Rendered {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

export interface Pod {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec: PodSpec;
}

interface PodSpec {
  readonly containers: readonly Container[];
  readonly initContainers?: readonly Container[];
  readonly volumes?: readonly { readonly name: string; readonly [source: string]: unknown }[];
  readonly [field: string]: unknown;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly env?: readonly EnvVar[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly resources?: { readonly limits?: { readonly memory?: string } };
  readonly [field: string]: unknown;
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly name: string; readonly key: string } };
}

export type Values = Readonly<Record<string, unknown>>;

/** The files of ci/: name without its ending to path. */
export async function ciFiles(): Promise<ReadonlyMap<string, string>> {
  const names = (await readdir(`${CHART}/ci`)).sort();
  return new Map(names.map((name) => [name.replace(/-values\.yaml$/, ''), `${CHART}/ci/${name}`]));
}

/** What `helm template` writes for some files of values, and then some values. */
export async function template(helm: string, files: readonly string[], values: Values = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'shapecast-chart-'));
  try {
    await writeFile(`${folder}/values.yaml`, stringify(values));
    const all = [...files, `${folder}/values.yaml`].flatMap((file) => ['--values', file]);
    const known = KNOWN.flatMap((kind) => ['--api-versions', kind]);
    // Built as we build it, Helm 3 takes the cluster for a very old one.
    const version = ['--kube-version', KUBERNETES_VERSIONS[0]];
    const args = ['template', 'shapecast', CHART, '--namespace', 'shapecast', ...version, ...known, ...all];
    return (await run(helm, args, { maxBuffer: MAX_BYTES })).stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const rendered = new Map<string, Promise<readonly Rendered[]>>();

/** The same as objects; once for the same values. */
export function render(helm: string, files: readonly string[], values: Values = {}): Promise<readonly Rendered[]> {
  const key = JSON.stringify([helm, files, values]);
  const known = rendered.get(key) ?? template(helm, files, values).then(objectsOf);
  rendered.set(key, known);
  return known;
}

export function objectsOf(text: string): readonly Rendered[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    const value = document.toJS() as Rendered | null;
    return value === null ? [] : [value];
  });
}

/** What helm says when it refuses values. Throws when it does not. */
export async function refusal(helm: string, files: readonly string[], values: Values): Promise<string> {
  try {
    await template(helm, files, values);
  } catch (error) {
    return (error as { stderr?: string }).stderr ?? String(error);
  }
  throw new Error('helm took the values');
}

/** Every pod that the objects lead to: name of the object to pod. */
export function podsOf(objects: readonly Rendered[]): ReadonlyMap<string, Pod> {
  return new Map(
    objects.flatMap((object) => {
      const { kind, metadata, spec } = object;
      const name = `${kind}/${metadata.name}`;
      if (kind === 'Deployment' || kind === 'Job') return [[name, (spec as { template: Pod }).template]];
      return kind === 'Pod' ? [[name, object as unknown as Pod]] : [];
    }),
  );
}

export function find(objects: readonly Rendered[], kind: string, name: string): Rendered {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`There is no ${kind} ${name}.`);
  return found;
}

/** The pod of a component, and its own container. */
export function component(objects: readonly Rendered[], name: string): { readonly pod: Pod; readonly main: Container } {
  const pod = [...podsOf(objects)].find(([key]) => key === `Deployment/shapecast-${name}`)?.[1];
  const main = pod?.spec.containers.find((container) => container.name === name);
  if (pod === undefined || main === undefined) throw new Error(`There is no ${name}.`);
  return { pod, main };
}

/** Variables of a container that have a value of their own. */
export function variables(container: Container): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (container.env ?? []).flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])),
  );
}
