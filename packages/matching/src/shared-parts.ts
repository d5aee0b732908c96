import {
  compileValue,
  mapChildren,
  typeOfNode,
  type Node,
  type SlotColumn,
  type SlotNode,
  type Value,
} from '@shapecast/where';
import type { RowImage } from './change-images.ts';
import { hasSlot } from './template-text.ts';

/** The row that the tests of templates are looking at. */
export interface Scope {
  image: RowImage | undefined;
}

export interface SharedParts {
  readonly tree: Node;
  /** Stand for further slots of the tree. */
  readonly columns: readonly SlotColumn[];
}

/**
 * Takes out of a template what is the same for all its instances, so that scanning them computes it once for a row
 * (spec W 9.8). Each part stands behind a slot of its own, which computes it when it is first looked at: what is evaluated,
 * and which error comes first, stays as it was.
 */
export function shareParts(
  tree: Node,
  slots: number,
  context: { readonly ordinalOf: (column: string) => number; readonly scope: Scope },
): SharedParts {
  const columns: SlotColumn[] = [];
  const share = (node: Node): Node => {
    if (isTrivial(node)) return node;
    if (hasSlot(node)) {
      // What is said of each element of an array is not the same for the row.
      if (node.kind === 'quantified') return { ...node, left: share(node.left), right: share(node.right) };
      return mapChildren(node, share);
    }
    const index = slots + columns.length;
    const slot: SlotNode = { kind: 'slot', index, type: typeOfNode(node), role: 'value' };
    columns.push(new SharedPart(compileValue(node, context.ordinalOf), context.scope));
    return slot;
  };
  return { tree: share(tree), columns };
}

/** Reading a cell again costs no more than asking for what was read. */
function isTrivial(node: Node): boolean {
  return node.kind === 'const' || node.kind === 'column' || node.kind === 'slot';
}

class SharedPart implements SlotColumn {
  readonly #evaluate: ReturnType<typeof compileValue>;
  readonly #scope: Scope;
  readonly #versions = [0, 0];
  readonly #values: (Value | null)[] = [null, null];

  constructor(evaluate: ReturnType<typeof compileValue>, scope: Scope) {
    this.#evaluate = evaluate;
    this.#scope = scope;
  }

  get(): Value | null {
    const image = this.#scope.image as RowImage;
    const { place, version } = image;
    if (this.#versions[place] === version) return this.#values[place] as Value | null;
    const value = this.#evaluate(image.values, 0);
    this.#values[place] = value;
    this.#versions[place] = version;
    return value;
  }
}
