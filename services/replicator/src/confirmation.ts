import type { ReplicationSession } from '@shapecast/change-source';
import { isShapecastError, ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { StreamEnd } from './stream-end.ts';
import type { Epoch } from './take-over.ts';
import { slept } from './or-abort.ts';

interface ConfirmationDeps {
  readonly session: Pick<ReplicationSession, 'confirm'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** A tick has passed: what may be confirmed from now on. */
  readonly tick: () => Lsn;
  /** Where the stream ends as far as it was acknowledged. */
  readonly stored: () => Pick<StreamEnd, 'seq' | 'chain' | 'held'>;
  /** Nothing is confirmed before. */
  readonly ready: () => boolean;
  /** The leadership is over. */
  readonly lost: (error: unknown) => void;
}

interface ConfirmationOptions extends Pick<Epoch, 'stored' | 'incarnation' | 'createdAt' | 'epoch'> {
  /** As of the slot when the leadership began. */
  readonly confirmed: Lsn;
  readonly tickMs: number;
  readonly copyIntervalMs: number;
}

/** How long the last copy may take when the leadership ends. */
const LEAVE_COPY_MS = 1_000;
/** The second copy of the stream's end is also renewed before confirming so much WAL (spec R 9.3.8). */
const COPY_WAL_BYTES = 16n * 1024n * 1024n;

/** Tells Postgres what it may forget (spec R 8.6), a delay after it became durable and never before the copy of the stream's end says so. */
export class Confirmation {
  readonly #deps: ConfirmationDeps;
  readonly #options: ConfirmationOptions;
  #copied: { confirmed: Lsn; ticks: number };

  constructor(deps: ConfirmationDeps, options: ConfirmationOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#copied = { confirmed: options.confirmed, ticks: Infinity };
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, session } = this.#deps;
    const { tickMs, copyIntervalMs } = this.#options;
    while (await slept(clock, tickMs, signal)) {
      if (!this.#deps.ready()) continue;
      const confirmed = this.#deps.tick();
      this.#copied.ticks += 1;
      const due = this.#copied.ticks * tickMs >= copyIntervalMs || confirmed - this.#copied.confirmed >= COPY_WAL_BYTES;
      if (due && !(await this.#writeCopy(confirmed))) continue;
      if (!signal.aborted) session.confirm(confirmed);
    }
  }

  /** The records may all be gone when somebody goes on from here: then only the copy tells where that is. */
  async leaveCopy(confirmed: Lsn): Promise<void> {
    const waited = new AbortController();
    const late = this.#deps.clock.sleep(LEAVE_COPY_MS, waited.signal).catch(() => undefined);
    await Promise.race([this.#writeCopy(confirmed), late]);
    waited.abort();
  }

  async #writeCopy(confirmed: Lsn): Promise<boolean> {
    const { log, lost } = this.#deps;
    const { stored, incarnation, createdAt, epoch } = this.#options;
    try {
      if (!(await stored.writeCopy({ incarnation, createdAt, epoch, ...this.#deps.stored() }))) {
        lost(new ShapecastError('STREAM_FENCED', 'Another replicator wrote the position of the stream.'));
        return false;
      }
      this.#copied = { confirmed, ticks: 0 };
      await stored.keepPublished();
      return true;
    } catch (err) {
      if (!isShapecastError(err)) lost(err);
      log.debug({ err }, 'copy of the stream position could not be written');
      return false;
    }
  }
}
