import type { Cluster, ClusterProcess } from '@shapecast/testkit';
import type { Chance } from '../../support/chance.ts';
import { randomClause } from '../model/clause.ts';
import { TrackedShape } from '../model/shape.ts';
import { COLUMNS, TABLES } from '../model/tables.ts';
import { pause } from '../writers/connection.ts';
import { ClientReader } from './client-reader.ts';
import { PollingReader, type PollingOptions, type ReaderDeps } from './polling-reader.ts';

/** Everybody who reads in a run: those who stay, those who come back, and those who come late and go. */
export class Crowd {
  readonly #deps: ReaderDeps;
  readonly #cluster: Cluster;
  readonly #chance: Chance;
  readonly #shapes: readonly TrackedShape[];
  readonly #readers: PollingReader[] = [];
  readonly #clients: ClientReader[] = [];

  constructor(deps: ReaderDeps, cluster: Cluster, chance: Chance) {
    this.#deps = deps;
    this.#cluster = cluster;
    this.#chance = chance;
    this.#shapes = TABLES.flatMap(({ name }) => [
      new TrackedShape(name),
      ...Array.from({ length: name === 'bulk' ? 1 : 4 }, () => randomShape(chance, name)),
    ]);
  }

  /** The shapes that are followed from the first moment on. */
  get shapes(): readonly TrackedShape[] {
    return this.#shapes;
  }

  /** Starts everybody; resolves when the signal has aborted and all are gone. */
  async read(signal: AbortSignal): Promise<void> {
    const { url, edgeUrl } = this.#cluster;
    const pods = this.#pods();
    const work = this.#shapes.map((shape, i) => this.#polling(`poll-${i}`, shape, url).follow(signal));
    const any = (): TrackedShape => this.#chance.pick(this.#shapes);
    // A pod alone, which may be away for long: other bytes or older positions than those of the others would show.
    for (const [i, pod] of pods.entries()) work.push(this.#polling(`pod-${i}`, any(), this.#alone(pod)).follow(signal));
    for (const i of [0, 1, 2]) work.push(this.#events(`events-${i}`, any(), url).follow(signal));
    for (const i of [0, 1, 2]) work.push(this.#resuming(this.#polling(`resume-${i}`, any(), url), signal));
    if (edgeUrl !== undefined) {
      for (const i of [0, 1, 2]) work.push(this.#polling(`edge-${i}`, any(), edgeUrl, true).follow(signal));
    }
    for (const i of [0, 1]) {
      const kind = { name: `client-${i}`, shape: any(), throughCache: true, seesBytes: false };
      const client = new ClientReader(this.#deps, kind, i === 1 && edgeUrl !== undefined ? edgeUrl : url);
      this.#clients.push(client);
      work.push(client.follow(signal));
    }
    await Promise.all([...work, this.#comeAndGo(url, signal), this.#askForTheDead(url, signal)]);
  }

  #pods(): readonly ClusterProcess[] {
    return this.#cluster.processes.filter(({ role }) => role === 'api');
  }

  /** One pod for as long as it is one of the cluster, then the youngest. */
  #alone(pod: ClusterProcess): () => string {
    let current = pod;
    return () => {
      const pods = this.#pods();
      if (!pods.includes(current)) current = pods.at(-1) ?? current;
      return current.url;
    };
  }

  #polling(name: string, shape: TrackedShape, url: PollingOptions['url'], throughCache = false): PollingReader {
    const reader = new PollingReader(this.#deps, { name, shape, throughCache, seesBytes: true }, { url });
    this.#readers.push(reader);
    return reader;
  }

  #events(name: string, shape: TrackedShape, url: string): PollingReader {
    const kind = { name, shape, throughCache: false, seesBytes: true };
    const reader = new PollingReader(this.#deps, kind, { url, events: true });
    this.#readers.push(reader);
    return reader;
  }

  /** Goes away and comes back with what it had. */
  async #resuming(reader: PollingReader, signal: AbortSignal): Promise<void> {
    const { checker } = this.#deps;
    while (!signal.aborted) {
      const stay = AbortSignal.any([signal, AbortSignal.timeout(1_000 + this.#chance.int(8_000))]);
      await reader.follow(stay);
      if (signal.aborted) return;
      checker.leaves(reader.track);
      await pause(500 + this.#chance.int(20_000), signal);
      checker.returns(reader.track);
    }
  }

  /** Reads a shape that others have, or one that nobody has, to its end, and leaves. */
  async #comeAndGo(url: string, signal: AbortSignal): Promise<void> {
    for (let i = 0; !signal.aborted; i += 1) {
      const table = this.#chance.pick(TABLES).name;
      const shape = this.#chance.chance(0.6) ? this.#chance.pick(this.#shapes) : randomShape(this.#chance, table);
      const kind = { name: `late-${i}`, shape, throughCache: false, seesBytes: true };
      const reader = new PollingReader(this.#deps, kind, { url });
      // Not waited for by measurements of how readers catch up: it may have begun in the middle of a fault.
      this.#deps.checker.leaves(reader.track);
      const leave = AbortSignal.any([signal, AbortSignal.timeout(20_000)]);
      await reader.catchUp(leave);
      if (this.#chance.chance(0.3)) await reader.follow(AbortSignal.any([signal, AbortSignal.timeout(1_500)]));
      this.#deps.checker.retire(reader.track);
      this.#deps.history.forget(kind.name);
      await pause(this.#chance.int(1_500), signal);
    }
  }

  /** Who is dead stays dead (spec R 12.5.7). */
  async #askForTheDead(base: string, signal: AbortSignal): Promise<void> {
    const { checker, history } = this.#deps;
    while (!signal.aborted) {
      await pause(1_000 + this.#chance.int(1_000), signal);
      const dead = checker.handles.dead((handles) => this.#chance.pick(handles));
      if (dead === undefined || signal.aborted) continue;
      const url = new URL('/v1/shape', base);
      const params = { ...dead.shape.params, handle: dead.handle, offset: this.#chance.pick(['-1', dead.offset]) };
      for (const [name, value] of Object.entries(params).sort()) url.searchParams.set(name, value);
      const leave = AbortSignal.any([signal, AbortSignal.timeout(9_000)]);
      const response = await fetch(url, { signal: leave }).catch(() => undefined);
      await response?.text().catch(() => undefined);
      if (response === undefined) continue;
      history.note('ghost', 'asks', { handle: dead.handle, offset: params.offset, status: response.status });
      const isBack = response.status === 200 && response.headers.get('electric-handle') === dead.handle;
      if (isBack && !checker.handles.mayBeBack(dead.handle, performance.now())) {
        checker.resurrected(`${dead.handle} is dead, and ${url.search} was answered with its data`);
      }
    }
  }
}

function randomShape(chance: Chance, name: string): TrackedShape {
  const table = TABLES.find((each) => each.name === name) as (typeof TABLES)[number];
  const clause = chance.chance(0.85) ? randomClause(chance, table.clauses) : undefined;
  const others = COLUMNS.filter((column) => !table.key.includes(column));
  const columns = chance.chance(0.4) ? [...table.key, ...others.filter(() => chance.chance(0.5))] : undefined;
  return new TrackedShape(name, clause, columns, chance.chance(0.3));
}
