import { readdirSync, readFileSync } from 'node:fs';
import type { ProcessUsage } from '../report/result.ts';

export interface WatchedProcess {
  readonly name: string;
  readonly pid: number | undefined;
}

interface Usage {
  readonly parent: number;
  readonly ticks: number;
  readonly rssPages: number;
}

const INTERVAL_MS = 1_000;
const TICKS_PER_SECOND = 100;
const PAGES_PER_MIB = 256;

/** CPU and memory of processes with all that they started, once a second. Empty where there is no /proc. */
export class ProcessSamples {
  readonly #watched: () => readonly WatchedProcess[];
  readonly #points = new Map<string, { cpuPercent: number[]; rssMiB: number[] }>();
  #before = new Map<string, number>();
  #lastAt = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `watched` is asked each time: a process that died comes back with another id. */
  constructor(watched: () => readonly WatchedProcess[]) {
    this.#watched = watched;
  }

  start(): void {
    this.#sample();
    this.#points.clear();
    this.#timer = setInterval(() => this.#sample(), INTERVAL_MS);
  }

  stop(): readonly ProcessUsage[] {
    clearInterval(this.#timer);
    return [...this.#points].map(([name, points]) => ({ name, ...points }));
  }

  #sample(): void {
    const all = readAll();
    const now = performance.now();
    const seconds = Math.max(1e-3, (now - this.#lastAt) / 1_000);
    const ticksNow = new Map<string, number>();
    for (const { name, pid } of this.#watched()) {
      if (pid === undefined || !all.has(pid)) continue;
      const family = familyOf(pid, all);
      const ticks = family.reduce((sum, usage) => sum + usage.ticks, 0);
      const before = this.#before.get(name) ?? ticks;
      const points = this.#points.get(name) ?? { cpuPercent: [], rssMiB: [] };
      this.#points.set(name, points);
      points.cpuPercent.push(Math.max(0, Math.round((100 * (ticks - before)) / TICKS_PER_SECOND / seconds)));
      points.rssMiB.push(Math.round(family.reduce((sum, usage) => sum + usage.rssPages, 0) / PAGES_PER_MIB));
      ticksNow.set(name, ticks);
    }
    this.#before = ticksNow;
    this.#lastAt = now;
  }
}

function familyOf(pid: number, all: ReadonlyMap<number, Usage>): readonly Usage[] {
  const family: Usage[] = [];
  const found = new Set([pid]);
  for (const parent of found) {
    const usage = all.get(parent);
    if (usage !== undefined) family.push(usage);
    for (const [child, { parent: its }] of all) if (its === parent) found.add(child);
  }
  return family;
}

function readAll(): ReadonlyMap<number, Usage> {
  const all = new Map<number, Usage>();
  for (const name of listed()) {
    try {
      const text = readFileSync(`/proc/${name}/stat`, 'utf8');
      // "<pid> (<command>) <state> <parent> ...": the command may contain spaces (proc(5)).
      const fields = text
        .slice(text.lastIndexOf(')') + 2)
        .split(' ')
        .map(Number);
      const [parent = 0, user = 0, system = 0, rssPages = 0] = [fields[1], fields[11], fields[12], fields[21]];
      all.set(Number(name), { parent, ticks: user + system, rssPages });
    } catch {
      // It has ended since it was listed.
    }
  }
  return all;
}

function listed(): readonly string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}
