import { BUCKETS, type ConditionRecord, type Messaging, type Registry } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';

/** How often NATS is looked for, and of how many looks in a row one must have found it. */
const LOOKS = 20;

/**
 * Whether a leader that has lost NATS should make room (spec O F105): when it was away for so many looks in a row, and at the last one
 * that found it another replicator of the source was there, who may have it still. One that is alone stays: nobody would be better off.
 */
export class NatsAbsence {
  #missing = 0;
  #others = false;

  /** True when it should. `others` are known only while connected. */
  look(connected: boolean, others = false): boolean {
    if (connected) {
      this.#missing = 0;
      this.#others = others;
      return false;
    }
    this.#missing += 1;
    return this.#others && this.#missing >= LOOKS;
  }
}

/** Resolves with true once this process should make room for another replicator; false when `signal` aborts. Never rejects. */
export async function natsIsAway(
  { messaging, clock, log }: { readonly messaging: Messaging; readonly clock: Clock; readonly log: Logger },
  options: { readonly sourceId: string; readonly holder: string; readonly natsPatienceMs: number },
  signal: AbortSignal,
): Promise<boolean> {
  const absence = new NatsAbsence();
  const { sourceId, holder } = options;
  const prefix = `${sourceId}.replicator-`;
  let registry: Registry<ConditionRecord> | undefined;
  while (!signal.aborted) {
    let connected = messaging.connected();
    let others = false;
    try {
      if (connected) {
        registry ??= await messaging.registries.open<ConditionRecord>(BUCKETS.conditions.name, BUCKETS.conditions);
        others = (await registry.list(prefix)).some(({ key }) => key !== `${prefix}${holder}`);
      }
    } catch (err) {
      log.debug({ err }, 'other replicators cannot be looked for');
      connected = messaging.connected();
      // Servers that do not answer, to nobody, are no reason to go (F104).
      if (connected) others = false;
    }
    if (absence.look(connected, others)) return true;
    await clock.sleep(options.natsPatienceMs / LOOKS, signal).catch(() => undefined);
  }
  return false;
}
