import { waitFor } from '@shapecast/testkit';
import { describe, expect, inject, test } from 'vitest';
import { ciFiles } from '../chart/render.ts';
import { contentsOf } from './compare.ts';
import { Sandbox } from './sandbox.ts';

const files = await ciFiles();
const kubernetes = inject('shapecastKubernetes');
const minimal = [files.get('minimal') as string];
const WAIT = ['--wait', '--timeout', '4m'];

async function withSandbox(name: string, task: (sandbox: Sandbox) => Promise<void>): Promise<void> {
  const sandbox = await Sandbox.open(name);
  try {
    await task(sandbox);
  } finally {
    await sandbox.close();
  }
}

// Without the programs there is no API server; the global setup has said so.
describe.skipIf('missing' in kubernetes)('what is not right', () => {
  test.each([
    ['by the schema', { api: { replicaCount: 'two' } }, 'replicaCount'],
    ['by the chart', { externalNats: { url: '' } }, 'externalNats.url: is required; set it, or'],
    // The chart takes objects of Kubernetes as they are; the server does not.
    [
      'by the server',
      { router: { networkPolicy: { extraEgress: [{ ports: [{ port: 70_000 }] }] } }, networkPolicy: { enabled: true } },
      'must be between 1 and 65535',
    ],
    [
      'by the server, in an autoscaler',
      { api: { autoscaling: { enabled: true, behavior: { scaleDown: { stabilizationWindowSeconds: 9999 } } } } },
      'must be less than or equal to 3600',
    ],
    ['by the server, for a field it does not know', { api: { hostAliases: [{ address: '10.0.0.1' }] } }, 'hostAliases'],
  ] as const)('is refused %s', async (why, values, sentence) => {
    await withSandbox(`refused-${why.replace(/\W+/g, '-').slice(0, 30)}`, async (sandbox) => {
      await sandbox.bring(minimal);
      expect(await sandbox.refusal(sandbox.install(minimal, values))).toContain(sentence);
      const deployments = await sandbox.api.list(sandbox.path('apps/v1', 'deployments'));
      if (!why.includes('server')) expect(deployments).toEqual([]);
    });
  });

  test('a Secret without the key that is named is refused with the keys that it has', () =>
    withSandbox('keyless', async (sandbox) => {
      const secrets = sandbox.path('v1', 'secrets');
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'app-database' } };
      await sandbox.api.post(secrets, { ...secret, stringData: { direct: 'postgresql://u:p@db/app', pooled: 'x' } });
      const said = await sandbox.refusal(sandbox.install(minimal));
      expect(said).toContain(
        'source.existingSecretKeys.databaseUrl: the Secret app-database has no key database-url, only direct, pooled; add it',
      );
      const named = { source: { existingSecretKeys: { databaseUrl: 'direct' } } };
      const { stdout } = await sandbox.install(minimal, named);
      // Not there at all is no mistake: something else may be about to make it.
      expect(stdout).toContain('Pods wait for Secrets that are not there yet: shapecast-secrets.');
      await waitFor(async () => (await waitingPods(sandbox, 'api')).length > 0);
      expect(await waitingPods(sandbox, 'api')).toContain('secret "shapecast-secrets" not found');
    }));

  test('a Secret without the key is taken when nobody is to look', () =>
    withSandbox('unchecked', async (sandbox) => {
      const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'app-database' } };
      await sandbox.api.post(sandbox.path('v1', 'secrets'), { ...secret, stringData: { direct: 'x' } });
      await sandbox.install(minimal, { checkSecrets: false });
      await waitFor(async () => (await waitingPods(sandbox, 'router')).length > 0);
      expect(await waitingPods(sandbox, 'router')).toContain("couldn't find key database-url in Secret app-database");
    }));
});

// Without the programs there is no API server; the global setup has said so.
describe.skipIf('missing' in kubernetes)('the job that removes a source', () => {
  test.each(['byo-everything', 'single-tenant'])('%s: runs after all else is gone, with what is left', async (name) => {
    const file = [files.get(name) as string];
    await withSandbox(`removal-${name}`, async (sandbox) => {
      await sandbox.bring(file);
      const before = await contentsOf(sandbox.api, sandbox.namespace);
      await sandbox.install(file, {}, ...WAIT);
      const jobs = () => sandbox.api.list(sandbox.path('batch/v1', 'jobs'));
      expect(await jobs()).toEqual([]);
      let ended = false;
      const uninstalled = sandbox.helm('uninstall', 'shapecast', ...WAIT).finally(() => (ended = true));
      const seen = new Set<string>();
      while (!ended) {
        for (const { metadata } of await jobs()) {
          seen.add(metadata.name);
          // A slot cannot be dropped while a replicator reads from it.
          expect(await sandbox.api.list(sandbox.path('apps/v1', 'deployments'))).toEqual([]);
        }
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      await uninstalled;
      expect([...seen]).toEqual([name === 'single-tenant' ? 'shapecast-cleanup' : 'sync-production-cleanup']);
      await waitFor(async () => String(await contentsOf(sandbox.api, sandbox.namespace)) === String(before));
    });
  });
});

/** Why pods of a component wait. */
async function waitingPods(sandbox: Sandbox, component: string): Promise<readonly string[]> {
  const pods = await sandbox.api.list<{
    status: { containerStatuses?: readonly { state: { waiting?: { message: string } } }[] };
  }>(`${sandbox.path('v1', 'pods')}?labelSelector=app.kubernetes.io/component=${component}`);
  return pods.flatMap(({ status }) =>
    (status.containerStatuses ?? []).flatMap(({ state }) => state.waiting?.message ?? []),
  );
}
