import { valueKey, widening, type ArrayValue, type ConstNode, type Type, type Value } from '@shapecast/where';
import type { Atom, Source } from './atom.ts';
import type { Constant } from './lift.ts';
import { orderKey, type Key } from './reader.ts';
import type { SignatureGroup } from './signature-group.ts';
import { elementKeys, type ContainedBySignature, type ElementSignature } from './signatures/array.ts';
import type { ComplementSignature } from './signatures/complement.ts';
import type { CompositeSignature, EqualitySignature } from './signatures/equality.ts';
import type { NullSignature } from './signatures/null.ts';
import type { PatternSignature } from './signatures/pattern.ts';
import type { RangeBound, RangeSignature } from './signatures/range.ts';
import type { Signature } from './signatures/signature.ts';

/**
 * Told each posting that an entry goes into; undefined where no row can be looked up by the constant. With `exact`, a row
 * that hits the entry there makes the atom true.
 */
export type FileUnder = (posting: number | undefined, exact: boolean) => void;

/** Files an instance under the postings that an atom has for its constants; new ones are made. */
export function filePostings(group: SignatureGroup, atom: Atom, constants: readonly Constant[], file: FileUnder): void {
  const signature = group.signatureFor(atom, createSignature);
  filePostingsOf(signature, atom, constants, file);
  if (signature.isEmpty) group.drop(signature);
}

function filePostingsOf(signature: Signature, atom: Atom, constants: readonly Constant[], file: FileUnder): void {
  switch (atom.kind) {
    case 'equality': {
      const equality = signature as EqualitySignature;
      for (const value of valuesOf(atom, constants)) file(equality.postingFor(value), atom.exact);
      return;
    }
    case 'composite': {
      const values = atom.parts.map((part) => valuesOf(part, constants)[0] as Value);
      file((signature as CompositeSignature).postingFor(values), atom.exact);
      return;
    }
    case 'complement': {
      const complement = signature as ComplementSignature;
      file(complement.postingForAll(), atom.exact);
      // A key that stands for several values excludes none of them.
      if (!atom.exact) return;
      for (const value of valuesOf(atom, constants)) file(complement.postingExcluding(value), atom.exact);
      return;
    }
    case 'null':
      file((signature as NullSignature).postingFor(atom.negated), atom.exact);
      return;
    case 'range':
      file(rangePosting(signature as RangeSignature<never>, atom, constants), atom.exact);
      return;
    case 'pattern': {
      const literal = literalOf(atom.part, constants[atom.slot] as Constant);
      if (atom.part === 'exact') {
        file((signature as EqualitySignature).postingFor(literal), atom.exact);
        return;
      }
      const { posting, exact } = (signature as PatternSignature).postingFor(literal);
      file(posting, atom.exact && exact);
      return;
    }
    case 'starts': {
      const prefix = valuesOf(atom, constants)[0] as string;
      const { posting, exact } = (signature as PatternSignature).postingFor(prefix);
      file(posting, atom.exact && exact);
      return;
    }
    case 'array':
      fileElements(signature, atom, constants, file);
  }
}

function createSignature(group: SignatureGroup, atom: Atom): Signature {
  switch (atom.kind) {
    case 'equality':
      return group.equality(atom.node, atom.by);
    case 'composite':
      return group.composite(atom.parts);
    case 'complement':
      return group.complement(atom.node, atom.by, atom);
    case 'null':
      return group.nulls(atom.node);
    case 'range':
      return group.range(atom.node, atom.by);
    case 'pattern':
      return atom.part === 'exact'
        ? group.textEquality(atom.node, atom.fold)
        : group.pattern(atom.node, atom.fold, atom.part);
    case 'starts':
      return group.pattern(atom.node, undefined, 'prefix');
    case 'array': {
      const element = atom.by.element as Type;
      return atom.mode === 'containedBy' ? group.containedBy(atom.node, element) : group.elements(atom.node, element);
    }
  }
}

function fileElements(
  signature: Signature,
  atom: Extract<Atom, { kind: 'array' }>,
  constants: readonly Constant[],
  file: FileUnder,
): void {
  const [value] = valuesOf(atom, constants);
  const keyOf = valueKey(atom.by.element as Type);
  if (atom.mode === 'any') {
    file((signature as ElementSignature).postingFor(keyOf(value as Value)), atom.exact);
    return;
  }
  const array = value as ArrayValue;
  const keys = elementKeys(array, keyOf);
  switch (atom.mode) {
    case 'contains': {
      // NULL is never contained.
      if (array.elements.includes(null)) return;
      const rarest = rarestOf(signature as ElementSignature, keys);
      if (rarest !== undefined) file((signature as ElementSignature).postingFor(rarest), atom.exact);
      return;
    }
    case 'overlaps':
      for (const key of keys) file((signature as ElementSignature).postingFor(key), atom.exact);
      return;
    case 'containedBy':
      file((signature as ContainedBySignature).postingForEmpty(), atom.exact);
      for (const key of keys) file((signature as ContainedBySignature).postingFor(key), atom.exact);
  }
}

/** An element nobody waits for yet, or any. */
function rarestOf(signature: ElementSignature, keys: ReadonlySet<Key>): Key | undefined {
  let chosen: Key | undefined;
  for (const key of keys) {
    chosen ??= key;
    if (signature.find(key) < 0) return key;
  }
  return chosen;
}

function rangePosting(
  signature: RangeSignature<never>,
  atom: Extract<Atom, { kind: 'range' }>,
  constants: readonly Constant[],
): number {
  const textual = signature.key.startsWith('text');
  let low: RangeBound<string | number> | undefined;
  let high: RangeBound<string | number> | undefined;
  for (const { op, source } of atom.bounds) {
    const value = valuesOf({ source, by: atom.by }, constants)[0] as Value;
    const at = textual ? (valueKey(atom.by)(value) as string) : orderKey(value);
    // A rounded bound takes in what was rounded to it.
    const bound = { at, open: atom.exact && (op === '<' || op === '>') };
    if (op === '>' || op === '>=') low = bound;
    else high = bound;
  }
  return (signature as unknown as RangeSignature<string | number>).postingFor(low, high);
}

function literalOf(part: 'exact' | 'prefix' | 'suffix' | 'substring', constant: Constant): string {
  if (constant.role !== 'pattern') throw new Error('the slot of a pattern holds something else');
  const { kind, literal, prefix, suffix, longest } = constant.shape;
  if (kind === part) return literal;
  return part === 'prefix' ? prefix : part === 'suffix' ? suffix : longest;
}

/** The constants of an operand, as values of the type that decides the comparison. */
function valuesOf(
  { source, by }: { readonly source: Source; readonly by: Type },
  constants: readonly Constant[],
): readonly Value[] {
  if ('constant' in source) return [widened(source.constant.value as Value, source.constant.type, by)];
  const constant = constants[source.slot];
  if (constant?.role === 'value') return [widened(constant.value, constant.type, by)];
  if (constant?.role !== 'list') throw new Error('the slot of a value holds a pattern');
  return constant.items.map((item: ConstNode) => widened(item.value as Value, item.type, by));
}

function widened(value: Value, from: Type, by: Type): Value {
  return widening(from, by)?.(value) ?? value;
}
