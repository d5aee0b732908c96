import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startServer, type TestServer } from '@shapecast/testkit';
import { stringify } from 'yaml';
import { ApiClient, type ApiAccess } from './api-client.ts';

export interface ControlPlanePrograms {
  readonly etcd: string;
  readonly apiServer: string;
  readonly controllerManager: string;
}

/** Who may do what, by the name of the token. */
export interface ControlPlane {
  /** May do everything. */
  readonly admin: ApiAccess;
  /** Installs the chart: may do what roles that tests give to it allow, and nothing by itself. */
  readonly installer: ApiAccess;
  readonly folder: string;
  stop(): Promise<void>;
}

/** Name that roles are bound to. */
export const INSTALLER = 'installer';

/** Those that the objects of the chart need; nodes, volumes and clouds there are none. */
const CONTROLLERS = [
  'deployment-controller',
  'replicaset-controller',
  'job-controller',
  'disruption-controller',
  'horizontal-pod-autoscaler-controller',
  'endpointslice-controller',
  'serviceaccount-controller',
  'root-ca-certificate-publisher-controller',
  'namespace-controller',
  'garbage-collector-controller',
  // Fills the roles that everybody expects, such as `admin`.
  'clusterrole-aggregation-controller',
];

/**
 * A Kubernetes API server with its controllers over an etcd of its own, on loopback, with data in a folder that goes with it. There is no
 * scheduler and no kubelet: StandInKubelet plays them, because no image is run here.
 */
export async function startControlPlane(programs: ControlPlanePrograms): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), 'shapecast-k8s-'));
  const running: TestServer[] = [];
  const stop = async () => {
    // Those that speak to others first.
    for (const server of running.reverse().splice(0)) await server.stop();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    const tokens = writeTokens(folder);
    const keys = writeServiceAccountKeys(folder);
    const etcd = await startEtcd(programs.etcd);
    running.push(etcd);
    const api = await startApiServer(programs.apiServer, { etcdUrl: etcd.url, folder, tokens, keys });
    running.push(api);
    const ca = readFileSync(caFile(folder), 'utf8');
    const admin = { url: api.url, ca, token: tokens.admin };
    writeKubeconfig(`${folder}/admin.yaml`, admin);
    running.push(await startControllers(programs.controllerManager, folder, keys));
    return { admin, installer: { ...admin, token: tokens.installer }, folder, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A kubeconfig for programs, beside which the certificate stands. */
export function writeKubeconfig(file: string, { url, ca, token }: ApiAccess): void {
  const cluster = { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  writeFileSync(
    file,
    stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster }],
      users: [{ name: 'test', user: { token } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
      'current-context': 'test',
    }),
    { mode: 0o600 },
  );
}

interface Tokens {
  readonly file: string;
  readonly admin: string;
  readonly installer: string;
}

function writeTokens(folder: string): Tokens {
  const [admin, installer] = [randomBytes(16).toString('hex'), randomBytes(16).toString('hex')];
  const file = `${folder}/tokens.csv`;
  const lines = [`${admin},admin,admin,"system:masters"`, `${installer},${INSTALLER},${INSTALLER}`];
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  return { file, admin, installer };
}

/** Tokens of service accounts are signed with it. */
function writeServiceAccountKeys(folder: string): string {
  const file = `${folder}/service-accounts.pem`;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(file, privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  return file;
}

/** The API server makes a certificate for itself. */
function caFile(folder: string): string {
  return `${folder}/certificates/apiserver.crt`;
}

function startEtcd(command: string): Promise<TestServer> {
  const url = (port: number) => `http://127.0.0.1:${port}`;
  const peers = 'http://127.0.0.1:0';
  return startServer({
    name: 'etcd',
    command,
    args: (port, dataDir) => [
      ...['--data-dir', `${dataDir}/store`, '--unsafe-no-fsync', '--log-level', 'warn'],
      ...['--listen-client-urls', url(port), '--advertise-client-urls', url(port)],
      ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers, '--initial-cluster', `default=${peers}`],
    ],
    url,
    probe: async (port) => (await fetch(`${url(port)}/health`)).ok,
  });
}

interface ApiServerOptions {
  readonly etcdUrl: string;
  readonly folder: string;
  readonly tokens: Tokens;
  readonly keys: string;
}

async function startApiServer(command: string, options: ApiServerOptions): Promise<TestServer> {
  const { etcdUrl, folder, tokens, keys } = options;
  await mkdir(`${folder}/certificates`, { recursive: true });
  const url = (port: number) => `https://127.0.0.1:${port}`;
  return startServer({
    name: 'kube-apiserver',
    command,
    args: (port) => [
      ...[`--etcd-servers=${etcdUrl}`, `--secure-port=${port}`, '--bind-address=127.0.0.1'],
      ...[`--cert-dir=${folder}/certificates`, '--service-cluster-ip-range=10.96.0.0/16'],
      // Nobody reaches the API by its Service here, and an address of loopback may not stand in it.
      ...['--advertise-address=127.0.0.1', '--endpoint-reconciler-type=none'],
      ...[`--token-auth-file=${tokens.file}`, '--authorization-mode=RBAC', '--anonymous-auth=false'],
      ...['--service-account-issuer=https://kubernetes.default.svc'],
      ...[`--service-account-key-file=${keys}`, `--service-account-signing-key-file=${keys}`],
    ],
    url,
    probe: async (port) => {
      if (!existsSync(caFile(folder))) return false;
      const client = new ApiClient({ url: url(port), ca: readFileSync(caFile(folder), 'utf8'), token: tokens.admin });
      return (await client.get<string>('/readyz')) === 'ok';
    },
  });
}

function startControllers(command: string, folder: string, keys: string): Promise<TestServer> {
  const url = (port: number) => `https://127.0.0.1:${port}`;
  return startServer({
    name: 'kube-controller-manager',
    command,
    args: (port) => [
      ...[`--kubeconfig=${folder}/admin.yaml`, `--controllers=${CONTROLLERS.join(',')}`, '--leader-elect=false'],
      ...[`--secure-port=${port}`, '--bind-address=127.0.0.1', `--cert-dir=${folder}/controller-certificates`],
      ...[`--service-account-private-key-file=${keys}`, `--root-ca-file=${caFile(folder)}`],
      // Autoscalers act within a second instead of fifteen.
      ...['--horizontal-pod-autoscaler-sync-period=1s', '--kube-api-qps=100', '--kube-api-burst=200'],
    ],
    url,
    // Its certificate is its own; who answers on the port of the process that was just started is clear enough.
    probe: (port) =>
      new Promise((resolve, reject) => {
        get(`${url(port)}/healthz`, { rejectUnauthorized: false }, (answer) => {
          answer.resume();
          resolve(answer.statusCode === 200);
        }).on('error', reject);
      }),
  });
}
