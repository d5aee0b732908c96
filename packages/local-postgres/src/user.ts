import { readFile, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Whom a server runs as. */
export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** Postgres refuses to run as root. Undefined when we are not root and simply stay who we are. */
export async function unprivilegedUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const accounts = (await readFile('/etc/passwd', 'utf8').catch(() => '')).split('\n').map((line) => line.split(':'));
  const account = ['postgres', 'nobody']
    .map((name) => accounts.find((fields) => fields[0] === name))
    .find((fields) => fields !== undefined);
  return { uid: Number(account?.[2] ?? 65_534), gid: Number(account?.[3] ?? 65_534) };
}

/** The first folder on the way to `path` (itself included) that `user` may not enter; undefined when there is none. */
export async function closedFolder(path: string, user: User): Promise<string | undefined> {
  const above = dirname(path);
  if (above !== path) {
    const closed = await closedFolder(above, user);
    if (closed !== undefined) return closed;
  }
  const found = await stat(path).catch(() => undefined);
  if (found === undefined || !found.isDirectory()) return undefined;
  const shift = found.uid === user.uid ? 6 : found.gid === user.gid ? 3 : 0;
  return ((found.mode >> shift) & 1) === 1 ? undefined : path;
}
