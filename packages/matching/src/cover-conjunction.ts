import { connect, type Node } from '@shapecast/where';
import type { Atom, Equality } from './atom.ts';
import { single, type Cover, type PlanContext } from './cover-set.ts';
import { textOf } from './template-text.ts';

/** A cover of some operands of a conjunction. */
export type Option = readonly [cover: Cover | undefined, used: readonly number[]];

/**
 * The cover of a conjunction, from those of its operands: one operand is enough to find the row, or several together; the
 * others are evaluated then.
 */
export function conjunction(
  args: readonly Node[],
  covers: readonly (Cover | undefined)[],
  context: PlanContext,
): Cover | undefined {
  const options = covers.map((cover, i): Option => [cover, [i]]);
  for (const [atom, used] of composites(covers)) options.push([single(atom), used]);
  for (const [atom, used] of intervals(args, covers, context)) options.push([single(atom), used]);
  return cheapest(options, args);
}

/** The cheapest of several covers of the same operands; what it leaves open is the others. */
export function cheapest(options: readonly Option[], args: readonly Node[]): Cover | undefined {
  let best: Cover | undefined;
  let bestUses: readonly number[] = [];
  for (const [cover, used] of options) {
    if (cover !== undefined && cover.cost < (best?.cost ?? Infinity)) [best, bestUses] = [cover, used];
  }
  if (best === undefined || best.atoms.length === 0) return best;
  const others = args.filter((_, i) => !bestUses.includes(i));
  const rest = best.rest === undefined ? others : [best.rest, ...others];
  return { ...best, rest: rest.length === 0 ? undefined : connect('and', rest) };
}

/** Expressions that a composite key can have. */
const MAX_PARTS = 4;

/** Equalities that a conjunction can be looked up by together, and which operands they stand for. */
function composites(covers: readonly (Cover | undefined)[]): [Atom, number[]][] {
  const parts: { atom: Atom & Equality; at: number }[] = [];
  const seen = new Set<string>();
  for (const [at, cover] of covers.entries()) {
    const atom = cover?.atoms[0];
    if (cover?.atoms.length !== 1 || cover.rest !== undefined || atom?.kind !== 'equality') continue;
    if (atom.entries !== 1 || !atom.exact || seen.has(textOf(atom.node))) continue;
    seen.add(textOf(atom.node));
    parts.push({ atom, at });
  }
  parts.sort((a, b) => a.atom.fraction - b.atom.fraction);
  const found: [Atom, number[]][] = [];
  for (let count = 2; count <= Math.min(MAX_PARTS, parts.length); count++) {
    const chosen = parts.slice(0, count);
    const fraction = chosen.reduce((product, { atom }) => product * atom.fraction, 1);
    // Besides the composite key, each part's value takes a place in the hash table of its expression.
    const entries = count + 1;
    const atom: Atom = { kind: 'composite', parts: chosen.map((one) => one.atom), exact: true, fraction, entries };
    found.push([atom, chosen.map((one) => one.at)]);
  }
  return found;
}

/** Pairs of a lower and an upper bound on one expression. */
function intervals(
  args: readonly Node[],
  covers: readonly (Cover | undefined)[],
  context: PlanContext,
): [Atom, number[]][] {
  const found: [Atom, number[]][] = [];
  const lows = new Map<string, number>();
  const highs = new Map<string, number>();
  for (const [i, cover] of covers.entries()) {
    const atom = cover?.atoms[0];
    if (args[i]?.kind !== 'compare' || atom?.kind !== 'range') continue;
    const sides = atom.bounds[0]?.op.startsWith('>') === true ? lows : highs;
    const key = `${textOf(atom.node)} ${atom.by.name}`;
    if (!sides.has(key)) sides.set(key, i);
  }
  for (const [key, low] of lows) {
    const high = highs.get(key);
    if (high === undefined) continue;
    const [a, b] = [covers[low]?.atoms[0], covers[high]?.atoms[0]];
    if (a?.kind !== 'range' || b?.kind !== 'range') continue;
    const bounds = [...a.bounds, ...b.bounds];
    const atom: Atom = { ...a, bounds, exact: a.exact && b.exact, fraction: context.fractions.range(2) };
    found.push([atom, [low, high]]);
  }
  return found;
}
