import { valueKey, type Node, type Type } from '@shapecast/where';
import { keyReader, nullReader, orderReader, textReader, valueReader, type KeyReader, type Reader } from './reader.ts';
import type { Atom } from './atom.ts';
import { ComplementSignature } from './signatures/complement.ts';
import { ContainedBySignature, ElementSignature } from './signatures/array.ts';
import { CompositeSignature, EqualitySignature } from './signatures/equality.ts';
import { KeySpace } from './signatures/key-space.ts';
import { NullSignature } from './signatures/null.ts';
import { literalTable, PatternSignature } from './signatures/pattern.ts';
import { numberIntervals, RangeSignature, textIntervals } from './signatures/range.ts';
import type { PostingIds, Signature } from './signatures/signature.ts';

/** What all signatures of one index are made with. */
export interface GroupContext {
  readonly ordinalOf: (column: string) => number;
  readonly seed: number;
  /** Makes a posting of a signature of the group; `local` is what the signature calls it. */
  readonly createPosting: (group: SignatureGroup, signature: Signature, local: number) => number;
}

/** Types whose values are put in order as text; the others as numbers. */
const TEXTUAL = ['text', 'varchar', 'name', 'bpchar', 'uuid', 'bytea'];

/**
 * The signatures a row is looked up by: those of a whole table, or those inside one posting that has become too long
 * (spec W 9.6, adaptive splitting).
 */
export class SignatureGroup implements PostingIds {
  /** The posting this group splits; undefined for the table's own group. */
  readonly posting: number | undefined;
  readonly parent: SignatureGroup | undefined;
  readonly depth: number;
  /** Registrations in this group and in those inside it. */
  registrations = 0;
  signatures: readonly Signature[] = [];
  readonly #context: GroupContext;
  readonly #byKey = new Map<string, Signature>();
  readonly #byAtom = new WeakMap<Atom, Signature>();
  readonly #spaces = new Map<string, KeySpace>();

  constructor(context: GroupContext, inside?: { readonly posting: number; readonly group: SignatureGroup }) {
    this.#context = context;
    this.posting = inside?.posting;
    this.parent = inside?.group;
    this.depth = inside === undefined ? 0 : inside.group.depth + 1;
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  /** The signature of an atom; that it is known is remembered, because finding out takes longer than using it. */
  signatureFor(atom: Atom, create: (group: SignatureGroup, atom: Atom) => Signature): Signature {
    const known = this.#byAtom.get(atom);
    if (known !== undefined && this.#byKey.get(known.key) === known) return known;
    const signature = create(this, atom);
    this.#byAtom.set(atom, signature);
    return signature;
  }

  /** Called by its signatures. */
  create(signature: Signature, local: number): number {
    return this.#context.createPosting(this, signature, local);
  }

  equality(node: Node, by: Type): EqualitySignature {
    return this.#equality(keyReader(node, by, this.#context.ordinalOf));
  }

  /** Equality with the text that LIKE sees. */
  textEquality(node: Node, fold: 'ascii' | 'one' | undefined): EqualitySignature {
    return this.#equality(textReader(node, fold, this.#context.ordinalOf));
  }

  composite(parts: readonly { readonly node: Node; readonly by: Type }[]): CompositeSignature {
    const { ordinalOf, seed } = this.#context;
    const readers = parts.map(({ node, by }) => keyReader(node, by, ordinalOf));
    const key = `composite ${readers.map((reader) => reader.text).join(' & ')}`;
    return this.#get(
      key,
      () =>
        new CompositeSignature(
          key,
          readers.map((one) => this.#space(one)),
          this,
          seed,
        ),
    );
  }

  complement(
    node: Node,
    by: Type,
    { nullHits, variant }: { readonly nullHits: boolean; readonly variant: number },
  ): ComplementSignature {
    const reader = keyReader(node, by, this.#context.ordinalOf);
    const key = `${nullHits ? 'distinct' : 'complement'} ${variant} ${reader.text}`;
    return this.#get(key, () => new ComplementSignature(key, this.#space(reader), nullHits, this));
  }

  nulls(node: Node): NullSignature {
    const reader = nullReader(node, this.#context.ordinalOf);
    const key = `null ${reader.text}`;
    return this.#get(key, () => new NullSignature(key, reader, this));
  }

  range(node: Node, by: Type): RangeSignature<number> | RangeSignature<string> {
    const { ordinalOf } = this.#context;
    if (TEXTUAL.includes(by.name)) {
      const reader = textOrderReader(node, by, ordinalOf);
      const key = `text range ${reader.text}`;
      return this.#get(key, () => new RangeSignature(key, reader, textIntervals(), this));
    }
    const reader = orderReader(node, by, ordinalOf);
    const key = `range ${reader.text}`;
    return this.#get(key, () => new RangeSignature(key, reader, numberIntervals(), this));
  }

  pattern(node: Node, fold: 'ascii' | 'one' | undefined, part: 'prefix' | 'suffix' | 'substring'): PatternSignature {
    const { ordinalOf, seed } = this.#context;
    const reader = textReader(node, fold, ordinalOf);
    const key = `${part} ${reader.text}`;
    return this.#get(key, () => new PatternSignature(key, reader, literalTable(part, seed), this));
  }

  elements(node: Node, element: Type): ElementSignature {
    const { ordinalOf, seed } = this.#context;
    const reader = valueReader(node, element, ordinalOf);
    const key = `elements ${reader.text}`;
    return this.#get(key, () => new ElementSignature(key, reader, valueKey(element), this, seed));
  }

  containedBy(node: Node, element: Type): ContainedBySignature {
    const { ordinalOf, seed } = this.#context;
    const reader = valueReader(node, element, ordinalOf);
    const key = `contained by ${reader.text}`;
    return this.#get(key, () => new ContainedBySignature(key, reader, valueKey(element), this, seed));
  }

  /** Forgets a signature without postings. */
  drop(signature: Signature): void {
    this.#byKey.delete(signature.key);
    this.signatures = this.signatures.filter((other) => other !== signature);
    for (const [text, space] of this.#spaces) if (space.isEmpty) this.#spaces.delete(text);
  }

  #equality(reader: KeyReader): EqualitySignature {
    const key = `equality ${reader.text}`;
    return this.#get(key, () => new EqualitySignature(key, this.#space(reader), this));
  }

  /** The key of a signature says its class. */
  #get<S extends Signature>(key: string, create: () => S): S {
    const known = this.#byKey.get(key);
    if (known !== undefined) return known as S;
    const created = create();
    this.#byKey.set(key, created);
    this.signatures = [...this.signatures, created];
    return created;
  }

  #space(reader: KeyReader): KeySpace {
    let space = this.#spaces.get(reader.text);
    if (space === undefined) {
      space = new KeySpace(reader, this.#context.seed);
      this.#spaces.set(reader.text, space);
    }
    return space;
  }
}

function textOrderReader(node: Node, by: Type, ordinalOf: (column: string) => number): Reader<string> {
  const value = valueReader(node, by, ordinalOf);
  // For bpchar the blanks at the end do not count, neither for equality nor for order.
  const keyOf = valueKey(by) as (value: unknown) => string;
  const read: Reader<string>['read'] = (row) => {
    const found = value.read(row);
    return found === null ? null : keyOf(found);
  };
  return { text: `${value.text} ${by.name}`, columns: value.columns, read };
}
