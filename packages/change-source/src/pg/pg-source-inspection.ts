import { clockOffset, type Clock, type Logger } from '@shapecast/service-kit';
import type {
  DirectSight,
  PublicationInspection,
  QuerySight,
  SlotSight,
  SourceInspection,
  TableInspection,
} from '../source-inspection.ts';
import { checkPublication, readCheckedState, type CheckedState } from './catalog/publication-check.ts';
import { qualified } from './catalog/publication-texts.ts';
import { connectionError } from './errors.ts';
import { destroyClient } from './replication/replication-link.ts';
import { PgServer, type PgServerOptions, type Purpose } from './server.ts';
import { readServerRoom, readSystemIdentifier } from './sql/checks.ts';
import {
  readImpliedTables,
  readLockHolder,
  readRole,
  readServerFacts,
  readServerTime,
  readSlotWal,
  readTableAccess,
} from './sql/inspection.ts';
import { readMembers, readPublication } from './sql/publication.ts';
import type { Queryable } from './sql/query.ts';
import { identifySystem } from './sql/replication.ts';
import { readSlot, readSlotReport } from './sql/slot.ts';

/** Of a publication of all tables; the rest is looked at when it is used. */
const MAX_IMPLIED_TABLES = 10_000;

export interface SourceInspectionOptions {
  readonly url: string;
  /** The direct one when unset. */
  readonly queryUrl?: string | undefined;
  readonly slotName: string;
  readonly publicationName: string;
  /** Nobody but the operator alters the publication. */
  readonly manualPublishing: boolean;
  readonly connection?: PgServerOptions;
}

/** Connects for each look, and holds nothing in between. Throws INVALID_CONFIG. */
export function openSourceInspection(
  options: SourceInspectionOptions,
  deps: { readonly clock: Clock; readonly log: Logger },
): SourceInspection {
  return new PgSourceInspection(deps, options);
}

class PgSourceInspection implements SourceInspection {
  readonly #clock: Clock;
  readonly #direct: PgServer;
  readonly #query: PgServer;
  readonly #options: SourceInspectionOptions;

  constructor(deps: { readonly clock: Clock; readonly log: Logger }, options: SourceInspectionOptions) {
    const { url, queryUrl = url, connection = {} } = options;
    this.#clock = deps.clock;
    this.#direct = new PgServer(url, connection, deps);
    this.#query = new PgServer(queryUrl, connection, deps);
    this.#options = options;
  }

  direct(signal: AbortSignal): Promise<DirectSight> {
    const { slotName } = this.#options;
    return connected(this.#direct, {}, signal, async (db) => {
      const server = await readServerFacts(db);
      return {
        server,
        systemId: await systemIdentifier(db),
        role: await readRole(db),
        room: await readServerRoom(db),
        lockHolder: await readLockHolder(db, slotName),
        slot: await slotSight(db, slotName, server.standby),
        publication: await this.#publication(db, server.versionNumber),
        clock: await clockOffset(this.#clock, () => readServerTime(db)),
      };
    });
  }

  async replication(signal: AbortSignal): Promise<void> {
    await connected(this.#direct, { replication: 'database' }, signal, identifySystem);
  }

  query(tables: readonly number[], signal: AbortSignal): Promise<QuerySight> {
    return connected(this.#query, {}, signal, async (db) => {
      const access = await readTableAccess(db, tables);
      return {
        server: await readServerFacts(db),
        systemId: await systemIdentifier(db),
        role: await readRole(db),
        unreadable: access.filter(({ readable }) => !readable).map(qualified),
        filtered: access.filter(({ filtered }) => filtered).map(qualified),
      };
    });
  }

  async #publication(db: Queryable, serverVersion: number): Promise<PublicationInspection | undefined> {
    const { publicationName, manualPublishing: manual } = this.#options;
    const publication = await readPublication(db, publicationName);
    if (publication === undefined) return undefined;
    const members = await readMembers(db, publication.oid);
    const listed = new Set(members.map(({ oid }) => oid));
    // With those that are listed come their partitions, so there the view would tell nothing new.
    const implied = publication.allTables || listed.size === 0;
    const all = implied ? await readImpliedTables(db, publicationName, MAX_IMPLIED_TABLES) : [];
    const oids = [...new Set([...listed, ...all])];
    const checked = await readCheckedState(db, publicationName, serverVersion, oids);
    return { ...publication, tables: tablesOf(checked, listed, { publicationName, manual }) };
  }
}

function tablesOf(
  checked: CheckedState,
  listed: ReadonlySet<number>,
  options: { readonly publicationName: string; readonly manual: boolean },
): readonly TableInspection[] {
  const flaws = new Map(checkPublication(checked, options).flaws.map((flaw) => [flaw.oid, flaw.message]));
  return [...(checked.state?.tables ?? [])].map(([oid, { root, leaves, members, tree }]) => {
    const without = leaves.filter(({ replicaIdentity }) => replicaIdentity !== 'f');
    return {
      oid,
      schema: root.schema,
      name: root.name,
      listed: listed.has(oid),
      restricted: tree.some((each) => members.get(each.oid)?.restricted === true),
      withoutFullIdentity: without.map(qualified),
      owned: without.every(({ owned }) => owned),
      problem: flaws.get(oid),
    };
  });
}

async function slotSight(db: Queryable, slotName: string, standby: boolean): Promise<SlotSight | undefined> {
  const slot = await readSlot(db, slotName);
  if (slot === undefined) return undefined;
  const wal = await readSlotWal(db, slotName);
  // A standby has no position of its own to measure from.
  const report = standby ? undefined : await readSlotReport(db, slotName);
  const { plugin, database, activePid, lost, lostBecause } = slot;
  return {
    ...{ plugin, database, activePid, lost, lostBecause },
    walStatus: wal?.status,
    safeBytes: wal?.safeBytes,
    wal: report && { current: report.walLsn, confirmed: report.confirmedLsn, restart: report.restartLsn },
  };
}

/** Many roles may not read it, and get a refusal that says nothing about the rest. */
async function systemIdentifier(db: Queryable): Promise<string | undefined> {
  try {
    return await readSystemIdentifier(db);
  } catch {
    return undefined;
  }
}

/** Does something on a connection of its own, which is cut when `signal` aborts. */
async function connected<T>(
  server: PgServer,
  purpose: Pick<Purpose, 'replication'>,
  signal: AbortSignal,
  work: (db: Queryable) => Promise<T>,
): Promise<T> {
  try {
    const client = await server.connect({ ...purpose, applicationName: 'shapecast doctor' }, signal);
    const cut = () => destroyClient(client);
    signal.addEventListener('abort', cut, { once: true });
    try {
      return await work(client);
    } finally {
      signal.removeEventListener('abort', cut);
      await client.end().catch(() => undefined);
    }
  } catch (error) {
    signal.throwIfAborted();
    throw connectionError(error);
  }
}
