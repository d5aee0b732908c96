import { createHash } from 'node:crypto';
import { BUCKETS, tableKey, type Registries, type Registry } from '@shapecast/messaging';
import { Backoff, type Clock, type Logger } from '@shapecast/service-kit';
import type { RelationInfo } from '@shapecast/shape';
import { Latch } from './latch.ts';

interface TableRecordsDeps {
  readonly registries: Registries;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the catalog said about one table, as JSON; undefined: there is none. */
type Sight = string | undefined;

interface Compared {
  readonly digest: string;
  readonly at: number;
}

const MAX_TABLES = 10_000;
/** More than are asked for between two writes, unless the registry is away: then later questions bring them again. */
const MAX_PENDING = 1_000;
/** Another router may have written what it saw before us, and a registry can lose what it had: so it is compared again. */
const COMPARE_MS = 60_000;

/**
 * Keeps the last that the catalog said about every table somebody asked for, where APIs find it when Postgres is away: an API
 * that has just started knows no tables, and without them no shapes (O 1.3.1). The registry is written to when a table is new,
 * changed or gone, and read when one was not compared for a minute; in the background, one table at a time.
 */
export class TableRecords {
  readonly #deps: TableRecordsDeps;
  readonly #source: string;
  /** By key: what the registry had when it was last looked at; the longest known go first. */
  readonly #compared = new Map<string, Compared>();
  readonly #pending = new Map<string, Sight>();
  readonly #wake = new Latch();
  #registry: Registry<RelationInfo> | undefined;

  constructor(deps: TableRecordsDeps, source: string) {
    this.#deps = deps;
    this.#source = source;
  }

  /** The catalog was asked. Costs no round trip; does nothing about a table that is in the registry as it is. */
  seen(schema: string, table: string, relation: RelationInfo | undefined): void {
    const key = tableKey(this.#source, schema, table);
    const sight = relation && JSON.stringify(relation);
    const compared = this.#compared.get(key);
    const isRecent = compared !== undefined && this.#deps.clock.now() - compared.at < COMPARE_MS;
    if (isRecent && compared.digest === digestOf(sight) && !this.#pending.has(key)) return;
    if (this.#pending.size >= MAX_PENDING && !this.#pending.has(key)) return;
    this.#pending.set(key, sight);
    this.#wake.set();
  }

  /** Brings the registry up to date until `signal` aborts; a failure is retried. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = new Backoff(clock, { minMs: 100, maxMs: 10_000 });
    while (!signal.aborted) {
      const [next] = this.#pending;
      if (next === undefined) {
        await this.#wake.wait(clock, Infinity, signal);
        continue;
      }
      const [key, sight] = next;
      try {
        await this.#compare(key, sight);
        backoff.reset();
        // Seen again meanwhile, it may have changed.
        if (this.#pending.get(key) === sight) this.#pending.delete(key);
      } catch (err) {
        log.debug({ err }, 'a table cannot be recorded, retrying');
        this.#moveBack(key);
        await backoff.wait(signal).catch(() => undefined);
      }
    }
  }

  /** One that fails is not in the way of the others. */
  #moveBack(key: string): void {
    const sight = this.#pending.get(key);
    this.#pending.delete(key);
    this.#pending.set(key, sight);
  }

  async #compare(key: string, sight: Sight): Promise<void> {
    const { registries, clock } = this.#deps;
    this.#registry ??= await registries.open<RelationInfo>(BUCKETS.tables.name);
    const stored = await this.#registry.get(key);
    if (sight === undefined) {
      if (stored !== undefined) await this.#registry.delete(key);
    } else if (stored === undefined || JSON.stringify(stored.value) !== sight) {
      await this.#registry.put(key, JSON.parse(sight) as RelationInfo);
    }
    this.#compared.delete(key);
    if (this.#compared.size >= MAX_TABLES) this.#compared.delete(this.#compared.keys().next().value as string);
    this.#compared.set(key, { digest: digestOf(sight), at: clock.now() });
  }
}

function digestOf(sight: Sight): string {
  return sight === undefined ? 'gone' : createHash('sha256').update(sight).digest('base64url');
}
