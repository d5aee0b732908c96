import { makeArray, makeNestedArray, slice, subscript, type SliceBounds } from '../functions/array-expression.ts';
import type { ArrayNode, Node, SubscriptNode } from '../tree.ts';
import type { ArrayValue } from '../types/array-value.ts';
import type { Value } from '../types/value.ts';
import type { Compiler, Evaluate } from './compile.ts';

/** `ARRAY[...]`. */
export function compileArray(node: ArrayNode, items: readonly Evaluate[]): Evaluate {
  return (row, slot) => {
    const values = items.map((item) => item(row, slot));
    return node.nested ? makeNestedArray(values as (ArrayValue | null)[]) : makeArray(values);
  };
}

/** `arr[i]` and `arr[l:u]`; NULL when the array or a subscript is. */
export function compileSubscript(node: SubscriptNode, compiler: Compiler): Evaluate {
  const arg = compiler.value(node.arg);
  const optional = (part: Node | undefined): Evaluate | undefined => part && compiler.value(part);
  if (node.subscripts.some((one) => one.slice)) {
    const parts = node.subscripts.map((one) =>
      one.slice ? { lower: optional(one.lower), upper: optional(one.upper) } : { lower: undefined, upper: undefined },
    );
    return (row, slot) => {
      const array = arg(row, slot);
      // The subscripts of a NULL are not looked at.
      if (array === null) return null;
      const bounds: SliceBounds[] = [];
      let missing = false;
      for (const { lower, upper } of parts) {
        const from = lower?.(row, slot);
        const to = upper?.(row, slot);
        missing ||= from === null || to === null;
        bounds.push({ lower: from as number | undefined, upper: to as number | undefined });
      }
      return missing ? null : slice(array as ArrayValue, bounds);
    };
  }
  const indexes = node.subscripts.map((one) => optional(one.slice ? undefined : one.index) as Evaluate);
  return (row, slot) => {
    const array = arg(row, slot);
    if (array === null) return null;
    const places: (Value | null)[] = indexes.map((index) => index(row, slot));
    if (places.includes(null)) return null;
    return subscript(array as ArrayValue, places as number[]);
  };
}
