import type { ArrayValue } from '../types/array-value.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/** Up to so many comparisons of two elements it is quicker to compare than to build something to look up. */
const FEW_COMPARISONS = 64;

/**
 * Whether `all` or `any` of the elements of `wanted` are among those of `whole`, whatever their places and how often.
 * NULL is among nothing. Time is near linear in the sizes even where every element has to be looked for.
 */
export function searchElements(
  element: Type,
): (whole: ArrayValue, wanted: ArrayValue, quantity: 'all' | 'any') => boolean {
  const { compare, identical } = element;
  if (compare === undefined) throw new Error(`no equality for ${element.name}`);
  return (whole, wanted, quantity) => {
    const all = quantity === 'all';
    const has =
      whole.elements.length * wanted.elements.length <= FEW_COMPARISONS
        ? scan(whole.elements, compare)
        : identical === true
          ? hashed(whole.elements)
          : sorted(whole.elements, compare);
    for (const one of wanted.elements) {
      if ((one !== null && has(one)) !== all) return !all;
    }
    return all;
  };
}

type Has = (wanted: Value) => boolean;

function scan(elements: readonly (Value | null)[], compare: (a: Value, b: Value) => number): Has {
  return (wanted) => elements.some((one) => one !== null && compare(one, wanted) === 0);
}

function hashed(elements: readonly (Value | null)[]): Has {
  const set = new Set(elements);
  return (wanted) => set.has(wanted);
}

function sorted(elements: readonly (Value | null)[], compare: (a: Value, b: Value) => number): Has {
  const order = elements.filter((one) => one !== null).sort(compare);
  return (wanted) => {
    let low = 0;
    let high = order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(order[middle] as Value, wanted) < 0) low = middle + 1;
      else high = middle;
    }
    return low < order.length && compare(order[low] as Value, wanted) === 0;
  };
}
