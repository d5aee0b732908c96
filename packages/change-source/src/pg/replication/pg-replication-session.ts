import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import type { Lsn } from '@shapecast/log';
import type { Clock, Logger } from '@shapecast/service-kit';
import type { ReplicationHandler, ReplicationSession, SlotState, SourceIdentity } from '../../change-source.ts';
import { connectionError, sqlState } from '../errors.ts';
import type { LazyPool } from '../lazy-pool.ts';
import { PgoutputDecoder } from '../pgoutput/decoder.ts';
import { PartAssembler } from '../pgoutput/part-assembler.ts';
import { XidWidener } from '../pgoutput/xid.ts';
import { readXmax } from '../sql/catalog.ts';
import { readDdlLocks } from '../sql/ddl-locks.ts';
import { readRelationFacts } from '../sql/inheritance.ts';
import { readPublication } from '../sql/publication.ts';
import { terminateLockHolder } from '../sql/slot.ts';
import { PartDelivery } from './part-delivery.ts';
import { RelationLookup } from './relation-lookup.ts';
import { ReplicationLink, type LinkHandler } from './replication-link.ts';
import { StandbyStatus } from './standby-status.ts';

const XMAX_PERIOD_MS = 60_000;
const CLOSE_GRACE_MS = 2_000;
/** For the answer to START_REPLICATION, which comes before any WAL is read. */
const START_TIMEOUT_MS = 60_000;
/** After these the slot has to start anew: the changes it stands for are lost (spec R 6.2.1, 6.3.1). */
const SLOT_IS_STALE = ['missing_publication', 'database_slot_exceeded_max_size', 'database_slot_invalidated'];

export interface SessionDeps {
  readonly clock: Clock;
  readonly log: Logger;
  /** Connected, holds the lock. The session owns it from now on. */
  readonly client: pg.Client;
  /** Owned by the session too. */
  readonly admin: LazyPool;
  /** Changes were made while the publication was not what it has to be: the slot cannot be used any more (spec R 6.2.1). */
  readonly onSlotStale: () => void;
}

export interface SessionOptions {
  readonly slotName: string;
  readonly publicationName: string;
  readonly maxRowBytes: number;
  readonly publicationCheckMs: number;
}

export interface SessionState {
  readonly identity: SourceIdentity;
  readonly slot: SlotState;
  readonly xmax: bigint;
  /** In force for the session; 0 is never. */
  readonly walSenderTimeoutMs: number;
}

/** One connection that holds the lock and, once asked, streams. */
export class PgReplicationSession implements ReplicationSession {
  readonly identity: SourceIdentity;
  readonly slot: SlotState;
  readonly #deps: SessionDeps;
  readonly #options: SessionOptions;
  readonly #link: ReplicationLink;
  readonly #status: StandbyStatus;
  readonly #xids: XidWidener;
  /** Aborts lookups and waits when the session ends, however it ends. */
  readonly #ended = new AbortController();
  #fail: (error: unknown) => void = () => {};
  #streaming = false;
  #closing: Promise<void> | undefined;

