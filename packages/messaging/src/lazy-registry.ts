import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { Registry, RegistryEntry } from './registry.ts';

/** A registry that is opened when it is first needed, and anew after that has failed. */
export class LazyRegistry<T> {
  readonly #open: () => Promise<Registry<T>>;
  #opening: Promise<Registry<T>> | undefined;

  constructor(open: () => Promise<Registry<T>>) {
    this.#open = open;
  }

  /** Throws as opening does. */
  get(): Promise<Registry<T>> {
    const opening = (this.#opening ??= this.#open());
    opening.catch(() => {
      if (this.#opening === opening) this.#opening = undefined;
    });
    return opening;
  }
}

interface FollowDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** How a registry is followed. */
export interface Following<T> {
  readonly prefix: string;
  /** As of `Registry.watch`. */
  readonly onChange: (key: string, entry: RegistryEntry<T> | undefined) => void;
  /** What there was at the beginning has been told. Never called when `signal` aborts before. */
  readonly onBegun: () => void;
  /** Logged while it cannot be read. */
  readonly complaint: string;
}

/** Follows a registry until `signal` aborts, however often it takes to begin. Never rejects. */
export async function followRegistry<T>(
  { clock, log }: FollowDeps,
  registry: LazyRegistry<T>,
  { prefix, onChange, onBegun, complaint }: Following<T>,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 });
  let stop: (() => void) | undefined;
  while (!signal.aborted && stop === undefined) {
    try {
      stop = await (await registry.get()).watch(prefix, onChange);
    } catch (err) {
      if (signal.aborted) break;
      log.warn({ err }, complaint);
      await backoff.wait(signal).catch(() => undefined);
    }
  }
  if (stop === undefined) return;
  onBegun();
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  stop();
}
