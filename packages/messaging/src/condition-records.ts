import { Backoff, type Clock, type Conditions, type Logger } from '@shapecast/service-kit';
import { BUCKETS } from './records.ts';
import type { Registries, Registry } from './registry.ts';

/** Registry bucket with expiry: key is `<source>.<role>-<instance>`. What one process knows of the source (spec O 1.2.5). */
export interface ConditionRecord {
  readonly role: 'replicator' | 'router';
  readonly conditions: Conditions;
}

const LOOK_MS = 250;
const RENEW_MS = 2_000;

/**
 * Tells the other processes what this one knows of its source, until `signal` aborts: at once when it changes, and often
 * enough to be told from the dead. What is told decides texts and nothing else, so failures are passed over. Never rejects.
 */
export async function keepConditionRecord(
  deps: { readonly registries: Registries; readonly clock: Clock; readonly log: Logger },
  place: {
    readonly source: string;
    readonly instance: string;
    /** How often it is looked whether something has changed, and how often it is told all the same. */
    readonly lookMs?: number;
    readonly renewMs?: number;
  },
  read: () => ConditionRecord,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log, registries } = deps;
  const { lookMs = LOOK_MS, renewMs = RENEW_MS } = place;
  const key = `${place.source}.${read().role}-${place.instance}`;
  const backoff = new Backoff(clock, { minMs: 500, maxMs: 5_000 });
  let registry: Registry<ConditionRecord> | undefined;
  let told: { readonly text: string; readonly at: number } | undefined;
  while (!signal.aborted) {
    try {
      registry ??= await registries.open<ConditionRecord>(BUCKETS.conditions.name, { ttlMs: BUCKETS.conditions.ttlMs });
      const record = read();
      const text = JSON.stringify(record);
      if (text !== told?.text || clock.now() - told.at >= renewMs) {
        await registry.put(key, record);
        told = { text, at: clock.now() };
      }
      backoff.reset();
      await clock.sleep(lookMs, signal);
    } catch (err) {
      if (signal.aborted) break;
      log.debug({ err }, 'conditions could not be told');
      await backoff.wait(signal).catch(() => undefined);
    }
  }
  await registry?.delete(key).catch((err: unknown) => log.debug({ err }, 'conditions are left to expire'));
}
