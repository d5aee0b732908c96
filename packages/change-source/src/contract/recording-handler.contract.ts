import type { Change, Lsn, TransactionPart } from '@shapecast/log';
import { waitFor } from '@shapecast/testkit';
import type { ReplicationHandler, ReplicationSession } from '../change-source.ts';

/** Keeps what a session delivers. `block` makes it hold on to the next call until `release`. */
export class RecordingHandler implements ReplicationHandler {
  readonly calls: (readonly TransactionPart[])[] = [];
  readonly idle: Lsn[] = [];
  /** Calls of onParts that have not been answered; more than one is a broken promise. */
  pending = 0;
  maxPending = 0;
  #gate: Promise<void> | undefined;
  release = (): void => {};

  get parts(): readonly TransactionPart[] {
    return this.calls.flat();
  }

  get changes(): readonly Change[] {
    return this.parts.flatMap((part) => part.changes);
  }

  block(): void {
    this.#gate = new Promise((resolve) => {
      this.release = () => {
        this.#gate = undefined;
        resolve();
      };
    });
  }

  async onParts(parts: readonly TransactionPart[]): Promise<void> {
    this.pending += 1;
    this.maxPending = Math.max(this.maxPending, this.pending);
    this.calls.push(parts);
    await this.#gate;
    this.pending -= 1;
  }

  onIdle(walEnd: Lsn): void {
    this.idle.push(walEnd);
  }

  async waitForChanges(count: number): Promise<readonly Change[]> {
    await waitFor(() => this.changes.length >= count, { describe: () => `${this.changes.length} of ${count} changes` });
    return this.changes;
  }
}

/** Runs a session in the background. */
export function run(session: ReplicationSession, handler: ReplicationHandler) {
  const stop = new AbortController();
  const done = session.stream(handler, stop.signal);
  done.catch(() => {});
  return {
    done,
    async stop(): Promise<void> {
      stop.abort();
      await done;
      await session.close();
    },
  };
}
