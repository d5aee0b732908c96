import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, freemem, loadavg, totalmem } from 'node:os';
import type { Clock } from '@shapecast/service-kit';
import type { Metrics } from '../metrics.ts';

interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** How busy the machine is, seen by this process. Processors are compared every `pollMs`; the rest is read when somebody asks. */
export function measureSystem(metrics: Metrics, clock: Clock, { pollMs }: { readonly pollMs: number }): () => void {
  const shares = new CpuShares(metrics);
  let cancel: () => void;
  const look = (): void => {
    shares.look();
    cancel = clock.after(pollMs, look);
  };
  look();
  const load = (place: number) => () => ((loadavg()[place] ?? 0) / availableParallelism()) * 100;
  metrics.gauge('system.cpu.core_count', {}, () => availableParallelism());
  metrics.gauge('system.load_percent.avg1', {}, load(0));
  metrics.gauge('system.load_percent.avg5', {}, load(1));
  metrics.gauge('system.load_percent.avg15', {}, load(2));
  metrics.gauge('system.memory_percent.free_memory', {}, () => percent(freeBytes() / totalmem()));
  metrics.gauge('system.memory_percent.available_memory', {}, () => percent(freemem() / totalmem()));
  metrics.gauge('system.memory_percent.used_memory', {}, () => percent(1 - freemem() / totalmem()));
  return () => cancel();
}

/** Share of each processor, and of all together, that was in use between the last two looks. */
class CpuShares {
  readonly #metrics: Metrics;
  #before: readonly CpuTimes[] = [];
  #cores: readonly number[] = [];
  #all: number | undefined;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    metrics.gauge('system.cpu.utilization.total', {}, () => this.#all);
  }

  look(): void {
    const now = cpus().map(({ times: { idle, ...busy } }) => {
      const sum = Object.values(busy).reduce((all, one) => all + one, 0);
      return { busy: sum, total: sum + idle };
    });
    // Processors come and go in machines that are resized.
    if (now.length === this.#before.length) this.#compare(now);
    this.#before = now;
  }

  #compare(now: readonly CpuTimes[]): void {
    const known = this.#cores.length;
    this.#cores = now.map((times, core) => share(this.#before[core], times));
    this.#all = share(add(this.#before), add(now));
    for (let core = known; core < this.#cores.length; core += 1) {
      this.#metrics.gauge('system.cpu.utilization.core', { core: String(core) }, () => this.#cores[core]);
    }
  }
}

function add(all: readonly CpuTimes[]): CpuTimes {
  return all.reduce((sum, one) => ({ busy: sum.busy + one.busy, total: sum.total + one.total }), { busy: 0, total: 0 });
}

function share(before: CpuTimes | undefined, after: CpuTimes): number {
  const total = after.total - (before?.total ?? 0);
  return total <= 0 ? 0 : percent((after.busy - (before?.busy ?? 0)) / total);
}

function percent(part: number): number {
  return Math.min(100, Math.max(0, part * 100));
}

/** Memory that nobody uses, not even as a cache; Node tells what could be had instead. */
function freeBytes(): number {
  try {
    const kibibytes = /^MemFree:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'latin1'))?.[1];
    if (kibibytes !== undefined) return Number(kibibytes) * 1_024;
  } catch {
    // Only Linux has it.
  }
  return freemem();
}
