import { waitFor } from '@shapecast/testkit';
import type { TestProject } from 'vitest/node';
import { builtTool } from '../chart/tools.ts';
import { ApiClient, type ApiAccess } from './api-client.ts';
import { startControlPlane } from './control-plane.ts';
import { defineCustomKinds } from './custom-kinds.ts';
import { StandInKubelet } from './stand-in-kubelet.ts';

/** The API server of a run, or why there is none: then the tests are skipped. */
export type TestKubernetes =
  | { readonly admin: ApiAccess; readonly installer: ApiAccess; readonly helm: string; readonly helm3: string }
  | { readonly missing: string };

declare module 'vitest' {
  export interface ProvidedContext {
    shapecastKubernetes: TestKubernetes;
  }
}

/** Starts one API server for the whole run, from programs that `npm run test:k8s` has built. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const [etcd, apiServer, controllerManager] = [
    builtTool('etcd'),
    builtTool('kube-apiserver'),
    builtTool('kube-controller-manager'),
  ];
  const [helm, helm3] = [builtTool('helm'), builtTool('helm3')];
  if (!etcd || !apiServer || !controllerManager || !helm || !helm3) {
    const missing = 'the programs are not built; npm run test:k8s does it where there is Go 1.26 or newer';
    process.stdout.write(`SKIP test/k8s: ${missing}\n`);
    project.provide('shapecastKubernetes', { missing });
    return async () => {};
  }
  const plane = await startControlPlane({ etcd, apiServer, controllerManager });
  const api = new ApiClient(plane.admin);
  const kubelet = new StandInKubelet(api);
  const stop = async () => {
    await kubelet.stop();
    await plane.stop();
  };
  try {
    await defineCustomKinds(api);
    await untilRolesAreFilled(api);
    await kubelet.start();
  } catch (error) {
    await stop();
    throw error;
  }
  project.provide('shapecastKubernetes', { admin: plane.admin, installer: plane.installer, helm, helm3 });
  return stop;
}

/** The role `admin` is put together by a controller out of others. */
async function untilRolesAreFilled(api: ApiClient): Promise<void> {
  const rules = async () => {
    const role = await api.get<{ rules: readonly unknown[] | null }>(
      '/apis/rbac.authorization.k8s.io/v1/clusterroles/admin',
    );
    return role.rules?.length ?? 0;
  };
  await waitFor(rules, { describe: () => 'the role admin is empty', intervalMs: 200 });
}
