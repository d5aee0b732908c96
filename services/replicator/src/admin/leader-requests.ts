import { ShapecastError } from '@shapecast/errors';
import { newIncarnationSubject, releaseLeadershipSubject, type Messaging } from '@shapecast/messaging';
import type { Clock, Logger } from '@shapecast/service-kit';
import { StoredSource } from '../stored-source.ts';

interface RequestDeps {
  readonly messaging: Messaging;
  readonly clock: Clock;
  readonly log: Logger;
  /** Of the leadership that there is at the moment. */
  readonly status: {
    readonly phase: string;
    readonly incarnation: number | undefined;
    readonly epoch: number | undefined;
  };
}

interface RequestOptions {
  readonly sourceId: string;
  readonly holder: string;
}

/** For so long whoever gave the leadership up does not ask for the lock: who waits for it has it within a fraction of a second. */
const MAKE_WAY_MS = 3_000;

/**
 * What operators ask of the leader of a source (spec O 10.1): to give the leadership up, and to begin a new incarnation. Both end the
 * leadership in good order, with everything in flight stored; the next one, of whichever process, goes on from there.
 */
export class LeaderRequests {
  readonly #deps: RequestDeps;
  readonly #options: RequestOptions;
  #makeWay = false;

  constructor(deps: RequestDeps, options: RequestOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Runs `leading`, whose signal aborts with `signal` and when an operator asks for the end of the leadership. */
  async during(leading: (signal: AbortSignal) => Promise<void>, signal: AbortSignal): Promise<void> {
    const { rpc } = this.#deps.messaging;
    const { sourceId } = this.#options;
    const asked = new AbortController();
    /** Settled when the leadership has ended, as it ended. */
    const ended = Promise.withResolvers<void>();
    ended.promise.catch(() => undefined);
    const marked = Promise.withResolvers<void>();
    marked.promise.catch(() => undefined);
    let newIncarnation: number | undefined;
    const stops = [
      rpc.serve(releaseLeadershipSubject(sourceId), async () => {
        const told = this.#told();
        this.#makeWay = true;
        asked.abort(new Error('an operator asked for the end of the leadership'));
        await ended.promise;
        return told;
      }),
      rpc.serve(newIncarnationSubject(sourceId), async (request) => {
        const told = this.#told();
        const { incarnation } = (request ?? {}) as { readonly incarnation?: unknown };
        // Who asked has seen another one, and what they wanted to end has ended.
        if (incarnation !== told.incarnation) {
          throw new ShapecastError('INVALID_REQUEST', 'The source has another incarnation by now.', { ...told });
        }
        newIncarnation = told.incarnation;
        asked.abort(new Error('an operator asked for a new incarnation'));
        await marked.promise;
        return told;
      }),
    ];
    try {
      await leading(AbortSignal.any([signal, asked.signal]));
      ended.resolve();
      if (newIncarnation !== undefined) await this.#end(newIncarnation);
      marked.resolve();
      if (asked.signal.aborted) this.#deps.log.info({ newIncarnation }, 'the leadership was given up on request');
    } catch (error) {
      ended.reject(error);
      marked.reject(error);
      throw error;
    } finally {
      for (const stop of stops) stop();
    }
  }

  /** Leaves the lock to others for a while, when this process was asked to. */
  async makeWay(signal: AbortSignal): Promise<void> {
    if (!this.#makeWay) return;
    this.#makeWay = false;
    await this.#deps.clock.sleep(MAKE_WAY_MS, signal).catch(() => undefined);
  }

  #told(): { readonly holder: string; readonly incarnation: number; readonly epoch: number } {
    const { phase, incarnation, epoch } = this.#deps.status;
    if (phase !== 'active' || incarnation === undefined || epoch === undefined) {
      throw new ShapecastError('NOT_READY', 'The replicator is only about to lead the source. Please retry.');
    }
    return { holder: this.#options.holder, incarnation, epoch };
  }

  /** While the lock is still held: the next leadership finds the mark. */
  async #end(incarnation: number): Promise<void> {
    const { messaging } = this.#deps;
    const stored = await StoredSource.open(messaging, this.#options.sourceId);
    if (stored.record?.incarnation !== incarnation || !(await stored.markUnwanted(incarnation))) {
      throw new ShapecastError('STREAM_FENCED', 'Another replicator wrote the position of the stream.');
    }
  }
}
