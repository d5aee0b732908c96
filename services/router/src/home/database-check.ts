import type { SourceDatabase } from '@shapecast/change-source';
import { isShapecastError } from '@shapecast/errors';
import type { SourceRecord } from '@shapecast/messaging';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';

interface CheckDeps {
  readonly database: SourceDatabase;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A database that is away is no reason to own no shards. */
const PATIENCE_MS = 2_000;

/**
 * Remembers whether the database of this router turned out to be another one than its source is replicated from: connections to such a
 * one fail (`PgSourceDatabaseOptions.expected`), and a router that has no other must not own shards, since all it could do for a new
 * shape is to fail.
 */
export class DatabaseCheck {
  /** The database; its failures are heard. */
  readonly database: SourceDatabase;
  readonly #deps: CheckDeps;
  readonly #onChange: () => void;
  #identity: string | undefined;
  #looked = false;
  #refusal: string | undefined;

  constructor(deps: CheckDeps, onChange: () => void) {
    this.#deps = deps;
    this.#onChange = onChange;
    this.database = new Proxy(deps.database, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name, target);
        if (typeof member !== 'function') return member;
        const call = member.bind(target) as (...args: readonly unknown[]) => unknown;
        return (...args: readonly unknown[]) => this.#heard(call(...args));
      },
    });
  }

  /** The database was reached, or could not be, since it is known what the source is replicated from. */
  get looked(): boolean {
    return this.#looked;
  }

  /** One sentence on what is set wrongly. */
  get refusal(): string | undefined {
    return this.#refusal;
  }

  /** The source is told of. `asleep`: nobody is to connect to its database now. */
  follow({ systemId, database }: SourceRecord, asleep: boolean, signal: AbortSignal): void {
    const identity = JSON.stringify([systemId, database]);
    if (this.#identity === identity) return;
    this.#identity = identity;
    this.#looked = false;
    // Those that are open may lead to where the source was before.
    this.#deps.database.rest();
    const done = () => {
      if (this.#identity !== identity || this.#looked) return;
      this.#looked = true;
      this.#onChange();
    };
    if (asleep) return done();
    this.#deps.clock.after(PATIENCE_MS, done);
    void this.database.progress(signal).then(done, done);
  }

  #heard(outcome: unknown): unknown {
    if (!(outcome instanceof Promise)) return outcome;
    outcome.then(
      () => this.#set(undefined),
      (err: unknown) => {
        if (!isShapecastError(err)) return;
        if (err.details['type'] === 'other_database') this.#set(err.message);
      },
    );
    return outcome;
  }

  #set(refusal: string | undefined): void {
    if (refusal === this.#refusal) return;
    this.#refusal = refusal;
    if (refusal !== undefined) emitEvent(this.#deps.log, 'warning', { type: 'other_database', message: refusal });
    else this.#deps.log.info({}, 'the database is the one that the source is replicated from');
    this.#onChange();
  }
}
