import { waitFor } from '@shapecast/testkit';
import { describe, expect, inject, test } from 'vitest';
import { ciFiles } from '../chart/render.ts';
import type { KubeObject } from './api-client.ts';
import { contentsOf, lost, manifestObjects } from './compare.ts';
import { Sandbox } from './sandbox.ts';

const files = await ciFiles();
const kubernetes = inject('shapecastKubernetes');

/** Objects that a Deployment may refer to and that belong to the cluster. */
const CLUSTER_OBJECTS = [['/apis/scheduling.k8s.io/v1/priorityclasses', 'business-critical', { value: 1000 }]] as const;

// Without the programs there is no API server; the global setup has said so.
describe.skipIf('missing' in kubernetes)('each file of ci/ with a real API server', () => {
  test.each([...files])(
    '%s: is installed, tested, left as it is by an upgrade, and goes without a trace',
    async (name, file) => {
      const sandbox = await Sandbox.open(name);
      try {
        await clusterObjects(sandbox);
        await sandbox.bring([file]);
        const before = await contentsOf(sandbox.api, sandbox.namespace);

        // Helm 4 applies on the server, which refuses fields it does not know. --wait: every pod was admitted and became ready.
        await sandbox.install([file], {}, '--wait', '--timeout', '4m');
        const installed = manifestObjects((await sandbox.helm('get', 'manifest', 'shapecast')).stdout);
        expect(installed.length).toBeGreaterThan(10);
        for (const object of installed) {
          const kept = await sandbox.api.get(await pathOf(sandbox, object));
          expect(lost(object, kept), `${object.kind} ${object.metadata.name}`).toEqual([]);
        }
        await expectNoRefusedPods(sandbox);

        const { stdout } = await sandbox.helm('test', 'shapecast', '--timeout', '4m');
        expect(stdout).toContain('Succeeded');

        const deployments = await generations(sandbox);
        expect(deployments.size).toBeGreaterThan(2);
        await sandbox.upgrade([file], {}, '--wait', '--timeout', '4m');
        expect(await generations(sandbox)).toEqual(deployments);

        await sandbox.helm('uninstall', 'shapecast', '--wait', '--timeout', '4m');
        await waitFor(async () => String(await contentsOf(sandbox.api, sandbox.namespace)) === String(before), {
          describe: async () => ({ before, now: await contentsOf(sandbox.api, sandbox.namespace) }),
          intervalMs: 500,
        });
      } finally {
        await sandbox.close();
      }
    },
  );

  test('the restricted level is really enforced here', async () => {
    const sandbox = await Sandbox.open('loose');
    const file = files.get('minimal') as string;
    try {
      await sandbox.bring([file]);
      await sandbox.install([file], { api: { containerSecurityContext: { allowPrivilegeEscalation: true } } });
      const refused = await waitFor(() => refusedPods(sandbox).then(([first]) => first));
      expect(refused).toContain('violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false');
    } finally {
      await sandbox.close();
    }
  });
});

async function clusterObjects(sandbox: Sandbox): Promise<void> {
  for (const [path, name, content] of CLUSTER_OBJECTS) {
    if ((await sandbox.api.find(`${path}/${name}`)) !== undefined) continue;
    const body = { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name }, ...content };
    // Another test may have been faster.
    await sandbox.api.post(path, body).catch((error: unknown) => expect(String(error)).toContain('already exists'));
  }
}

async function pathOf(sandbox: Sandbox, { apiVersion, kind, metadata }: KubeObject): Promise<string> {
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const { resources } = await sandbox.api.get<{ resources: readonly { name: string; kind: string }[] }>(root);
  const plural = resources.find((resource) => resource.kind === kind && !resource.name.includes('/'))?.name;
  if (plural === undefined) throw new Error(`The server does not know ${kind} of ${apiVersion}.`);
  return sandbox.path(apiVersion, plural, metadata.name);
}

/** Each Deployment's count of changes of its specification. */
async function generations(sandbox: Sandbox): Promise<ReadonlyMap<string, number | undefined>> {
  const all = await sandbox.api.list(sandbox.path('apps/v1', 'deployments'));
  return new Map(all.map(({ metadata }) => [metadata.name, metadata.generation]));
}

async function refusedPods(sandbox: Sandbox): Promise<readonly string[]> {
  const events = await sandbox.api.list<{ reason: string; message: string }>(sandbox.path('v1', 'events'));
  return events.filter(({ reason }) => reason === 'FailedCreate').map(({ message }) => message);
}

/** A pod that admission refuses is an event of its ReplicaSet, and --wait ends in vain; the reason is more use than that. */
async function expectNoRefusedPods(sandbox: Sandbox): Promise<void> {
  expect((await refusedPods(sandbox)).filter((message) => message.includes('PodSecurity'))).toEqual([]);
}
