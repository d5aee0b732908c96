import type { Node } from '@shapecast/where';
import type { Atom } from './atom.ts';
import type { Constant } from './lift.ts';
import type { Fractions } from './statistics.ts';

/**
 * How the instances of a template are found (spec W 9.7): every row that makes the predicate TRUE hits one of `atoms`.
 * A row that hits an exact atom then has only `rest` to make TRUE, which is nothing when it is undefined.
 */
export interface Cover {
  readonly atoms: readonly Atom[];
  readonly rest: Node | undefined;
  readonly cost: number;
}

/** What the planner knows besides the tree. */
export interface PlanContext {
  /** Of the template's first instance; those of others have the same traits (`Lifted.key`). */
  readonly constants: readonly Constant[];
  readonly fractions: Fractions;
}

/** Lists with more keys are not filed under each of them. */
const MAX_ENTRIES = 10_000;
/** What an entry costs in memory, in the unit of fractions. */
const ENTRY_COST = 1e-4;

/** Of a predicate that is TRUE on no row. */
export const NEVER: Cover = { atoms: [], rest: undefined, cost: 0 };

/** Every row that decides the connective hits one of the operands, so all of them are needed. */
export function union(covers: readonly (Cover | undefined)[]): Cover | undefined {
  const atoms: Atom[] = [];
  for (const cover of covers) {
    if (cover === undefined) return undefined;
    for (const atom of cover.atoms) atoms.push(cover.rest === undefined ? atom : { ...atom, exact: false });
  }
  let complements = 0;
  return checked(atoms.map((atom) => (atom.kind === 'complement' ? { ...atom, variant: complements++ } : atom)));
}

export function inexact(cover: Cover | undefined): Cover | undefined {
  return cover && { ...cover, atoms: cover.atoms.map((atom) => ({ ...atom, exact: false })) };
}

export function single(atom: Atom | undefined): Cover | undefined {
  return atom && checked([atom]);
}

function checked(atoms: readonly Atom[]): Cover | undefined {
  let entries = 0;
  let cost = 0;
  for (const atom of atoms) {
    entries += atom.entries;
    cost += atom.fraction + ENTRY_COST * atom.entries;
  }
  return entries > MAX_ENTRIES ? undefined : { atoms, rest: undefined, cost };
}