  constructor(deps: SessionDeps, options: SessionOptions, state: SessionState) {
    this.#deps = deps;
    this.#options = options;
    this.identity = state.identity;
    this.slot = state.slot;
    this.#xids = new XidWidener(state.xmax);
    this.#link = new ReplicationLink(deps.client);
    this.#status = new StandbyStatus(
      {
        clock: deps.clock,
        send: (update) => this.#link.send(update),
        paused: () => this.#link.paused,
        fail: (reason) => this.#fail(peerError(reason)),
      },
      { startLsn: state.slot.confirmedLsn, walSenderTimeoutMs: state.walSenderTimeoutMs },
    );
  }

  async stream(handler: ReplicationHandler, signal: AbortSignal): Promise<void> {
    if (this.#streaming) throw new Error('stream() was called twice');
    this.#streaming = true;
    let stop = () => {};
    // Until the stream has begun nothing else would notice a server that stopped answering.
    const cancelStart = this.#deps.clock.after(START_TIMEOUT_MS, () => this.#fail(peerError('dead_peer')));
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = (error) => {
          this.#link.destroy();
          const wrapped = connectionError(error);
          if (SLOT_IS_STALE.includes(String(wrapped.details['type']))) this.#deps.onSlotStale();
          reject(wrapped);
        };
        if (signal.aborted) return resolve();
        signal.addEventListener('abort', () => resolve(), { once: true });
        const { linkHandler, delivery } = this.#pipeline(handler, reject);
        stop = () => delivery.stop();
        const { slotName, publicationName } = this.#options;
        this.#link
          .stream(slotName, publicationName, linkHandler, () => {
            cancelStart();
            this.#started();
          })
          .then(
            () => reject(new ShapecastError('SOURCE_UNAVAILABLE', 'The database ended the replication stream.')),
            (error: unknown) => this.#fail(error),
          );
      });
    } finally {
      cancelStart();
      stop();
      this.#link.pause('stopped');
      this.#ended.abort();
    }
  }

  confirm(lsn: Lsn): void {
    this.#status.confirm(lsn);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Wires decoder, assembler and delivery together. `reject` gets the handler's own errors unwrapped. */
  #pipeline(handler: ReplicationHandler, reject: (error: unknown) => void) {
    const { clock, log, admin } = this.#deps;
    const link = this.#link;
    const status = this.#status;
    const { publicationName } = this.#options;
    const names = { publication: publicationName, serverVersion: this.identity.serverVersion };
    const lookup = new RelationLookup(
      {
        clock,
        log,
        readFacts: (oid, xid, signal) => admin.use(signal, (db) => readRelationFacts(db, names, oid, xid)),
        readDdlLocks: (xid, signal) => admin.use(signal, (db) => readDdlLocks(db, xid)),
        onComplete: (relation) => handler.onRelation?.(relation),
        pause: () => link.pause('catalog'),
        resume: () => link.resume('catalog'),
      },
      this.#ended.signal,
    );
    const delivery = new PartDelivery({
      handler,
      ready: lookup.ready,
      inTransaction: () => assembler.inTransaction,
      pause: () => link.pause('delivery'),
      resume: () => link.resume('delivery'),
      fail: reject,
    });
    const assembler: PartAssembler = new PartAssembler(
      {
        part: (part, bytes) => delivery.push(part, bytes),
        transactionEnd: (lsn, endLsn) => status.transactionEnd(lsn, endLsn),
        relation: (relation, xid) => lookup.complete(relation, xid),
      },
      this.#xids,
    );
    const decoder = new PgoutputDecoder(assembler, {
      maxRowBytes: this.#options.maxRowBytes,
      onUnknownKind: (kind) => log.warn({ kind }, 'unknown pgoutput message passed over'),
      onUnusable: (reason) => handler.onUnusable?.(reason),
    });
    const linkHandler: LinkHandler = {
      message: (bytes) => {
        try {
          decoder.decode(bytes);
        } catch (error) {
          // Thrown in a socket callback it would end the process; the stream is lost either way.
          link.destroy();
          reject(error);
        }
      },
      keepalive: (walEnd, replyRequested) => {
        status.keepalive(walEnd, replyRequested);
        if (!assembler.inTransaction) delivery.idle(walEnd);
      },
      heard: () => status.heard(),
      notice: ({ code, message }) => {
        if (code === '55000' && message?.includes(publicationName)) this.#fail(publicationMissing());
      },
    };
    return { linkHandler, delivery };
  }

  #started(): void {
    this.#status.start();
    void this.#refreshXmax();
    void this.#watchPublication();
  }

  /** Ends the session once the publication is missing, another one or incomplete (spec R 6.2.1). */
  async #watchPublication(): Promise<void> {
    const { clock, admin, log } = this.#deps;
    const { publicationName, publicationCheckMs } = this.#options;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await clock.sleep(publicationCheckMs, signal);
        const found = await admin.use(signal, (db) => readPublication(db, publicationName));
        if (found?.oid !== this.slot.publicationOid || !found?.allOperations) this.#fail(publicationMissing());
      } catch (error) {
        if (!signal.aborted) log.warn({ code: sqlState(error) }, 'publication could not be looked at');
      }
    }
  }

  /** Keeps the reference for widening ids fresh while no transaction of ours comes by (spec R 10.6.5). */
  async #refreshXmax(): Promise<void> {
    const { clock, admin, log } = this.#deps;
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await clock.sleep(XMAX_PERIOD_MS, signal);
        this.#xids.observe(await admin.use(signal, readXmax));
      } catch (error) {
        if (!signal.aborted) log.warn({ code: sqlState(error) }, 'transaction id sample failed');
      }
    }
  }

  async #close(): Promise<void> {
    const { clock, admin, log } = this.#deps;
    this.#ended.abort();
    if (this.#status.running) this.#status.sendNow();
    this.#status.stop();
    await this.#link.end(clock, CLOSE_GRACE_MS);
    // The backend may be busy and not notice for a while that we left; until then nobody else gets the lock.
    const limit = new AbortController();
    const cancel = clock.after(CLOSE_GRACE_MS, () => limit.abort());
    try {
      const { walSenderPid } = this.identity;
      await admin.use(limit.signal, (db) => terminateLockHolder(db, this.#options.slotName, walSenderPid));
    } catch (error) {
      log.debug({ code: sqlState(error) }, 'old replication backend was not looked for');
    } finally {
      cancel();
    }
    admin.close();
  }
}

/** From 18 on Postgres warns (`skipped loading publication`), leaves the changes out and goes on; before, it fails. */
function publicationMissing(): ShapecastError {
  const text = 'The publication was missing or incomplete while changes were made.';
  return new ShapecastError('SOURCE_UNAVAILABLE', text, { type: 'missing_publication' });
}

function peerError(reason: 'dead_peer' | 'shutting_down'): ShapecastError {
  return reason === 'dead_peer'
    ? new ShapecastError('SOURCE_UNAVAILABLE', 'The database went silent.', { type: 'connection_timeout' })
    : new ShapecastError('SOURCE_UNAVAILABLE', 'The database is shutting down.', {
        type: 'database_server_shutting_down',
      });
}
