import { createHash } from 'node:crypto';

/** More than its share, so that few sources move when one comes or goes. */
const SLACK = 1.25;

/**
 * Which process is to replicate each source: the one that ranks highest for it among those with room (spec D H19, O 4.7). Every process
 * computes the same. `most`: sources that a process takes. Sources for which there is no room are left out.
 */
export function assignSources(
  sources: Iterable<string>,
  processes: readonly string[],
  most: number,
): ReadonlyMap<string, string> {
  const ids = [...sources].toSorted();
  const share = ids.length / Math.max(1, processes.length);
  const room = Math.min(most, Math.max(Math.ceil(share), Math.floor(share * SLACK)));
  const taken = new Map<string, number>();
  const assigned = new Map<string, string>();
  for (const id of ids) {
    const process = ranked(id, processes).find((each) => (taken.get(each) ?? 0) < room);
    if (process === undefined) continue;
    assigned.set(id, process);
    taken.set(process, (taken.get(process) ?? 0) + 1);
  }
  return assigned;
}

/** Rendezvous hashing: who ranks first for a source changes only when the first one goes, or a better one comes. */
function ranked(source: string, processes: readonly string[]): readonly string[] {
  const weight = (process: string) => createHash('sha1').update(`${process}\n${source}`).digest('hex');
  return processes
    .map((process) => ({ process, weight: weight(process) }))
    .toSorted((a, b) => (a.weight < b.weight ? 1 : -1))
    .map(({ process }) => process);
}
