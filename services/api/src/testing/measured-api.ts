import { systemClock, type Clock } from '@shapecast/service-kit';
import { openMemoryShapeStore, type ShapeStore } from '@shapecast/shape-store';
import type { ApiOptions } from '../api.ts';
import { ApiFixture, until } from './api-fixture.ts';
import { counted } from './counted-store.ts';
import { Measured } from './measured.ts';
import type { Reply, SendInit } from './send.ts';

/** An API whose telemetry a test looks into. Nothing is polled for within the time of a test unless it says so. */
export class MeasuredApi {
  readonly telemetry: Measured;
  readonly api: ApiFixture;
  readonly #calls: Readonly<Record<string, number>>;

  constructor(
    options: Partial<ApiOptions> = {},
    deps: { readonly store?: ShapeStore; readonly clock?: Clock; readonly tracing?: boolean } = {},
  ) {
    const { clock = systemClock, tracing = false } = deps;
    const { store, calls } = counted(deps.store ?? openMemoryShapeStore(systemClock));
    this.#calls = calls;
    this.telemetry = new Measured({ tracing });
    const patient = { longPollTimeoutMs: 60_000, notifyPollMs: 60_000, sseTimeoutMs: 60_000 };
    this.api = new ApiFixture({ ...patient, ...options }, { store, clock, telemetry: this.telemetry });
  }

  get held(): number {
    return this.api.api.report().held as number;
  }

  /** Live requests that have seen the end of the log and wait there. */
  async park(handle: string, query = '', init: SendInit = {}, count = 1): Promise<readonly Promise<Reply>[]> {
    const looks = this.looks;
    const path = `/v1/shape?table=items&offset=0_inf&handle=${handle}&live=true${query}`;
    const polls = Array.from({ length: count }, () => this.api.send(path, init));
    await until(() => this.held === count && this.looks > looks);
    // What was looked for is there with the memory store, and heard of by the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    return polls;
  }

  /** How often heads were read to see whether there are news. */
  get looks(): number {
    return this.#calls.readHeads ?? 0;
  }
}
