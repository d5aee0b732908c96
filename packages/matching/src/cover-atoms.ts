import { keyColumn, valueTypeOf, type ArrayValue, type LikeNode, type Node } from '@shapecast/where';
import type { Atom, Source } from './atom.ts';
import type { PlanContext } from './cover-set.ts';
import type { Constant } from './lift.ts';
import { hasSlot } from './template-text.ts';

/** What a LIKE with a constant pattern can be looked up by: the literal parts of the pattern. */
export function patternAtom(node: LikeNode, { constants, fractions }: PlanContext): Atom | undefined {
  const { arg, pattern, fold } = node;
  if (pattern.kind !== 'slot' || hasSlot(arg)) return undefined;
  const constant = constants[pattern.index];
  const by = valueTypeOf(arg);
  if (constant?.role !== 'pattern' || by === undefined) return undefined;
  const { kind, literal, prefix, suffix, longest } = constant.shape;
  if (kind === 'prefix' && literal === '') {
    // `%` matches everything that is not NULL.
    return {
      kind: 'null',
      node: arg,
      negated: true,
      exact: true,
      fraction: fractions.isNotNull(undefined),
      entries: 1,
    };
  }
  const atom = (part: 'exact' | 'prefix' | 'suffix' | 'substring', fraction: number): Atom => {
    const exact = kind === part;
    return { kind: 'pattern', node: arg, by, slot: pattern.index, part, fold, exact, fraction, entries: 1 };
  };
  switch (kind) {
    case 'exact':
      return atom('exact', fractions.equality(keyColumn(arg)?.name, by.name));
    case 'prefix':
    case 'suffix':
      return atom(kind, fractions.prefix(literal.length));
    case 'substring':
      return literal.length < MIN_NEEDLE ? undefined : atom(kind, fractions.substring(literal.length));
    case 'general': {
      const options: Atom[] = [];
      if (prefix !== '') options.push(atom('prefix', fractions.prefix(prefix.length)));
      if (suffix !== '') options.push(atom('suffix', fractions.prefix(suffix.length)));
      if (longest.length >= MIN_NEEDLE) options.push(atom('substring', fractions.substring(longest.length)));
      return options.sort((a, b) => a.fraction - b.fraction)[0];
    }
  }
}

/** Shorter needles occur everywhere; the table of substrings does not take them. */
const MIN_NEEDLE = 3;

/** Calls, and `constant = ANY (array)`, that rows can be looked up by. */
export function callAtom(node: Node, context: PlanContext): Atom | undefined {
  if (node.kind === 'quantified') return elementAtom(node, context);
  if (node.kind !== 'call') return undefined;
  const [left, right] = node.args;
  if (left === undefined || right === undefined) return undefined;
  switch (node.signature) {
    case 'starts_with(text,text)':
      return startsAtom(left, right, context);
    case 'arraycontains(anyarray,anyarray)':
      return arrayAtom(left, right, 'contains', context) ?? arrayAtom(right, left, 'containedBy', context);
    case 'arraycontained(anyarray,anyarray)':
      return arrayAtom(left, right, 'containedBy', context) ?? arrayAtom(right, left, 'contains', context);
    case 'arrayoverlap(anyarray,anyarray)':
      return arrayAtom(left, right, 'overlaps', context) ?? arrayAtom(right, left, 'overlaps', context);
    default:
      return undefined;
  }
}

function startsAtom(node: Node, prefix: Node, { constants, fractions }: PlanContext): Atom | undefined {
  const source = sourceOf(prefix);
  const by = valueTypeOf(node);
  const text = valueOf(source, constants);
  if (source === undefined || by === undefined || typeof text !== 'string' || hasSlot(node)) return undefined;
  return { kind: 'starts', node, by, source, exact: true, fraction: fractions.prefix(text.length), entries: 1 };
}

function arrayAtom(
  node: Node,
  constant: Node,
  mode: 'contains' | 'overlaps' | 'containedBy',
  { constants, fractions }: PlanContext,
): Atom | undefined {
  const source = sourceOf(constant);
  const by = valueTypeOf(node);
  const value = valueOf(source, constants);
  if (source === undefined || by === undefined || value === undefined || value === null || hasSlot(node))
    return undefined;
  if (by.element?.compare === undefined) return undefined;
  const elements = (value as ArrayValue).elements.length;
  const shared = { node, by, source, mode };
  switch (mode) {
    case 'contains':
      if (elements === 0) {
        return { kind: 'null', node, negated: true, exact: true, fraction: fractions.isNotNull(undefined), entries: 1 };
      }
      return { kind: 'array', ...shared, exact: elements === 1, fraction: fractions.contains(), entries: 1 };
    case 'overlaps':
      return { kind: 'array', ...shared, exact: true, fraction: fractions.overlaps(elements), entries: elements };
    case 'containedBy':
      return {
        kind: 'array',
        ...shared,
        exact: false,
        fraction: fractions.overlaps(elements + 1),
        entries: elements + 1,
      };
  }
}

/** `constant = ANY (array)` is the array having an element. */
function elementAtom(node: Extract<Node, { kind: 'quantified' }>, context: PlanContext): Atom | undefined {
  const { left, right, test, all } = node;
  const source = sourceOf(left);
  const by = valueTypeOf(right);
  if (all || source === undefined || by === undefined || hasSlot(right) || by.element?.compare === undefined)
    return undefined;
  if (test.kind !== 'compare' || test.op !== '=' || test.left.kind !== 'bound' || test.right.kind !== 'bound')
    return undefined;
  if (test.right.index !== 1 || test.by !== by.element) return undefined;
  if ('constant' in source && source.constant.value === null) return undefined;
  const shared = { node: right, by, source, mode: 'any' as const };
  return { kind: 'array', ...shared, exact: true, fraction: context.fractions.contains(), entries: 1 };
}

function sourceOf(node: Node): Source | undefined {
  if (node.kind === 'slot') return { slot: node.index };
  return node.kind === 'const' ? { constant: node } : undefined;
}

function valueOf(source: Source | undefined, constants: readonly Constant[]): unknown {
  if (source === undefined) return undefined;
  if ('constant' in source) return source.constant.value;
  const constant = constants[source.slot];
  return constant?.role === 'value' ? constant.value : undefined;
}
