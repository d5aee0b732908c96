import { BUCKETS } from '@shapecast/messaging';
import type { Connected } from '../connected.ts';
import type { SourceEvent } from '../events/event-log.ts';

/** Handles that are named for one reason. */
const MOST_NAMED = 20;

interface RotationReport {
  /** Newest first, since this process started; sampled where there are many: `omitted` counts those left out before. */
  readonly rotations: readonly SourceEvent[];
  /** Other changes of state, newest first. */
  readonly events: readonly SourceEvent[];
  /** Of the last two days, for reasons that the tx stream does not tell. */
  readonly journal: readonly {
    readonly code: string;
    readonly reason: string;
    readonly shapes: number;
    readonly handles: readonly string[];
  }[];
}

/** As far as it is read here: see `RotationRecord`. */
interface JournalEntry {
  readonly ended?: readonly (readonly [code: string, message: string, handles: readonly string[]])[];
}

/** Which shapes of a source ended, and why. */
export async function rotationsOf({ sources, events, messaging }: Connected, id: string): Promise<RotationReport> {
  const { id: source } = await sources.get(id);
  const registry = await messaging.registries.open<JournalEntry>(BUCKETS.rotations.name, BUCKETS.rotations);
  const entries = (await registry.list(`${source}.`)).toSorted((a, b) => b.revision - a.revision);
  const byReason = new Map<string, { code: string; reason: string; shapes: number; handles: string[] }>();
  for (const { value } of entries) {
    for (const [code, reason, handles] of value.ended ?? []) {
      const key = `${code} ${reason}`;
      const group = byReason.get(key) ?? { code, reason, shapes: 0, handles: [] };
      byReason.set(key, group);
      group.shapes += handles.length;
      group.handles.push(...handles.toReversed().slice(0, MOST_NAMED - group.handles.length));
    }
  }
  return {
    rotations: events.rotationsOf(source),
    events: events.eventsOf(source),
    journal: [...byReason.values()],
  };
}
