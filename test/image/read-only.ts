import { chmod, lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Every file of a folder with its size and time of change, and their bytes in all. */
export interface Listing {
  readonly files: ReadonlyMap<string, string>;
  readonly bytes: number;
}

export async function list(folder: string): Promise<Listing> {
  const files = new Map<string, string>();
  let bytes = 0;
  for (const path of (await readdir(folder, { recursive: true })).sort()) {
    const found = await lstat(join(folder, path));
    files.set(path, `${found.size} ${found.mtimeMs}`);
    if (found.isFile()) bytes += found.size;
  }
  return { files, bytes };
}

/** Nobody may write there any more. */
export async function makeReadOnly(folder: string): Promise<void> {
  for (const path of ['.', ...(await readdir(folder, { recursive: true }))]) {
    const found = await lstat(join(folder, path));
    if (!found.isSymbolicLink()) await chmod(join(folder, path), found.isDirectory() ? 0o555 : 0o444);
  }
}
