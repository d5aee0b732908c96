import type { Reader } from '../reader.ts';
import type { RowImage } from '../change-images.ts';
import { IntStack } from '../structures/int-stack.ts';
import { PrefixDirectory } from '../structures/prefix-directory.ts';
import { SubstringDirectory } from '../structures/substring-directory.ts';
import { PostingSignature } from './posting-signature.ts';
import type { PostingIds, ProbeSink } from './signature.ts';

/** Finds which of many literals a text begins with, ends with, or has in it. */
interface LiteralTable {
  acquire(literal: string): number;
  probe(text: string, out: IntStack): void;
  /** False when a hit may mean less than that the text has the whole literal. */
  isExact(id: number): boolean;
  release(id: number): void;
}

export function literalTable(part: 'prefix' | 'suffix' | 'substring', seed: number): LiteralTable {
  if (part !== 'substring') return new PrefixDirectory({ seed, reversed: part === 'suffix' });
  const table = new SubstringDirectory({ seed });
  return {
    acquire: (literal) => table.acquire(literal),
    probe: (text, out) => {
      table.probe(text, out);
    },
    isExact: () => true,
    release: (id) => {
      table.release(id);
    },
  };
}

/** `text LIKE 'abc%'` and its like. */
export class PatternSignature extends PostingSignature {
  readonly #read: Reader<unknown>['read'];
  readonly #table: LiteralTable;
  readonly #found = new IntStack();

  constructor(key: string, reader: Reader<unknown>, table: LiteralTable, ids: PostingIds) {
    super(key, reader.columns, ids);
    this.#read = reader.read;
    this.#table = table;
  }

  postingFor(literal: string): { readonly posting: number; readonly exact: boolean } {
    const local = this.#table.acquire(literal);
    return { posting: this.postingAt(local), exact: this.#table.isExact(local) };
  }

  override probe(image: RowImage, sink: ProbeSink): void {
    const text = this.#read(image.values);
    if (text === null) return;
    const found = this.#found;
    found.clear();
    this.#table.probe(text as string, found);
    for (let i = 0; i < found.length; i++) sink.hit(this.postings.get(found.get(i)));
  }

  override same(a: RowImage, b: RowImage): boolean {
    return this.#read(a.values) === this.#read(b.values);
  }

  override release(local: number): void {
    this.postings.delete(local);
    this.#table.release(local);
  }
}
