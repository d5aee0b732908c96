import type pg from 'pg';
import { ShapecastError } from '@shapecast/errors';
import { sqlState } from './errors.ts';
import { readDatabaseName, readSystemIdentifier } from './sql/checks.ts';

/** The database that a source is replicated from, as its leading replicator has noted it. */
export interface DatabaseIdentity {
  readonly systemId: string;
  /** Absent in notes of older versions. */
  readonly database?: string;
}

const OTHER_DATABASE =
  'The database URL reaches another database than the one that the source is replicated from: correct DATABASE_URL, ' +
  'or give this cluster a NATS and a Redis of its own.';

/**
 * Compares each new connection with the database that the changes come from: snapshots of another one would put its rows into the
 * shapes of this source. Where the role may not read the system identifier the name has to do.
 */
export class ExpectedDatabase {
  readonly #expected: () => DatabaseIdentity | undefined;
  #mayIdentify = true;

  /** While `expected` is undefined, nothing is known of the source, and any database will do. */
  constructor(expected: () => DatabaseIdentity | undefined) {
    this.#expected = expected;
  }

  /** Throws SOURCE_MISCONFIGURED of type `other_database`. */
  async check(client: pg.ClientBase): Promise<void> {
    const expected = this.#expected();
    if (expected === undefined) return;
    if (expected.database !== undefined && (await readDatabaseName(client)) !== expected.database) throw other();
    const systemId = await this.#identify(client);
    if (systemId !== undefined && systemId !== expected.systemId) throw other();
  }

  async #identify(client: pg.ClientBase): Promise<string | undefined> {
    if (!this.#mayIdentify) return undefined;
    try {
      return await readSystemIdentifier(client);
    } catch (error) {
      if (sqlState(error) !== '42501') throw error;
      this.#mayIdentify = false;
      return undefined;
    }
  }
}

function other(): ShapecastError {
  return new ShapecastError('SOURCE_MISCONFIGURED', OTHER_DATABASE, { type: 'other_database' });
}
