import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { always, type FaultKind } from './fault.ts';

const HOUR_MS = 3_600_000;

/** The wall clock of one process is set, and set back. */
export const CLOCK_FAULTS: readonly FaultKind[] = [1, -1].map((hours) => ({
  name: `clock of a process ${hours > 0 ? 'ahead' : 'behind'} by an hour`,
  part: 'clock',
  loss: 'nothing',
  possible: always,
  async begin({ cluster, chance, clocks }) {
    const { name } = chance.pick(cluster.processes);
    const set = (ms: number): Promise<void> => writeFile(join(clocks, name), String(ms));
    await set(hours * HOUR_MS);
    return { target: name, forMs: 3_000 + chance.int(5_000), heal: () => set(0) };
  },
}));
