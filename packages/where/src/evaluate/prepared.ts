import { compileLike, type LikeMatcher } from '../functions/like.ts';
import type { ConstNode, InNode, LikeNode } from '../tree.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';
import { widening } from './compare.ts';
import { valueKey } from './access.ts';

/** A list of constants made ready for lookups. */
export interface PreparedList {
  readonly hasNull: boolean;
  has(value: Value): boolean;
}

/** The list of an IN node whose items are constants, for the slot that replaces them. */
export function prepareList(node: InNode): PreparedList {
  if ('kind' in node.items) throw new Error('the list is a slot already');
  return prepareItems(node.items, node.by);
}

/** The pattern of a LIKE node, for the slot that replaces it. Null: the pattern is NULL. */
export function preparePattern(node: LikeNode): LikeMatcher | null {
  const { pattern, escape, fold } = node;
  if (pattern.kind !== 'const') throw new Error('the pattern is not a constant');
  return pattern.value === null ? null : compileLike(pattern.value as string, escape, fold);
}

export function prepareItems(items: readonly ConstNode[], by: Type): PreparedList {
  const keys = new Set<unknown>();
  let hasNull = false;
  // Set equality is that of these values: NaN is itself, -0 is 0, equal bigints are one.
  const keyOf = by.plain === true || by.identical === true ? (value: Value): unknown => value : valueKey(by);
  for (const { type, value } of items) {
    if (value === null) hasNull = true;
    else keys.add(keyOf(widening(type, by)?.(value) ?? value));
  }
  return { hasNull, has: (value) => keys.has(keyOf(value)) };
}
