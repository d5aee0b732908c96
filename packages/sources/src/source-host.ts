import { Backoff, type Clock, type Component, type Logger } from '@shapecast/service-kit';
import type { Source } from './source-entry.ts';

/** What a process runs for one source. */
export interface SourceComponent extends Component {
  /** Takes what can be changed while it runs; false: it has to be started anew. */
  update?(source: Source): boolean;
}

interface HostDeps<T extends SourceComponent> {
  /** Makes the component of a source, or nothing when there is nothing to run in its state. Throws when its settings are wrong. */
  readonly create: (source: Source) => T | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

interface Place<T> {
  wanted: Source | undefined;
  component: T | undefined;
  /** Why it does not run. */
  problem: string | undefined;
  /** Wakes whoever waits to try again. */
  changed: AbortController;
  working: Promise<void> | undefined;
}

/**
 * Runs one component for each source, and keeps them apart: a source whose component cannot be made or started is tried again with
 * growing pauses while the others go on. What happens to one source happens in order.
 */
export class SourceHost<T extends SourceComponent> {
  readonly #deps: HostDeps<T>;
  readonly #places = new Map<string, Place<T>>();
  readonly #stop = new AbortController();

  constructor(deps: HostDeps<T>) {
    this.#deps = deps;
  }

  /** What runs for a source. */
  get(id: string): T | undefined {
    return this.#places.get(id)?.component;
  }

  /** The sources that something runs for, or should, and why it does not. */
  *places(): Generator<{
    readonly id: string;
    readonly component: T | undefined;
    readonly problem: string | undefined;
  }> {
    for (const [id, { component, problem }] of this.#places) yield { id, component, problem };
  }

  /** What is to be from now on; undefined: nothing. The work goes on behind it. */
  set(id: string, source: Source | undefined): void {
    if (this.#stop.signal.aborted) return;
    const place = this.#place(id);
    place.wanted = source;
    place.changed.abort();
    place.changed = new AbortController();
    place.working ??= this.#work(id, place).finally(() => {
      place.working = undefined;
      if (place.wanted === undefined && place.component === undefined) this.#places.delete(id);
    });
  }

  /** Stops all of them at the same time. */
  async stop(): Promise<void> {
    this.#stop.abort(new Error('the process is stopping'));
    for (const place of this.#places.values()) {
      place.wanted = undefined;
      place.changed.abort();
    }
    await Promise.all(
      [...this.#places].map(async ([id, place]) => {
        await place.working;
        await this.#end(id, place);
      }),
    );
  }

  #place(id: string): Place<T> {
    const found = this.#places.get(id);
    if (found) return found;
    const place: Place<T> = {
      wanted: undefined,
      component: undefined,
      problem: undefined,
      changed: new AbortController(),
      working: undefined,
    };
    this.#places.set(id, place);
    return place;
  }

  /** Until what is there is what was wanted last. */
  async #work(id: string, place: Place<T>): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 500, maxMs: 60_000 });
    let done: Source | undefined | symbol = Symbol('nothing yet');
    while (place.wanted !== done) {
      const { wanted, changed } = place;
      try {
        await this.#become(id, place, wanted);
        place.problem = undefined;
        done = wanted;
      } catch (err) {
        if (this.#stop.signal.aborted) return;
        place.problem = (err as Error).message;
        log.error({ err, source: id }, 'source cannot be run, trying again');
        await backoff.wait(AbortSignal.any([changed.signal, this.#stop.signal])).catch(() => undefined);
      }
    }
  }

  async #become(id: string, place: Place<T>, source: Source | undefined): Promise<void> {
    if (source !== undefined && place.component?.update?.(source) === true) return;
    await this.#end(id, place);
    const component = source && this.#deps.create(source);
    if (component === undefined || this.#stop.signal.aborted) return;
    place.component = component;
    try {
      await component.start(this.#stop.signal);
    } catch (err) {
      await this.#end(id, place);
      throw err;
    }
  }

  async #end(id: string, place: Place<T>): Promise<void> {
    const { component } = place;
    place.component = undefined;
    try {
      await component?.stop();
    } catch (err) {
      this.#deps.log.error({ err, source: id }, 'what ran for a source did not stop cleanly');
    }
  }
}
