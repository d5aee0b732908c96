import { waitFor } from '@shapecast/testkit';
import { describe, expect, inject, test } from 'vitest';
import { ciFiles, type Values } from '../chart/render.ts';
import { Sandbox } from './sandbox.ts';

const kubernetes = inject('shapecastKubernetes');
const minimal = [(await ciFiles()).get('minimal') as string];
const singleTenant = [(await ciFiles()).get('single-tenant') as string];
const WAIT = ['--wait', '--timeout', '4m'];
const SCALED: Values = { api: { autoscaling: { enabled: true, minReplicas: 2, maxReplicas: 10 } } };

interface PodList {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly spec: { readonly containers: readonly { readonly image: string }[] };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** The pods of a component that are to stay. */
async function podsOf(sandbox: Sandbox, component: string): Promise<readonly PodList[]> {
  const selector = `labelSelector=app.kubernetes.io/component=${component}`;
  const pods = await sandbox.api.list<PodList>(`${sandbox.path('v1', 'pods')}?${selector}`);
  // Those that were told to go say that they are ready until they are gone.
  return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

const isReady = ({ status }: PodList) =>
  (status.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True');

/** The highest and lowest number of pods that the Deployment asked for while something went on. */
async function replicasDuring(sandbox: Sandbox, component: string, task: Promise<unknown>): Promise<number[]> {
  let done = false;
  const ended = task.finally(() => (done = true));
  const seen: number[] = [];
  while (!done) {
    seen.push(await sandbox.replicas(component));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await ended;
  seen.push(await sandbox.replicas(component));
  return [...new Set(seen)].sort((a, b) => a - b);
}

/** As an autoscaler does it: by the subresource `scale`, as somebody else than helm. */
async function scaleTo(sandbox: Sandbox, component: string, replicas: number): Promise<void> {
  const path = sandbox.path('apps/v1', 'deployments', `shapecast-${component}/scale`);
  await sandbox.api.patch(path, { spec: { replicas } });
}

async function withSandbox(name: string, version: 'helm' | 'helm3', task: (sandbox: Sandbox) => Promise<void>) {
  const sandbox = await Sandbox.open(name, version);
  try {
    await task(sandbox);
  } finally {
    await sandbox.close();
  }
}

// Without the programs there is no API server; the global setup has said so.
describe.skipIf('missing' in kubernetes).each(['helm', 'helm3'] as const)('upgrades with %s', (version) => {
  test('a new image comes pod by pod, and one that does not start leaves the old pods alone; a rollback ends it', () =>
    withSandbox('images', version, async (sandbox) => {
      await sandbox.bring(minimal);
      await sandbox.install(minimal, {}, ...WAIT);
      await sandbox.upgrade(minimal, { router: { image: { tag: 'next' } } }, ...WAIT);
      const after = (await podsOf(sandbox, 'router')).filter(isReady);
      expect(after.map(({ spec }) => spec.containers[0]?.image)).toEqual(
        Array(2).fill(expect.stringMatching(/:next$/)),
      );

      await sandbox.upgrade(minimal, { router: { image: { tag: 'missing' } } });
      const stuck = await waitFor(async () => {
        const all = await podsOf(sandbox, 'router');
        return all.some(({ spec }) => spec.containers[0]?.image.endsWith(':missing')) ? all : undefined;
      });
      expect(stuck.filter(isReady).map(({ spec }) => spec.containers[0]?.image)).toHaveLength(2);
      expect(stuck).toHaveLength(3);

      await sandbox.helm('rollback', 'shapecast', '2', ...WAIT);
      await waitFor(async () => (await podsOf(sandbox, 'router')).length === 2);
      const images = (await podsOf(sandbox, 'router')).map(({ spec }) => spec.containers[0]?.image);
      expect(images).toEqual(Array(2).fill(expect.stringMatching(/:next$/)));
    }));

  test('a secret that changes in the values restarts the pods that read it once', () =>
    withSandbox('secrets', version, async (sandbox) => {
      const values = { cleanup: { dropReplicationSlots: false } };
      await sandbox.install(singleTenant, values, ...WAIT);
      const before = (await podsOf(sandbox, 'api')).map(({ metadata }) => metadata.name);
      await sandbox.upgrade(singleTenant, { ...values, source: { auth: { secret: 'another-secret' } } }, ...WAIT);
      await waitFor(async () => (await podsOf(sandbox, 'api')).length === 2);
      const now = (await podsOf(sandbox, 'api')).map(({ metadata }) => metadata.name);
      expect(now.filter((name) => before.includes(name))).toEqual([]);
    }));

  test('turning autoscaling on takes no pod away, and later upgrades leave the number to the autoscaler', () =>
    withSandbox('scaling', version, async (sandbox) => {
      await sandbox.bring(minimal);
      await sandbox.install(minimal, { api: { replicaCount: 4 } }, ...WAIT);
      expect(await replicasDuring(sandbox, 'api', sandbox.upgrade(minimal, SCALED, ...WAIT))).toEqual([4]);
      // Nobody has set the number yet but helm: it still must not let go of it.
      const more = { ...SCALED, config: { SHAPECAST_LOG_LEVEL: 'debug' } };
      expect(await replicasDuring(sandbox, 'api', sandbox.upgrade(minimal, more, ...WAIT))).toEqual([4]);
      await scaleTo(sandbox, 'api', 7);
      expect(await replicasDuring(sandbox, 'api', sandbox.upgrade(minimal, SCALED, ...WAIT))).toEqual([7]);
      await scaleTo(sandbox, 'api', 6);
      expect(await replicasDuring(sandbox, 'api', sandbox.upgrade(minimal, more, ...WAIT))).toEqual([6]);
    }));

  test('an installation that is scaled from the beginning gets its pods from the autoscaler, and keeps them', () =>
    withSandbox('scaled', version, async (sandbox) => {
      await sandbox.bring(minimal);
      const values = { api: { autoscaling: { enabled: true, minReplicas: 3, maxReplicas: 10 } } };
      await sandbox.install(minimal, values);
      // Without metrics it does the one thing that needs none: at least the fewest pods.
      await waitFor(async () => (await sandbox.replicas('api')) === 3);
      await scaleTo(sandbox, 'api', 5);
      expect(await replicasDuring(sandbox, 'api', sandbox.upgrade(minimal, values, ...WAIT))).toEqual([5]);
    }));

  test('turning autoscaling off sets the number of the values', () =>
    withSandbox('fixed', version, async (sandbox) => {
      await sandbox.bring(minimal);
      await sandbox.install(minimal, SCALED);
      await scaleTo(sandbox, 'api', 5);
      // Helm 4 asks before it takes a field from its owner (docs/kubernetes.md).
      const force = version === 'helm' ? ['--force-conflicts'] : [];
      await sandbox.upgrade(minimal, { api: { replicaCount: 3 } }, ...WAIT, ...force);
      expect(await sandbox.replicas('api')).toBe(3);
      const autoscalers = await sandbox.api.list(sandbox.path('autoscaling/v2', 'horizontalpodautoscalers'));
      expect(autoscalers).toEqual([]);
    }));

  test('keys that were made once stay through upgrades and outlive the release', () =>
    withSandbox('keys', version, async (sandbox) => {
      const values = {
        mode: 'many-sources',
        source: { existingSecret: '', auth: { existingSecret: '' } },
        sourcesKeys: { generate: true },
        sources: { acme: { databaseUrl: 'postgresql://u:p@db/app', insecure: true } },
      };
      const keys = async () => (await sandbox.api.get(sandbox.path('v1', 'secrets', 'shapecast-source-keys'))).data;
      await sandbox.install(minimal, values, ...WAIT);
      const made = await keys();
      expect(Object.keys(made ?? {}).sort()).toEqual(['api', 'database']);
      await sandbox.upgrade(minimal, { ...values, config: { SHAPECAST_LOG_LEVEL: 'debug' } }, ...WAIT);
      expect(await keys()).toEqual(made);
      await sandbox.helm('uninstall', 'shapecast', ...WAIT);
      expect(await keys()).toEqual(made);
    }));
});
