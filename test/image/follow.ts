import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../chart/paths.ts';
import { ignoring, parseDockerfile, type Dockerfile, type Step } from './dockerfile.ts';

const run = promisify(execFile);
const MAX_BYTES = 64 * 1024 * 1024;

/** What became of a Dockerfile without an engine: a folder for the file system of the image, and what it says of how to run it. */
export interface FollowedImage {
  readonly root: string;
  readonly workdir: string;
  readonly entryPoint: readonly string[];
  readonly healthCheck: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: number;
}

interface Folder {
  readonly root: string;
  workdir: string;
}

/**
 * Does what an engine would, stage by stage, in a clean folder: copies, and commands in the working folder of their stage. The base images
 * are those of this machine: Node.js as the project has it.
 */
export async function followDockerfile(say: (line: string) => void): Promise<FollowedImage> {
  const dockerfile = parseDockerfile(await readFile(`${ROOT}/deploy/docker/Dockerfile`, 'utf8'));
  const ignored = ignoring(await readFile(`${ROOT}/.dockerignore`, 'utf8'));
  const base = await mkdtemp(join(tmpdir(), 'shapecast-image-'));
  // Others have to be able to read it: what is in it runs as nobody in particular.
  await chmod(base, 0o755);
  const folders = new Map<string, Folder>();
  for (const { name, from, steps } of dockerfile.stages) {
    const root = join(base, name);
    const parent = folders.get(from);
    const folder: Folder = { root, workdir: parent?.workdir ?? '/' };
    folders.set(name, folder);
    if (parent === undefined) await mkdir(root);
    else await copy(parent.root, root);
    for (const step of steps) {
      const startedAt = performance.now();
      await follow(step, folder, { folders, ignored });
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      if (step.name === 'RUN' || step.name === 'COPY') say(`${name}: ${step.name} ${step.rest} (${seconds} s)`);
    }
  }
  return imageOf(dockerfile, folders);
}

async function follow(
  { name, flags, rest }: Step,
  folder: Folder,
  { folders, ignored }: { folders: ReadonlyMap<string, Folder>; ignored: (path: string) => boolean },
): Promise<void> {
  const here = join(folder.root, folder.workdir);
  if (name === 'WORKDIR') {
    folder.workdir = rest;
    await mkdir(join(folder.root, rest), { recursive: true });
  } else if (name === 'COPY') {
    const [source = '', target = ''] = rest.split(' ');
    const stage = flags.find((flag) => flag.startsWith('--from='))?.slice('--from='.length);
    if (stage === undefined) await copy(join(ROOT, source), join(here, target), ignored);
    else await copy(join(folders.get(stage)?.root ?? '', source), join(here, target));
  } else if (name === 'RUN') {
    await run('sh', ['-c', rest], { cwd: here, env: environment(), maxBuffer: MAX_BYTES });
  }
}

/** Ways to the package registry, which engines are told of as well. Nothing else of ours: a build must not know where it runs. */
const NETWORK =
  /^(https?_proxy|no_proxy|npm_config_(registry|cache|userconfig|cafile)|node_extra_ca_certs|ssl_cert_(file|dir))$/i;

function environment(): NodeJS.ProcessEnv {
  const { PATH = '', HOME = '' } = process.env;
  const network = Object.entries(process.env).filter(([name]) => NETWORK.test(name));
  return { ...Object.fromEntries(network), PATH: `${dirname(process.execPath)}:${PATH}`, HOME };
}

async function copy(from: string, to: string, ignored: (path: string) => boolean = () => false): Promise<void> {
  await cp(from, to, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => path === from || !ignored(relative(from, path)) || isAbove(relative(from, path), ignored),
  });
}

/** A folder of which something is let in again has to be walked. */
function isAbove(path: string, ignored: (path: string) => boolean): boolean {
  return !ignored(`${path}/package.json`) && !path.includes('/');
}

function imageOf({ stages }: Dockerfile, folders: ReadonlyMap<string, Folder>): FollowedImage {
  const last = stages.at(-1);
  const folder = folders.get(last?.name ?? '');
  if (last === undefined || folder === undefined) throw new Error('There is no stage.');
  const rest = (name: string) => last.steps.find((step) => step.name === name)?.rest ?? '';
  const env = [...rest('ENV').matchAll(/(\w+)=(\S+)/g)].map(([, key = '', value = '']) => [key, value]);
  return {
    root: folder.root,
    workdir: folder.workdir,
    entryPoint: JSON.parse(rest('ENTRYPOINT')) as string[],
    healthCheck: JSON.parse(rest('HEALTHCHECK').replace(/^CMD /, '')) as string[],
    env: Object.fromEntries(env) as Record<string, string>,
    user: Number(rest('USER').split(':')[0]),
  };
}
