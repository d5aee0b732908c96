import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Cluster } from './start-cluster.ts';

/**
 * A JSON file that other programs wait for: it appears once the cluster is ready, always holds the current process ids,
 * and goes when the cluster ends. Each write replaces the file as a whole, so a reader never sees half of one.
 */
export class ReadyFile {
  readonly #path: string;
  #last: Promise<void> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes the folder and removes what an earlier run left, which would look as if we were ready. */
  async prepare(): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true });
    await this.remove();
  }

  async write(cluster: Cluster): Promise<void> {
    await this.#queue(async () => {
      const { url, edgeUrl, databaseUrl, natsUrl, redisUrl } = cluster;
      const processes = cluster.processes.map(({ name, role, pid, url }) => ({ name, role, pid, url }));
      const servers = cluster.servers.map(({ name, role, pid, url }) => ({ name, role, pid, url }));
      const { adminUrl, adminToken } = cluster;
      const many = adminUrl === undefined ? {} : { sources: cluster.sources, adminUrl, adminToken };
      const content = { url, edgeUrl, databaseUrl, natsUrl, redisUrl, processes, servers, ...many };
      const text = JSON.stringify(content, undefined, 2);
      const draft = `${this.#path}.${process.pid}.tmp`;
      await writeFile(draft, `${text}\n`);
      await rename(draft, this.#path);
    });
  }

  async remove(): Promise<void> {
    await this.#queue(() => rm(this.#path, { force: true }));
  }

  /** One at a time and in order: the last write is the newest state. */
  async #queue(task: () => Promise<void>): Promise<void> {
    this.#last = this.#last.catch(() => {}).then(task);
    await this.#last;
  }
}
