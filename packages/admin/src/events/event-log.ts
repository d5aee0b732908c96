import { ALL_EVENTS_SUBJECT, type Hints } from '@shapecast/messaging';
import type { Logger } from '@shapecast/service-kit';

/** Kept of each source, rotations and everything else apart: rotations come in masses. */
const PER_SOURCE = 100;
const MAX_SOURCES = 2_000;

/** A change of state as a process told it (spec O 1.4): plain values without credentials. */
export interface SourceEvent {
  readonly event: string;
  readonly source: string;
  /** ISO time by the clock of whoever told it. */
  readonly at: string;
  readonly [field: string]: unknown;
}

interface Rings {
  readonly rotations: SourceEvent[];
  readonly others: SourceEvent[];
}

/** The latest state events of each source, since this process started. They are hints: some may be missing. */
export class EventLog {
  readonly #log: Logger;
  readonly #sources = new Map<string, Rings>();
  readonly #listeners = new Set<(event: SourceEvent) => void>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** The returned function stops. */
  follow(hints: Hints): () => void {
    return hints.subscribe(
      ALL_EVENTS_SUBJECT,
      (payload) => this.#take(payload),
      () => undefined,
    );
  }

  /** Newest first. */
  rotationsOf(source: string): readonly SourceEvent[] {
    return this.#sources.get(source)?.rotations.toReversed() ?? [];
  }

  /** Newest first, rotations left out. */
  eventsOf(source: string): readonly SourceEvent[] {
    return this.#sources.get(source)?.others.toReversed() ?? [];
  }

  /** The returned function stops. */
  onEvent(listener: (event: SourceEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #take(payload: Uint8Array): void {
    const event = decode(payload);
    if (event === undefined) return;
    const rings = this.#sources.get(event.source) ?? { rotations: [], others: [] };
    this.#sources.delete(event.source);
    if (this.#sources.size >= MAX_SOURCES) this.#sources.delete(this.#sources.keys().next().value as string);
    this.#sources.set(event.source, rings);
    const ring = event.event === 'shape_rotated' ? rings.rotations : rings.others;
    ring.push(event);
    if (ring.length > PER_SOURCE) ring.shift();
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (err) {
        this.#log.error({ err }, 'whoever follows state events failed');
      }
    }
  }
}

function decode(payload: Uint8Array): SourceEvent | undefined {
  try {
    const value = JSON.parse(new TextDecoder().decode(payload)) as Partial<SourceEvent> | null;
    const { event, source, at } = value ?? {};
    return typeof event === 'string' && typeof source === 'string' && typeof at === 'string'
      ? (value as SourceEvent)
      : undefined;
  } catch {
    return undefined;
  }
}
