import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { waitFor } from '@shapecast/testkit';
import { inject } from 'vitest';
import { stringify } from 'yaml';
import { CHART } from '../chart/paths.ts';
import { podsOf, render, type Rendered, type Values } from '../chart/render.ts';
import { ApiClient, type KubeObject } from './api-client.ts';
import { INSTALLER, writeKubeconfig } from './control-plane.ts';
import { referencesOf } from './references.ts';

const run = promisify(execFile);
const RELEASE = 'shapecast';

/** Rights that `admin` of a namespace has not, because Kubernetes does not know those kinds by itself. */
const CUSTOM_RIGHTS = [
  { apiGroups: ['monitoring.coreos.com'], resources: ['servicemonitors', 'podmonitors', 'prometheusrules'] },
  { apiGroups: ['keda.sh'], resources: ['scaledobjects'] },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes'] },
].map((rule) => ({ ...rule, verbs: ['*'] }));

interface Finished {
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * A namespace in which the `restricted` level is enforced, and a helm that may do in it what an administrator of a namespace may: nothing
 * outside of it. The chart must be content with that.
 */
export class Sandbox {
  readonly namespace: string;
  readonly api: ApiClient;
  readonly #helm: string;
  readonly #folder: string;
  #files = 0;

  private constructor(namespace: string, api: ApiClient, helm: string, folder: string) {
    this.namespace = namespace;
    this.api = api;
    this.#helm = helm;
    this.#folder = folder;
  }

  static async open(name: string, version: 'helm' | 'helm3' = 'helm'): Promise<Sandbox> {
    const kubernetes = inject('shapecastKubernetes');
    if ('missing' in kubernetes) throw new Error(kubernetes.missing);
    const api = new ApiClient(kubernetes.admin);
    const folder = await mkdtemp(`${tmpdir()}/shapecast-helm-`);
    writeKubeconfig(`${folder}/kubeconfig`, kubernetes.installer);
    const sandbox = new Sandbox(`${name}-${version}`, api, kubernetes[version], folder);
    await sandbox.#prepare();
    return sandbox;
  }

