import { readLiveRouters, type Messaging, type SourceSleep } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { Progress } from '../progress.ts';
import { Idleness } from './idleness.ts';

interface IdleWatchDeps {
  readonly sleep: SourceSleep;
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
  readonly progress: () => Progress;
}

interface IdleWatchOptions {
  readonly sourceId: string;
  readonly holder: string;
  /** 0 is never. */
  readonly idleTimeoutMs: number;
}

/** Others have read by then that this process leads, and do not take the end of the record for the end of the source. */
const SETTLE_MS = 1_000;
const MAX_LOOK_MS = 1_000;

/** Puts the source to sleep when nothing happens (spec R 3.7.1). Of one leadership. */
export class IdleWatch {
  readonly #deps: IdleWatchDeps;
  readonly #options: IdleWatchOptions;
  readonly #idle: Idleness;

  constructor(deps: IdleWatchDeps, options: IdleWatchOptions, start: ConstructorParameters<typeof Idleness>[1]) {
    this.#deps = deps;
    this.#options = options;
    this.#idle = new Idleness(options.idleTimeoutMs, start);
  }

  /** A transaction came, or somebody needs the source. */
  happened(): void {
    const { clock, progress } = this.#deps;
    this.#idle.happened(clock.now(), progress());
  }

  /** Until the leadership ends. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, sleep } = this.#deps;
    const { idleTimeoutMs, holder } = this.#options;
    const lookMs = idleTimeoutMs > 0 ? Math.min(MAX_LOOK_MS, idleTimeoutMs / 4) : MAX_LOOK_MS;
    let cleared = false;
    await clock.sleep(SETTLE_MS, signal).catch(() => undefined);
    while (!signal.aborted) {
      try {
        if (!cleared) await sleep.awake();
        cleared = true;
        if (idleTimeoutMs > 0 && (await this.#due())) {
          // Whoever leads reads that it sleeps, as all others do, and ends.
          await sleep.fallAsleep(holder);
          log.info({ idleTimeoutMs }, 'nothing has happened for a while, the source goes to sleep');
          return;
        }
      } catch (err) {
        if (!signal.aborted) log.debug({ err }, 'the source cannot be put to sleep');
      }
      await clock.sleep(lookMs, signal).catch(() => undefined);
    }
  }

  async #due(): Promise<boolean> {
    const { clock, progress, messaging } = this.#deps;
    if (!this.#idle.due(clock.now(), progress())) return false;
    const routers = await readLiveRouters(messaging.registries, this.#options.sourceId);
    if (!routers.some(({ busy }) => busy === true)) return true;
    this.happened();
    return false;
  }
}
