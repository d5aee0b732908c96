import { isShapecastError } from '@shapecast/errors';
import { newIncarnationSubject, releaseLeadershipSubject, type Messaging } from '@shapecast/messaging';
import { AdminError } from '../admin-error.ts';
import type { SourcesView } from './sources-view.ts';

/** Whoever led, and what of. */
export interface EndedLeadership {
  readonly holder: string;
  readonly incarnation: number;
  readonly epoch: number;
}

/** The leader drains what is in flight first, and says goodbye. */
const ANSWER_MS = 20_000;

/** What the leading replicator of a source is asked to do. */
export class SourceActions {
  readonly #messaging: Messaging;
  readonly #view: SourcesView;

  constructor(deps: { readonly messaging: Messaging; readonly view: SourcesView }) {
    this.#messaging = deps.messaging;
    this.#view = deps.view;
  }

  /** Has the leader give the leadership up. Another replicator takes it, or the same one after a moment. */
  async release(source: string, signal: AbortSignal): Promise<EndedLeadership> {
    await this.#view.record(source);
    return this.#ask(releaseLeadershipSubject(source), {}, signal);
  }

  /** Ends the incarnation, and with it every shape of the source. */
  async newIncarnation(source: string, signal: AbortSignal): Promise<EndedLeadership> {
    const record = await this.#view.record(source);
    const incarnation = record?.incarnation;
    return this.#ask(newIncarnationSubject(source), { incarnation }, signal);
  }

  async #ask(subject: string, request: unknown, signal: AbortSignal): Promise<EndedLeadership> {
    try {
      return (await this.#messaging.rpc.call(subject, request, { timeoutMs: ANSWER_MS, signal })) as EndedLeadership;
    } catch (error) {
      if (!isShapecastError(error, 'NOT_READY')) throw error;
      const message = 'No replicator leads the source at the moment, or it did not answer in time.';
      throw new AdminError({ status: 503, code: 'no_leader', message, retryAfterS: 5 });
    }
  }
}
