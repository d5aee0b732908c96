import type { Cluster } from '@shapecast/testkit';
import type { Chance } from '../../support/chance.ts';
import { pause, withClient } from '../writers/connection.ts';
import type { Checker } from '../checker/checker.ts';
import type { Loss } from '../checker/faults.ts';
import type { History } from '../history.ts';
import type { FaultKind, NemesisContext } from './fault.ts';
import { CLOCK_FAULTS } from './clock-faults.ts';
import { NATS_FAULTS } from './nats-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { POSTGRES_FAULTS } from './postgres-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { REDIS_FAULTS } from './redis-faults.ts';

const ALL: readonly FaultKind[] = [
  ...PROCESS_FAULTS,
  ...POSTGRES_FAULTS,
  ...NATS_FAULTS,
  ...REDIS_FAULTS,
  ...NETWORK_FAULTS,
  ...CLOCK_FAULTS,
];

/**
 * Faults by a list of words, each of which is part of a name, a part of the cluster, `default` or `destructive`. Throws when a
 * word means nothing.
 */
export function chooseFaults(words: readonly string[]): readonly FaultKind[] {
  const chosen = new Set<FaultKind>();
  for (const word of words) {
    const meant = ALL.filter((kind) => {
      if (word === 'destructive') return kind.destructive === true;
      if (word === 'default') return kind.destructive !== true;
      return kind.part === word || kind.name.includes(word);
    });
    if (meant.length === 0) {
      throw new Error(
        `no fault is called ${word}; there are default, destructive, and: ${ALL.map(({ name }) => name).join('; ')}`,
      );
    }
    for (const kind of meant) chosen.add(kind);
  }
  return [...chosen];
}

export interface NemesisOptions {
  readonly kinds: readonly FaultKind[];
  /** From the beginning of a fault to that of the next. */
  readonly everyMs: number;
  /** Folder of the files that set the clocks of processes. */
  readonly clocks: string;
}

/** Share of faults that another one joins at once. */
const OVERLAP = 0.2;

/**
 * Does harm again and again until the signal aborts, and mends all of it before it returns. Every kind has its turn before one has
 * it twice.
 */
export class Nemesis {
  readonly #cluster: Cluster;
  readonly #checker: Checker;
  readonly #history: History;
  readonly #chance: Chance;
  readonly #options: NemesisOptions;
  readonly #context: NemesisContext;
  readonly #busy = new Set<string>();
  readonly #atWork = new Set<Promise<void>>();
  #bag: FaultKind[] = [];
  /** Healed since all was well. */
  #healed: string[] = [];
  /** Faults that could not be done. */
  readonly failed: string[] = [];

  constructor(
    deps: { readonly cluster: Cluster; readonly checker: Checker; readonly history: History; readonly chance: Chance },
    options: NemesisOptions,
    signal: AbortSignal,
  ) {
    this.#cluster = deps.cluster;
    this.#checker = deps.checker;
    this.#history = deps.history;
    this.#chance = deps.chance;
    this.#options = { ...options, kinds: options.kinds.filter((kind) => kind.possible(deps.cluster)) };
    this.#context = {
      cluster: deps.cluster,
      chance: deps.chance,
      signal,
      redisPrimary: 'redis-1',
      clocks: options.clocks,
    };
    if (this.#options.kinds.length === 0) throw new Error('none of the faults is possible in this cluster');
  }

  get kinds(): number {
    return this.#options.kinds.length;
  }

  async run(): Promise<void> {
    const { signal } = this.#context;
    while (!signal.aborted) {
      this.#begin();
      if (this.#chance.chance(OVERLAP)) this.#begin();
      await pause(this.#options.everyMs, signal);
    }
    await Promise.all(this.#atWork);
  }

  #begin(): void {
    const kind = this.#next();
    if (kind === undefined) return;
    const work = this.#harm(kind).finally(() => this.#atWork.delete(work));
    this.#atWork.add(work);
  }

  #next(): FaultKind | undefined {
    if (this.#bag.length === 0) this.#bag = this.#chance.shuffle(this.#options.kinds);
    const free = ({ part }: FaultKind): boolean =>
      !this.#busy.has(part) && !(CONFLICTS[part] ?? []).some((other) => this.#busy.has(other));
    const at = this.#bag.findIndex(free);
    return at < 0 ? undefined : this.#bag.splice(at, 1)[0];
  }

  /** Sentinel makes a replica the primary by itself, whatever it lacks. */
  #loss({ part, name, loss }: FaultKind): Loss {
    const sentinels = this.#cluster.serversOf('sentinel').length > 0;
    return sentinels && (part === 'redis' || name.includes('redis')) ? 'store-tail' : loss;
  }

  async #harm(kind: FaultKind): Promise<void> {
    const { signal } = this.#context;
    this.#busy.add(kind.part);
    this.#history.note('nemesis', 'begins', { fault: kind.name });
    const fault = this.#checker.faultBegins(kind.name, this.#loss(kind), performance.now());
    try {
      const harm = await kind.begin(this.#context);
      this.#history.note('nemesis', 'did', { fault: kind.name, target: harm.target, forMs: harm.forMs });
      await pause(harm.forMs, signal);
      await harm.heal();
    } catch (error) {
      this.failed.push(`${kind.name}: ${String(error).slice(0, 500)}`);
      this.#history.note('nemesis', 'fails', { fault: kind.name, error: String(error) });
    }
    const at = performance.now();
    this.#checker.faultHealed(fault, at);
    this.#busy.delete(kind.part);
    this.#history.note('nemesis', 'healed', { fault: kind.name });
    this.#healed.push(kind.name);
    if (this.#checker.faults.active > 0) return;
    const healed = this.#healed;
    this.#healed = [];
    const lsn = await committed(this.#cluster.databaseUrl);
    this.#checker.allHealed(at, lsn, healed);
  }
}

/** A process that goes takes what is done to it, or to its network, along. */
const CONFLICTS: Partial<Readonly<Record<FaultKind['part'], readonly FaultKind['part'][]>>> = {
  size: ['processes', 'network', 'redis'],
  processes: ['size'],
  network: ['size'],
  redis: ['size'],
};

/** Everything that has been committed commits below it. */
export async function committed(databaseUrl: string): Promise<bigint> {
  for (;;) {
    try {
      return await withClient(databaseUrl, async (client) => {
        const { rows } = await client.query<{ lsn: string }>(
          `select pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::text as lsn`,
        );
        return BigInt(rows[0]?.lsn ?? 0);
      });
    } catch {
      await pause(100);
    }
  }
}
