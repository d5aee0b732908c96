import { fnOf } from '../functions/registry.ts';
import { ASCII_CASE_FUNCTIONS } from '../functions/text.ts';
import { valueTypeOf, type CallNode } from '../tree.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Value } from '../types/value.ts';

/** The function behind an operator or function call. Of a strict one no argument is null. */
export type CallFn = (...args: readonly (Value | null)[]) => Value | null;

const BOOL = typeNamed('bool');

export function fnOfCall(node: CallNode): CallFn {
  const types = node.args.map((arg) => valueTypeOf(arg) ?? BOOL);
  const ascii = node.fold === 'ascii' ? ASCII_CASE_FUNCTIONS[node.signature] : undefined;
  const fn = typeof ascii === 'function' ? ascii : fnOf(node.signature, types, node.type);
  if (fn === undefined) throw new Error(`no implementation of ${node.signature}`);
  return fn as unknown as CallFn;
}
