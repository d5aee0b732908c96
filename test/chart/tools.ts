import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { withLock } from '@shapecast/testkit';
import { ROOT } from './paths.ts';

/** A module of ours that pins programs; Kubernetes has one of its own, because it needs replacements that no other tool may have. */
type ModuleFolder = 'tools' | 'tools/k6' | 'tools/kubernetes';

interface Program {
  readonly folder: ModuleFolder;
  readonly package: string;
}

/** Programs that are built with Go, and their packages. */
const PROGRAMS = {
  helm: { folder: 'tools', package: 'helm.sh/helm/v4/cmd/helm' },
  helm3: { folder: 'tools', package: 'helm.sh/helm/v3/cmd/helm' },
  kubeconform: { folder: 'tools', package: 'github.com/yannh/kubeconform/cmd/kubeconform' },
  k6: { folder: 'tools/k6', package: 'go.k6.io/k6/v2' },
  etcd: { folder: 'tools/kubernetes', package: 'go.etcd.io/etcd/server/v3' },
  'kube-apiserver': { folder: 'tools/kubernetes', package: 'k8s.io/kubernetes/cmd/kube-apiserver' },
  'kube-controller-manager': {
    folder: 'tools/kubernetes',
    package: 'k8s.io/kubernetes/cmd/kube-controller-manager',
  },
} as const satisfies Readonly<Record<string, Program>>;

export type ToolName = keyof typeof PROGRAMS;

const FOLDER = `${ROOT}/.shapecast/tools`;

/**
 * Where a program is, built with Go the first time, which takes minutes. Undefined where it cannot be had, or SHAPECAST_BUILD_TOOLS=false
 * says not to build it, with a line that says why; an error then, if CI_REQUIRE_TOOLS lists it. `compiled` hears of each package.
 */
export async function findTool(name: ToolName, compiled?: (count: number) => void): Promise<string | undefined> {
  const path = `${FOLDER}/${name}`;
  if (existsSync(path)) return path;
  try {
    // Whoever waited finds it built.
    await withLock(`${FOLDER}/build.lock`, async () => (existsSync(path) ? undefined : build(name, path, compiled)));
    return path;
  } catch (cause) {
    const reason = whyNot(cause);
    if ((process.env['CI_REQUIRE_TOOLS'] ?? '').split(',').includes(name)) {
      throw new Error(`${name} is required and cannot be built: ${reason}`, { cause });
    }
    process.stdout.write(`SKIP ${name}: ${reason}\n`);
    return undefined;
  }
}

/** Where a program is that has been built before. */
export function builtTool(name: ToolName): string | undefined {
  const path = `${FOLDER}/${name}`;
  return existsSync(path) ? path : undefined;
}

/** Kubernetes as tools/kubernetes/go.mod pins it, such as `1.37.1`. */
export function kubernetesVersion(): string {
  const text = readFileSync(`${ROOT}/tools/kubernetes/go.mod`, 'utf8');
  const [, version] = /^\s*k8s\.io\/kubernetes v(\d+\.\d+\.\d+)/m.exec(text) ?? [];
  if (version === undefined) throw new Error('tools/kubernetes/go.mod does not pin k8s.io/kubernetes.');
  return version;
}

/** Under another name first, so that a program that is there is whole. */
async function build(name: ToolName, path: string, compiled?: (count: number) => void): Promise<void> {
  if (process.env['SHAPECAST_BUILD_TOOLS'] === 'false')
    throw new Error('SHAPECAST_BUILD_TOOLS=false; npm run test:chart and npm run test:k8s build them');
  await mkdir(FOLDER, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const { folder, package: main } = PROGRAMS[name];
  const flags = ['-s', '-w', ...(folder === 'tools/kubernetes' ? kubernetesStamp() : [])].join(' ');
  await goBuild(['-v', '-trimpath', `-ldflags=${flags}`, '-o', unfinished, main], `${ROOT}/${folder}`, compiled);
  await rename(unfinished, path);
}

/** Without it Kubernetes calls itself 0.0.0, and a chart that asks for a version is refused. */
function kubernetesStamp(): readonly string[] {
  const version = kubernetesVersion();
  const [major, minor] = version.split('.');
  const values = { gitVersion: `v${version}`, gitMajor: major, gitMinor: minor };
  return Object.entries(values).flatMap(([key, value]) => ['-X', `k8s.io/component-base/version.${key}=${value}`]);
}

/** Rejects with the last line that Go wrote. */
async function goBuild(args: readonly string[], cwd: string, compiled?: (count: number) => void): Promise<void> {
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };
  const child = spawn('go', ['build', ...args], { cwd, env, stdio: ['ignore', 'ignore', 'pipe'] });
  let count = 0;
  let last = '';
  createInterface({ input: child.stderr }).on('line', (line) => {
    last = line;
    compiled?.((count += 1));
  });
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail);
    child.once('close', done);
  });
  if (code !== 0) throw new Error(last || `go build ended with ${code}`);
}

function whyNot(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message: string };
  if (code === 'ENOENT') return 'there is no Go on PATH to build it with; Go 1.26 or newer is needed';
  return message;
}
