import type { Clock, Logger } from '@shapecast/service-kit';
import { assignSources } from './assignment.ts';
import type { Roster } from './roster.ts';
import { nextTurn } from './turns.ts';

interface PlacementDeps {
  readonly roster: Roster;
  readonly clock: Clock;
  readonly log: Logger;
  /** Sources that some process is to run; undefined while that is not known. */
  readonly wanted: () => readonly string[] | undefined;
  readonly running: () => readonly string[];
  readonly start: (source: string) => void;
  readonly stop: (source: string) => void;
}

interface PlacementOptions {
  readonly own: string;
  /** Sources that one process takes (spec O 4.7). */
  readonly most: number;
}

/** Between two sources that are handed over: the one has a new leader by then. */
const HAND_OVER_PAUSE_MS = 1_000;

/** Has this process run its share of the sources. */
export class Placement {
  readonly #deps: PlacementDeps;
  readonly #options: PlacementOptions;
  #assigned: ReadonlyMap<string, string> = new Map();
  #handedOverAt = -Infinity;

  constructor(deps: PlacementDeps, options: PlacementOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Sources that no process has room for. */
  get homeless(): readonly string[] {
    const { wanted, roster } = this.#deps;
    if (roster.others === undefined) return [];
    return (wanted() ?? []).filter((id) => !this.#assigned.has(id));
  }

  isOwn(source: string): boolean {
    return this.#assigned.get(source) === this.#options.own;
  }

  /** After every look at the other processes, and when sources came or went. */
  turn(): void {
    const { roster, clock, log } = this.#deps;
    const { own, most } = this.#options;
    const others = roster.others;
    const wanted = this.#deps.wanted();
    if (others === undefined || wanted === undefined || roster.leaving) return;
    const ids = [own, ...others.filter(({ leaving }) => !leaving).map(({ id }) => id)].toSorted();
    this.#assigned = assignSources(wanted, ids, most);
    const running = this.#deps.running();
    for (const id of running) if (!wanted.includes(id)) this.#deps.stop(id);
    const view = {
      ...{ own, assigned: this.#assigned, others, running: running.filter((id) => wanted.includes(id)) },
      mayHandOver: clock.now() - this.#handedOverAt >= HAND_OVER_PAUSE_MS,
    };
    const { start, stop } = nextTurn(view);
    for (const id of start) this.#deps.start(id);
    for (const id of stop) {
      this.#handedOverAt = clock.now();
      log.info({ source: id, to: this.#assigned.get(id) }, 'a source is handed over to another replicator');
      this.#deps.stop(id);
    }
  }
}
