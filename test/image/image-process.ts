import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import type { FollowedImage } from './follow.ts';

/** Nobody in particular, if we may become that; else whoever we are, as long as it is not root. */
function identity({ user }: FollowedImage): { readonly uid?: number; readonly gid?: number } {
  return process.getuid?.() === 0 ? { uid: user, gid: user } : {};
}

/** A process of the image: `args` follow its entry point. `NODE_OPTIONS` and the rest of our environment are not its business. */
export class ImageProcess {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #exited: Promise<number | string>;
  output = '';

  constructor(image: FollowedImage, command: readonly string[], env: Readonly<Record<string, string>>) {
    const [, ...rest] = command.map((word) => (word.startsWith(`${image.workdir}/`) ? join(image.root, word) : word));
    this.name = rest.slice(2).join(' ') || rest.join(' ');
    this.#child = spawn(process.execPath, rest, {
      cwd: join(image.root, image.workdir),
      env: { ...image.env, HOME: '/nonexistent', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...identity(image),
    });
    this.#exited = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (code, signal) => resolve(signal ?? code ?? -1));
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk: Buffer) => (this.output = (this.output + chunk.toString()).slice(-20_000)));
    }
  }

  /** Runs to its end. Throws with what it said unless it ended well. */
  async end(): Promise<string> {
    const code = await this.#exited;
    if (code !== 0) throw new Error(`${this.name} ended with ${code}:\n${this.output}`);
    return this.output;
  }

  /** As an engine stops it. Throws unless it ends well by itself. */
  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await this.end();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

export function runImage(image: FollowedImage, args: readonly string[], env: Record<string, string>): ImageProcess {
  return new ImageProcess(image, [...image.entryPoint, ...args], env);
}
