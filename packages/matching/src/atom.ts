import type { CompareOp, ConstNode, Node, Type } from '@shapecast/where';
import { describe } from './template-text.ts';

/** How shapes are found; `scan` shapes are evaluated for every row, `all` have no clause, `never` match no row. */
export type IndexKind =
  | 'all'
  | 'never'
  | 'equality'
  | 'composite'
  | 'range'
  | 'prefix'
  | 'substring'
  | 'null'
  | 'complement'
  | 'array'
  | 'mixed'
  | 'scan';

/** A constant an atom depends on: a slot of the template, or a constant that stayed in it. */
export type Source = { readonly slot: number } | { readonly constant: ConstNode };

/** An operand that rows are looked up by, as it is compared. */
interface Operand {
  readonly node: Node;
  /** The comparison's type. For LIKE: text as it is. */
  readonly by: Type;
}

export interface Equality extends Operand {
  readonly kind: 'equality';
  /** A list gives one key per item. */
  readonly source: Source;
}

interface Bound {
  readonly op: Exclude<CompareOp, '=' | '<>'>;
  readonly source: Source;
}

/**
 * Something a row can be looked up by (spec W 9.6). A cover is a set of atoms of which at least one is hit by every row
 * that makes the clause TRUE; with `exact`, a row that hits the atom makes TRUE what the atom stands for.
 */
export type Atom = (
  | Equality
  | { readonly kind: 'composite'; readonly parts: readonly Equality[] }
  | (Operand & { readonly kind: 'range'; readonly bounds: readonly Bound[] })
  | (Operand & {
      readonly kind: 'pattern';
      readonly slot: number;
      readonly part: 'exact' | 'prefix' | 'suffix' | 'substring';
      readonly fold: 'ascii' | 'one' | undefined;
    })
  | (Operand & { readonly kind: 'starts'; readonly source: Source })
  | { readonly kind: 'null'; readonly node: Node; readonly negated: boolean }
  | (Operand & {
      readonly kind: 'complement';
      readonly source: Source;
      readonly nullHits: boolean;
      /** Tells the complements of one expression in one cover apart: what one excludes, the other may hit. */
      readonly variant: number;
    })
  | (Operand & {
      readonly kind: 'array';
      readonly source: Source;
      /** `any`: the constant is one element. */
      readonly mode: 'contains' | 'any' | 'overlaps' | 'containedBy';
    })
) & {
  readonly exact: boolean;
  /** Expected fraction of the rows that hit it. */
  readonly fraction: number;
  /** Entries it takes in the index. */
  readonly entries: number;
};

/** An atom for people: `equality of owner`, `range of lower(name)`. */
export function describeAtom(atom: Atom): string {
  switch (atom.kind) {
    case 'composite':
      return `composite of ${atom.parts.map((part) => operandText(part.node)).join(', ')}`;
    case 'null':
      return `${atom.negated ? 'not null' : 'null'} of ${operandText(atom.node)}`;
    case 'pattern':
      return `${atom.part === 'exact' ? 'equality' : atom.part} of ${operandText(atom.node)}`;
    case 'starts':
      return `prefix of ${operandText(atom.node)}`;
    case 'array':
      return `${atom.mode} of ${operandText(atom.node)}`;
    case 'equality':
    case 'range':
    case 'complement':
      return `${atom.kind} of ${operandText(atom.node)}`;
  }
}

function operandText(node: Node): string {
  return node.kind === 'cast' && node.implicit ? operandText(node.arg) : describe(node);
}
