import type { Test } from './compile.ts';

/** Stops at the first operand that is FALSE; NULL does not stop it (spec W 4). */
export function compileAnd(args: readonly Test[]): Test {
  const [first, second] = args;
  if (args.length === 2 && first !== undefined && second !== undefined) {
    return (row, slot) => {
      const left = first(row, slot);
      if (left === false) return false;
      const right = second(row, slot);
      return right === false ? false : left === null ? null : right;
    };
  }
  return (row, slot) => {
    let result: boolean | null = true;
    for (const arg of args) {
      const value = arg(row, slot);
      if (value === false) return false;
      if (value === null) result = null;
    }
    return result;
  };
}

/** Stops at the first operand that is TRUE. */
export function compileOr(args: readonly Test[]): Test {
  return (row, slot) => {
    let result: boolean | null = false;
    for (const arg of args) {
      const value = arg(row, slot);
      if (value === true) return true;
      if (value === null) result = null;
    }
    return result;
  };
}
