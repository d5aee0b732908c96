import type { SourceRemains, SourceRemoval } from '@shapecast/change-source';
import { ShapecastError } from '@shapecast/errors';
import { BUCKETS, type LeaderRecord, type Messaging, type Registry } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { ShapeStore } from '@shapecast/shape-store';
import { StoredSource } from './stored-source.ts';

export interface RemoveSourceDeps {
  readonly database: Pick<SourceRemoval, 'look' | 'dropPublication' | 'dropSlot'>;
  readonly messaging: Messaging;
  /** Without it what the source has in the store stays. */
  readonly store?: Pick<ShapeStore, 'sweepOrphans' | 'forgetHome'> | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface RemoveSourceOptions {
  readonly sourceId: string;
  /** The publication is somebody else's: it stays. */
  readonly manualPublishing: boolean;
}

/** All that is left of a source outside of Redis. */
export interface Remains extends SourceRemains {
  /** Incarnations whose tx stream exists. */
  readonly streams: readonly number[];
  /** Keys in the registries, as `bucket/key`. */
  readonly keys: readonly string[];
  /** Who leads the source at the moment. */
  readonly leader: string | undefined;
}

/** Looks, and changes nothing. */
export async function findRemains(
  deps: RemoveSourceDeps,
  { sourceId }: RemoveSourceOptions,
  signal: AbortSignal,
): Promise<Remains> {
  const { messaging } = deps;
  const inDatabase = await deps.database.look(signal);
  const { highestIncarnation } = await StoredSource.open(messaging, sourceId);
  const streams: number[] = [];
  for (let incarnation = 1; incarnation <= highestIncarnation; incarnation += 1) {
    if (await messaging.txStreams.open({ source: sourceId, incarnation })) streams.push(incarnation);
  }
  const keys: string[] = [];
  for await (const { bucket, key } of keysOf(messaging, sourceId)) keys.push(`${bucket}/${key}`);
  const leaders = await messaging.registries.open<LeaderRecord>(BUCKETS.leaders.name, BUCKETS.leaders);
  return { ...inDatabase, streams, keys, leader: (await leaders.get(sourceId))?.value.holder };
}

/**
 * Removes a source from its database, its tx streams, the registries and the store, in this order (spec R 6.1.1): publication, walsender,
 * slot, streams, keys, shapes. Goes on trying until it is done or `signal` aborts; whatever was interrupted can be done again. What
 * stays is the number of the last incarnation, so that none is ever used twice (I9). Throws NOT_READY while a replicator leads.
 */
export async function removeSource(
  deps: RemoveSourceDeps,
  options: RemoveSourceOptions,
  signal: AbortSignal,
): Promise<void> {
  const { leader } = await findRemains(deps, options, signal);
  if (leader !== undefined) {
    const text = `Replicator ${leader} leads this source: stop its replicators first, or they set it up again.`;
    throw new ShapecastError('NOT_READY', text, { leader });
  }
  const { database, messaging } = deps;
  const { sourceId } = options;
  const step = (name: string, work: () => Promise<void>): Promise<void> => untilDone(deps, name, work, signal);
  if (!options.manualPublishing) await step('publication', () => database.dropPublication(signal));
  await step('slot', () => database.dropSlot(signal));
  await step('streams', async () => {
    const { highestIncarnation } = await StoredSource.open(messaging, sourceId);
    for (let incarnation = 1; incarnation <= highestIncarnation; incarnation += 1) {
      await messaging.txStreams.delete({ source: sourceId, incarnation });
    }
  });
  await step('keys', async () => {
    const stored = await StoredSource.open(messaging, sourceId);
    if (!(await stored.forget())) throw new ShapecastError('STREAM_FENCED', 'A replicator writes the record as well.');
    for await (const { registry, key } of keysOf(messaging, sourceId)) await registry.delete(key);
  });
  const { store } = deps;
  if (store) await step('shapes', () => deleteShapes(store, sourceId, signal));
}

/** Page by page, in the background of the store. */
async function deleteShapes(
  store: Pick<ShapeStore, 'sweepOrphans' | 'forgetHome'>,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  let cursor: string | undefined;
  do {
    signal.throwIfAborted();
    ({ cursor } = await store.sweepOrphans(source, { incarnation: Infinity, graceMs: 0 }, cursor));
  } while (cursor !== undefined);
  await store.forgetHome(source);
}

async function untilDone(
  { clock, log }: RemoveSourceDeps,
  name: string,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const backoff = new Backoff(clock, { minMs: 200, maxMs: 10_000 });
  for (;;) {
    try {
      signal.throwIfAborted();
      await work();
      log.info({ step: name }, 'removed');
      return;
    } catch (err) {
      if (signal.aborted) throw err;
      log.warn({ err, step: name }, 'not removed yet, trying again');
      await backoff.wait(signal);
    }
  }
}

async function* keysOf(
  messaging: Messaging,
  source: string,
): AsyncGenerator<{ readonly bucket: string; readonly registry: Registry<unknown>; readonly key: string }> {
  for (const bucket of Object.values(BUCKETS)) {
    const { name } = bucket;
    const registry = await messaging.registries.open<unknown>(name, 'ttlMs' in bucket ? { ttlMs: bucket.ttlMs } : {});
    for (const { key } of await registry.list(source)) {
      if (key === source || key.startsWith(`${source}.`)) yield { bucket: name, registry, key };
    }
  }
}
