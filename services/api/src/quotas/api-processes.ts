import { API_PROCESSES_SUBJECT, type Hints } from '@shapecast/messaging';
import type { Clock } from '@shapecast/service-kit';

const BEAT_MS = 2_000;
/** One that was not heard of for so long is not counted. */
const SILENT_MS = 7_000;

interface ProcessDeps {
  readonly hints: Hints;
  /** Whether the others can be heard at all. */
  readonly connected: () => boolean;
  readonly clock: Clock;
}

/**
 * How many API processes live, so that each knows its share of a limit that is for all of them together. Told on core NATS, one small
 * message every two seconds per process, whatever the number of sources. A process that is cut off goes on with the number it knew: were it
 * to count itself alone, it would let in as much as all of them. Nothing but shares depends on it.
 */
export class ApiProcesses {
  readonly #deps: ProcessDeps;
  readonly #id: string;
  /** When each of the others was heard last. */
  readonly #heard = new Map<string, number>();

  constructor(deps: ProcessDeps, id: string) {
    this.#deps = deps;
    this.#id = id;
  }

  /** At least 1. */
  get count(): number {
    return 1 + this.#heard.size;
  }

  /** Tells and listens until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { hints, clock } = this.#deps;
    const unsubscribe = hints.subscribe(
      API_PROCESSES_SUBJECT,
      (payload) => this.#hear(payload),
      // They have not been heard while the connection was away, which says nothing of them.
      () => this.#beat(true),
    );
    this.#beat(true);
    while (!signal.aborted) {
      await clock.sleep(BEAT_MS * (0.75 + clock.random() / 4), signal).catch(() => undefined);
      if (signal.aborted) break;
      this.#forget();
      this.#beat(false);
    }
    unsubscribe();
    this.#send({ id: this.#id, leaving: true });
  }

  /** `asks`: the others are to say at once that they are there. */
  #beat(asks: boolean): void {
    if (asks) for (const id of this.#heard.keys()) this.#heard.set(id, this.#deps.clock.now());
    this.#send({ id: this.#id, ...(asks ? { asks } : {}) });
  }

  #hear(payload: Uint8Array): void {
    const { id, asks, leaving } = JSON.parse(Buffer.from(payload).toString()) as {
      readonly id: string;
      readonly asks?: boolean;
      readonly leaving?: boolean;
    };
    if (id === this.#id) return;
    if (leaving === true) return void this.#heard.delete(id);
    this.#heard.set(id, this.#deps.clock.now());
    if (asks === true) this.#beat(false);
  }

  #forget(): void {
    const { connected, clock } = this.#deps;
    if (!connected()) return;
    const now = clock.now();
    for (const [id, at] of this.#heard) if (now - at > SILENT_MS) this.#heard.delete(id);
  }

  #send(message: object): void {
    this.#deps.hints.publish(API_PROCESSES_SUBJECT, Buffer.from(JSON.stringify(message)));
  }
}
