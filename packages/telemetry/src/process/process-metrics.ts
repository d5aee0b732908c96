import { performance } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import { wallTime, type Clock } from '@shapecast/service-kit';
import type { Counter, Metrics } from '../metrics.ts';
import { VERSION } from '../version.ts';

const MICROSECONDS = 1e6;

/** What a process has once, whatever its threads do. */
export class ProcessMetrics {
  readonly #user: Counter;
  readonly #system: Counter;

  constructor(metrics: Metrics, clock: Clock) {
    this.#user = metrics.counter('process.cpu.time', { mode: 'user' });
    this.#system = metrics.counter('process.cpu.time', { mode: 'system' });
    metrics.gauge('shapecast.build.info', { name: 'shapecast', version: VERSION }, () => 1);
    metrics.gauge('shapecast.build.info', { name: 'node', version: process.versions.node }, () => 1);
    metrics.gauge('process.memory.total', {}, () => process.memoryUsage.rss());
    metrics.gauge('process.memory.heap_limit', {}, () => getHeapStatistics().heap_size_limit);
    metrics.gauge('process.start_timestamp', {}, () => performance.timeOrigin / 1_000);
    metrics.gauge('process.clock', {}, () => wallTime(clock) / 1_000);
    metrics.gauge('vm.uptime.total', {}, () => process.uptime());
  }

  /** Before somebody looks. */
  refresh(): void {
    const { user, system } = process.cpuUsage();
    this.#user.value = user / MICROSECONDS;
    this.#system.value = system / MICROSECONDS;
  }
}
