import { randomUUID } from 'node:crypto';
import { Backoff, wallTime, type Clock, type Logger } from '@shapecast/service-kit';
import { BUCKETS } from './records.ts';
import type { Registries } from './registry.ts';

/** Registry bucket with one entry, made once and never changed: which deployment this is (scenario A4). */
interface InstallationRecord {
  readonly id: string;
  /** ISO time. */
  readonly createdAt: string;
}

const KEY = 'installation';

/**
 * The id of the deployment whose registries these are: the first process to ask makes it, every later one finds it, for as
 * long as the registries exist. Tells deployments apart, also those that share a source. Tries until `signal` aborts.
 */
export async function readInstallationId(
  deps: { readonly registries: Registries; readonly clock: Clock; readonly log: Logger },
  signal: AbortSignal,
): Promise<string> {
  const { clock, log } = deps;
  const backoff = new Backoff(clock, { minMs: 100, maxMs: 10_000 });
  for (;;) {
    try {
      const id = await confirmInstallationId(deps, randomUUID());
      if (id !== undefined) return id;
    } catch (err) {
      signal.throwIfAborted();
      log.debug({ err }, 'installation id cannot be read, trying again');
    }
    await backoff.wait(signal);
  }
}

/**
 * The id as the registries have it now. Where they have lost everything, what was `known` before is put back, so that a deployment
 * keeps its id for as long as one of its processes lives. Undefined when another process was doing the same. Throws STREAM_UNAVAILABLE.
 */
export async function confirmInstallationId(
  { registries, clock }: { readonly registries: Registries; readonly clock: Clock },
  known: string,
): Promise<string | undefined> {
  const registry = await registries.open<InstallationRecord>(BUCKETS.installation.name);
  const stored = await registry.get(KEY);
  if (stored !== undefined) return stored.value.id;
  const record = { id: known, createdAt: new Date(wallTime(clock)).toISOString() };
  return (await registry.create(KEY, record)) === undefined ? undefined : known;
}

/** The deployment of this process, known once its registries could be read. */
export class Installation {
  #id: string | undefined;

  get id(): string | undefined {
    return this.#id;
  }

  /** Reads it in the background; nothing waits for it. */
  join(deps: Parameters<typeof readInstallationId>[0], signal: AbortSignal): void {
    void readInstallationId(deps, signal).then(
      (id) => {
        this.#id = id;
        deps.log.info({ installation: id }, 'part of an installation');
      },
      () => undefined,
    );
  }
}
