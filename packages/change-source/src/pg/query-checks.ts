import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import { emitEvent, type Clock, type Logger } from '@shapecast/service-kit';
import { sqlState, STANDBY_MESSAGE } from './errors.ts';
import type { LazyPool } from './lazy-pool.ts';
import { readsThroughPolicies, readSessionFacts, readSystemIdentifier, type SessionFacts } from './sql/checks.ts';
import type { Queryable } from './sql/query.ts';

interface Facts extends SessionFacts {
  /** Undefined where the role may not read it. */
  readonly systemId: string | undefined;
}

/** Policies can come at any time, and nothing tells of them. */
const TABLE_CHECK_MS = 600_000;
const MAX_TABLES = 10_000;

/**
 * Sees to it that what snapshots are read from is the database that is replicated: each new connection of the query URL is
 * compared with the direct one (spec R 2.5, 2.6, 10.4.2), each table is looked at for policies (2.4). Reads only; a pooler in
 * between keeps no trace.
 */
export class QueryChecks {
  readonly #direct: LazyPool;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #sameUrl: boolean;
  readonly #warned = new Set<string>();
  /** When a table was looked at last, oldest first. */
  readonly #tables = new Map<number, number>();
  #expected: Facts | undefined;

  constructor(
    direct: LazyPool,
    deps: { readonly clock: Clock; readonly log: Logger },
    options: { readonly sameUrl: boolean },
  ) {
    this.#direct = direct;
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#sameUrl = options.sameUrl;
  }

  /** Throws SOURCE_MISCONFIGURED when this connection must not be read from. */
  async checkConnection(client: pg.ClientBase, signal: AbortSignal): Promise<void> {
    const found = await this.#facts(client);
    if (found.standby) throw misconfigured('standby', STANDBY_MESSAGE);
    if (this.#sameUrl) return;
    // What the direct URL reaches may have moved since: before refusing, it is asked again.
    const known = this.#expected;
    const expected =
      known && sameDatabase(known, found) ? known : await this.#direct.use(signal, (db) => this.#facts(db));
    this.#expected = expected;
    if (!sameDatabase(expected, found)) {
      const text = 'The query URL reaches another database than the direct URL: both must lead to the same one.';
      throw misconfigured('different_database', text);
    }
    if (expected.systemId === undefined || found.systemId === undefined) {
      this.#warnOnce(
        'server_not_comparable',
        'Whether the query URL reaches the same server as the direct URL cannot be checked: grant EXECUTE on pg_control_system().',
      );
    }
    const differing = Object.keys(found.settings).filter((name) => found.settings[name] !== expected.settings[name]);
    if (differing.length > 0) {
      this.#warnOnce(
        'settings_differ',
        `The query URL's sessions differ from the replicated ones in ${differing.join(', ')}: some values may print differently in snapshots.`,
      );
    }
  }

  /** Warns when a table's snapshot would be filtered by policies while its changes are not. */
  async checkTable(
    client: pg.ClientBase,
    table: { readonly oid: number; readonly schema: string; readonly table: string },
  ): Promise<void> {
    const now = this.#clock.now();
    const last = this.#tables.get(table.oid);
    if (last !== undefined && now - last < TABLE_CHECK_MS) return;
    this.#tables.delete(table.oid);
    this.#tables.set(table.oid, now);
    const [oldest] = this.#tables.keys();
    if (this.#tables.size > MAX_TABLES && oldest !== undefined) this.#tables.delete(oldest);
    if (!(await readsThroughPolicies(client, table.oid))) return;
    const name = `"${table.schema}.${table.table}"`;
    const message =
      `Row-level security filters what snapshots of table ${name} show, but not its changes: ` +
      'use a role that owns the table or has BYPASSRLS.';
    if (last === undefined) emitEvent(this.#log, 'warning', { type: 'row_level_security', message });
  }

  async #facts(db: Queryable): Promise<Facts> {
    const facts = await readSessionFacts(db);
    if (this.#sameUrl) return { ...facts, systemId: undefined };
    try {
      return { ...facts, systemId: await readSystemIdentifier(db) };
    } catch (error) {
      if (sqlState(error) !== '42501') throw error;
      return { ...facts, systemId: undefined };
    }
  }

  #warnOnce(type: string, message: string): void {
    if (this.#warned.has(type)) return;
    this.#warned.add(type);
    emitEvent(this.#log, 'warning', { type, message });
  }
}

function sameDatabase(a: Facts, b: Facts): boolean {
  const comparable = a.systemId !== undefined && b.systemId !== undefined;
  return a.database === b.database && (!comparable || a.systemId === b.systemId);
}

function misconfigured(type: string, text: string): ShapecastError {
  return new ShapecastError('SOURCE_MISCONFIGURED', text, { type });
}
