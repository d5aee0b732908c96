import { dateToTimestamp } from '../types/datetime.ts';
import type { CompareOp } from '../tree.ts';
import type { Type } from '../types/type.ts';
import type { Value } from '../types/value.ts';

/** Whether `a op b` under the order of a type. */
export function comparison(by: Type, op: CompareOp): (a: Value, b: Value) => boolean {
  if (by.plain === true || (by.identical === true && (op === '=' || op === '<>'))) return PLAIN[op];
  const compare = orderOf(by);
  switch (op) {
    case '=':
      return (a, b) => compare(a, b) === 0;
    case '<>':
      return (a, b) => compare(a, b) !== 0;
    case '<':
      return (a, b) => compare(a, b) < 0;
    case '<=':
      return (a, b) => compare(a, b) <= 0;
    case '>':
      return (a, b) => compare(a, b) > 0;
    case '>=':
      return (a, b) => compare(a, b) >= 0;
  }
}

const PLAIN: Readonly<Record<CompareOp, (a: Value, b: Value) => boolean>> = {
  '=': (a, b) => a === b,
  '<>': (a, b) => a !== b,
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};

export function orderOf(by: Type): (a: Value, b: Value) => number {
  if (by.compare === undefined) throw new Error(`values of type ${by.name} have no order`);
  return by.compare;
}

/** Comparing the dates of two types never overflows, unlike the cast, which has the range of a timestamp. */
export function widening(from: Type, by: Type): ((value: Value) => Value) | undefined {
  if (from.name === 'date' && by.name !== 'date') return (value) => dateToTimestamp(value as number);
  return undefined;
}
