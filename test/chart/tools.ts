import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import { promisify } from 'node:util';
import { withLock } from '@shapecast/testkit';
import { ROOT } from './paths.ts';

const run = promisify(execFile);

/** Programs that tools/go.mod pins, and their packages. */
const PACKAGES = {
  helm: 'helm.sh/helm/v4/cmd/helm',
  helm3: 'helm.sh/helm/v3/cmd/helm',
  kubeconform: 'github.com/yannh/kubeconform/cmd/kubeconform',
} as const;

export type ToolName = keyof typeof PACKAGES;

const FOLDER = `${ROOT}/.shapecast/tools`;

/**
 * Where a program is, built with Go the first time, which takes minutes. Undefined where it cannot be had, or SHAPECAST_BUILD_TOOLS=false
 * says not to build it, with a line that says why; an error then, if CI_REQUIRE_TOOLS lists it.
 */
export async function findTool(name: ToolName): Promise<string | undefined> {
  const path = `${FOLDER}/${name}`;
  if (existsSync(path)) return path;
  try {
    // Whoever waited finds it built.
    await withLock(`${FOLDER}/build.lock`, async () => (existsSync(path) ? undefined : build(name, path)));
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

/** Under another name first, so that a program that is there is whole. */
async function build(name: ToolName, path: string): Promise<void> {
  if (process.env['SHAPECAST_BUILD_TOOLS'] === 'false')
    throw new Error('SHAPECAST_BUILD_TOOLS=false; npm run test:chart builds it');
  await mkdir(FOLDER, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const env = { ...process.env, GOTOOLCHAIN: 'local', GOFLAGS: '-mod=readonly' };
  await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', unfinished, PACKAGES[name]], {
    cwd: `${ROOT}/tools`,
    env,
  });
  await rename(unfinished, path);
}

function whyNot(cause: unknown): string {
  const { code, stderr, message } = cause as { code?: unknown; stderr?: string; message: string };
  if (code === 'ENOENT') return 'there is no Go on PATH to build it with; Go 1.26 or newer is needed';
  return (stderr ?? message).trim().split('\n').at(-1) ?? message;
}
