import type { TestServer } from './server-process.ts';

/** Servers that make one service together. */
export interface ServerGroup {
  /** Of all of them, as the services take it. */
  readonly url: string;
  readonly servers: readonly TestServer[];
  /** Ends all of them and deletes their data. A second call is a no-op. */
  stop(): Promise<void>;
}

/** All of them, or none: what did start is stopped where one fails. */
export async function startAll(starts: readonly (() => Promise<TestServer>)[]): Promise<TestServer[]> {
  const results = await Promise.allSettled(starts.map((start) => start()));
  const servers = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return servers;
  await stopAll(servers);
  throw failed.reason;
}

export async function stopAll(servers: readonly TestServer[]): Promise<void> {
  await Promise.all(servers.map((server) => server.stop()));
}

/** What `work` resolves with; the servers are stopped where it fails. */
export async function orStop<T>(servers: readonly TestServer[], work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await stopAll(servers);
    throw error;
  }
}
