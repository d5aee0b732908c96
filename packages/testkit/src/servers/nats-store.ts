import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestServer } from './server-process.ts';

/** What NATS servers had stored at one moment. */
export interface NatsStoreCopy {
  /**
   * Kills the servers and starts them with what they had then: as after a power failure in which whatever was written since, and
   * acknowledged, did not get to the disk (spec O F113), or as after the restore of a backup (F112).
   */
  restore(): Promise<void>;
  /** Deletes the copy. */
  drop(): Promise<void>;
}

/** Copies the stores of all servers of one NATS, which are killed for it and started again. Connections break. */
export async function copyNatsStore(servers: readonly TestServer[]): Promise<NatsStoreCopy> {
  const dir = await mkdtemp(join(tmpdir(), 'shapecast-nats-copy-'));
  const copyOf = (i: number): string => join(dir, String(i));
  const stopped = async (work: (store: string, i: number) => Promise<void>): Promise<void> => {
    await Promise.all(servers.map((server) => server.kill()));
    await Promise.all(servers.map(({ dataDir }, i) => work(join(dataDir, 'jetstream'), i)));
    await Promise.all(servers.map((server) => server.start()));
  };
  await stopped((store, i) => cp(store, copyOf(i), { recursive: true }));
  return {
    restore: () =>
      stopped(async (store, i) => {
        await rm(store, { recursive: true, force: true });
        await cp(copyOf(i), store, { recursive: true });
      }),
    drop: () => rm(dir, { recursive: true, force: true }),
  };
}
