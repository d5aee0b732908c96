import { InputError } from '../errors.ts';
import { parseSimilar, type Pattern } from './similar-pattern.ts';

/** Steps a text is checked against for every character; Postgres allows more, which we refuse. */
const MAX_STATES = 500;

/** Consumes one character, and is followed by any of `next`; the last state of all has no test and ends the match. */
interface State {
  readonly matches: ((code: number) => boolean) | undefined;
  /** Direct successors; among them may be states that consume nothing. */
  readonly next: readonly number[];
}

/**
 * Compiles a pattern of SIMILAR TO (spec W 1.5): whether it matches the whole of a text. `escape` may be empty. Throws
 * InputError for patterns Postgres refuses, and for what we do not read: classes such as `[:alpha:]`, escapes of letters
 * and digits, separators of substring, more than 500 states.
 *
 * A match takes O(text x states), whatever the pattern: all ways to match are followed at once.
 */
export function compileSimilar(pattern: string, escape = '\\'): (text: string) => boolean {
  const states: State[] = [{ matches: undefined, next: [] }];
  const first = build(states, parseSimilar(pattern, escape), 0);
  const reachable = states.map((state) => consuming(states, state.next));
  const start = consuming(states, [first]);
  return (text) => run(states, reachable, start, text);
}

/** Adds the states of a pattern that is followed by the state `next`; returns the one it begins with. */
function build(states: State[], pattern: Pattern, next: number): number {
  switch (pattern.kind) {
    case 'set':
      return add(states, pattern.matches, [next]);
    case 'sequence':
      return pattern.items.reduceRight((after, item) => build(states, item, after), next);
    case 'choice': {
      const branches = pattern.branches.map((branch) => build(states, branch, next));
      return add(states, undefined, branches);
    }
    case 'repeat': {
      let after = next;
      if (pattern.max === undefined) {
        const successors = [next];
        after = add(states, undefined, successors);
        successors.push(build(states, pattern.item, after));
      } else {
        for (let i = pattern.min; i < pattern.max; i++) {
          after = add(states, undefined, [next, build(states, pattern.item, after)]);
        }
      }
      for (let i = 0; i < pattern.min; i++) {
        const before = build(states, pattern.item, after);
        // Nothing but the empty text: as often as one likes, and nested counts would multiply.
        if (before === after) break;
        after = before;
      }
      return after;
    }
  }
}

function add(states: State[], matches: State['matches'], next: readonly number[]): number {
  if (states.length >= MAX_STATES) throw new InputError('pattern is too complex');
  states.push({ matches, next });
  return states.length - 1;
}

/** The states that wait for a character, or end the match, among those reached without one. */
function consuming(states: readonly State[], from: readonly number[]): readonly number[] {
  const seen = new Set(from);
  const found: number[] = [];
  // Grows while it is read.
  for (const id of seen) {
    const state = states[id] as State;
    if (id === 0 || state.matches !== undefined) found.push(id);
    else for (const successor of state.next) seen.add(successor);
  }
  return found;
}

function run(
  states: readonly State[],
  reachable: readonly (readonly number[])[],
  start: readonly number[],
  text: string,
): boolean {
  const seenAt = new Int32Array(states.length).fill(-1);
  let current = start;
  let step = 0;
  for (const char of text) {
    const code = char.codePointAt(0) as number;
    const following: number[] = [];
    for (const id of current) {
      if (states[id]?.matches?.(code) !== true) continue;
      for (const target of reachable[id] as readonly number[]) {
        if (seenAt[target] === step) continue;
        seenAt[target] = step;
        following.push(target);
      }
    }
    if (following.length === 0) return false;
    current = following;
    step++;
  }
  return current.includes(0);
}