  /** Deletes the namespace with all that is in it. */
  async close(): Promise<void> {
    await this.api.delete(`/api/v1/namespaces/${this.namespace}`);
    await rm(this.#folder, { recursive: true, force: true });
  }

  /** Path of namespaced objects: `apps/v1`, `deployments`. */
  path(group: string, plural: string, name = ''): string {
    const root = group === 'v1' ? '/api/v1' : `/apis/${group}`;
    return `${root}/namespaces/${this.namespace}/${plural}${name === '' ? '' : `/${name}`}`;
  }

  deployment(name: string): Promise<KubeObject> {
    return this.api.get(this.path('apps/v1', 'deployments', `${RELEASE}-${name}`));
  }

  async replicas(name: string): Promise<number> {
    return ((await this.deployment(name)).spec as { replicas: number }).replicas;
  }

  async install(files: readonly string[], values: Values = {}, ...more: string[]): Promise<Finished> {
    return this.helm('install', RELEASE, CHART, ...(await this.#given(files, values)), ...more);
  }

  async upgrade(files: readonly string[], values: Values = {}, ...more: string[]): Promise<Finished> {
    return this.helm('upgrade', RELEASE, CHART, ...(await this.#given(files, values)), ...more);
  }

  /** What helm says when it fails. Throws when it does not. */
  async refusal(command: Promise<Finished>): Promise<string> {
    try {
      await command;
    } catch (error) {
      return ((error as { stderr?: string }).stderr ?? String(error)).replace(/\s+/g, ' ');
    }
    throw new Error('helm did it');
  }

  helm(command: string, ...args: string[]): Promise<Finished> {
    const env = {
      ...process.env,
      ...{ HELM_CACHE_HOME: `${this.#folder}/cache`, HELM_CONFIG_HOME: `${this.#folder}/config` },
      ...{ HELM_DATA_HOME: `${this.#folder}/data`, KUBECONFIG: `${this.#folder}/kubeconfig` },
    };
    const place = ['--namespace', this.namespace];
    return run(this.#helm, [command, ...args, ...place], { env, maxBuffer: 16 * 1024 * 1024 });
  }

  /**
   * What a user has before the installation: each Secret, ConfigMap and service account that the pods refer to and the chart does not
   * make. Resolves with their names.
   */
  async bring(files: readonly string[], values: Values = {}): Promise<readonly string[]> {
    const objects = await render(this.#helm, files, values);
    const made = new Set(objects.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
    const data = new Map<string, Map<string, string>>();
    const accounts = new Set<string>();
    for (const pod of podsOf(objects).values()) {
      for (const { kind, name, keys } of referencesOf(pod)) {
        const known = data.get(`${kind}/${name}`) ?? new Map<string, string>();
        // A folder of files has no keys that pods name, and is not empty all the same.
        for (const key of keys.length > 0 ? keys : ['content']) known.set(key, `value of ${key}`);
        data.set(`${kind}/${name}`, known);
      }
      accounts.add(`ServiceAccount/${(pod.spec['serviceAccountName'] as string | undefined) ?? 'default'}`);
    }
    for (const key of filesOf(objects)) for (const known of data.values()) known.set(key, `value of ${key}`);
    const missing = [...data.keys(), ...accounts].filter((place) => !made.has(place)).sort();
    for (const place of missing) await this.#make(place, data.get(place));
    return missing;
  }

  async #make(place: string, data: ReadonlyMap<string, string> | undefined): Promise<void> {
    const [kind = '', name = ''] = place.split('/');
    const text = Object.fromEntries(data ?? []);
    const content = kind === 'Secret' ? { stringData: text } : kind === 'ConfigMap' ? { data: text } : {};
    const path = this.path('v1', `${kind.toLowerCase()}s`);
    if ((await this.api.find(`${path}/${name}`)) !== undefined) return;
    await this.api.post(path, { apiVersion: 'v1', kind, metadata: { name }, ...content });
  }

  async #given(files: readonly string[], values: Values): Promise<readonly string[]> {
    const file = `${this.#folder}/values-${(this.#files += 1)}.yaml`;
    await writeFile(file, stringify(values));
    return [...files, file].flatMap((one) => ['--values', one]);
  }

  async #prepare(): Promise<void> {
    const enforced = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await this.api.post('/api/v1/namespaces', {
      ...{ apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace, labels: enforced } },
    });
    const rbac = 'rbac.authorization.k8s.io';
    const subjects = [{ kind: 'User', name: INSTALLER, apiGroup: rbac }];
    const roles = this.path(`${rbac}/v1`, 'roles');
    await this.api.post(roles, {
      ...{ apiVersion: `${rbac}/v1`, kind: 'Role', metadata: { name: 'custom-kinds' }, rules: CUSTOM_RIGHTS },
    });
    for (const roleRef of [
      { apiGroup: rbac, kind: 'ClusterRole', name: 'admin' },
      { apiGroup: rbac, kind: 'Role', name: 'custom-kinds' },
    ]) {
      const metadata = { name: `installer-${roleRef.name}` };
      const body = { apiVersion: `${rbac}/v1`, kind: 'RoleBinding', metadata, roleRef, subjects };
      await this.api.post(this.path(`${rbac}/v1`, 'rolebindings'), body);
    }
    // Pods are refused until the controllers have made it.
    await waitFor(() => this.api.find(this.path('v1', 'serviceaccounts', 'default')));
  }
}

/** Files that variables name and that are in a Secret as a whole, such as /etc/shapecast/nats/user.creds: the last part is a key. */
function filesOf(objects: readonly Rendered[]): readonly string[] {
  const values = [...podsOf(objects).values()].flatMap(({ spec }) =>
    spec.containers.flatMap(({ env = [] }) => env.map(({ value }) => value ?? '')),
  );
  return values
    .filter((value) => value.startsWith('/etc/shapecast/'))
    .map((value) => value.split('/').at(-1) as string);
}
