/** Another replicator process, as its record says and as it was seen to live. */
export interface OtherProcess {
  readonly id: string;
  /** Sources that it runs: it leads them, or waits for their locks. */
  readonly running: readonly string[];
  /** It is ending. */
  readonly leaving: boolean;
  /** Has lived for a while: nothing is handed over to one that may end again in a moment. */
  readonly settled: boolean;
}

export interface PlacementView {
  readonly own: string;
  /** Which process each source is assigned to. */
  readonly assigned: ReadonlyMap<string, string>;
  readonly others: readonly OtherProcess[];
  /** Sources that this process runs. */
  readonly running: readonly string[];
  /** A source may be handed over now: not long after the last one. */
  readonly mayHandOver: boolean;
}

export interface PlacementTurn {
  readonly start: readonly string[];
  readonly stop: readonly string[];
}

/** Sources of others that a process prepares to take at a time: each has connections of its own while it waits for its lock. */
const PREPARED = 2;

/**
 * What this process starts and stops next. A source that nobody runs starts at once where it is assigned. One that somebody else
 * runs and that is assigned here starts as a standby, a few at a time; its holder lets go once it sees that, one source after the other.
 */
export function nextTurn({ own, assigned, others, running, mayHandOver }: PlacementView): PlacementTurn {
  const here = new Set(running);
  const runners = new Set(others.filter(({ leaving }) => !leaving).flatMap((other) => other.running));
  let prepared = running.filter((id) => runners.has(id)).length;
  const start: string[] = [];
  for (const [id, process] of assigned) {
    if (process !== own || here.has(id)) continue;
    if (runners.has(id)) {
      if (prepared >= PREPARED) continue;
      prepared += 1;
    }
    start.push(id);
  }
  const handedOver = mayHandOver ? running.find((id) => canGo(id, own, assigned, others)) : undefined;
  return { start, stop: handedOver === undefined ? [] : [handedOver] };
}

function canGo(
  id: string,
  own: string,
  assigned: ReadonlyMap<string, string>,
  others: readonly OtherProcess[],
): boolean {
  const to = assigned.get(id);
  if (to === undefined || to === own) return false;
  return others.some((other) => other.id === to && other.settled && !other.leaving && other.running.includes(id));
}
