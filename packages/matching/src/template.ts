import {
  columnsOf,
  compileTest,
  generateScan,
  generateTest,
  type Node,
  type Scan,
  type SlotSource,
  type Test,
} from '@shapecast/where';
import type { ChangeImages } from './change-images.ts';
import { coverOf, kindOf } from './cover.ts';
import type { Cover } from './cover-set.ts';
import type { IndexKind } from './atom.ts';
import type { Constant, Lifted } from './lift.ts';
import { shareParts, type Scope, type SharedParts } from './shared-parts.ts';
import { createSlotColumn, type SlotColumn } from './slot-column.ts';
import type { Fractions } from './statistics.ts';
import type { KeyedHash } from './structures/keyed-hash.ts';
import { describe } from './template-text.ts';

/** How deep postings are split; each level uses up a part of the predicate. */
const MAX_DEPTH = 4;
/** A split by what most rows hit is none. */
const WORTH_SPLITTING = 0.35;

/** What all templates of a table are made with. */
export interface TemplateContext {
  readonly ordinalOf: (column: string) => number;
  readonly fractions: Fractions;
  readonly intern: (text: string) => string;
  /** Evaluations after which a predicate becomes code of its own. */
  readonly generateAfter: number;
  /** Has to say the row before the test of a scanned template is called. */
  readonly scope: Scope;
}

/**
 * Clauses that differ only in their constants (spec W 9.4): one predicate, one cover and one compiled test for all of
 * them; an instance is a row of constants.
 */
export class Template {
  readonly id: number;
  /** What it is found by: `Lifted.key`. */
  readonly key: string;
  readonly tree: Node;
  readonly columns: readonly SlotColumn[];
  /** Ordinals of the columns of the table that the predicate looks at. */
  readonly ordinals: readonly number[];
  readonly kind: IndexKind;
  /** Evaluations of its tests so far. */
  evaluations = 0;
  /** Shapes with this template. */
  shapes = 0;
  /** Number of the change it was last asked about, and whether that touched a column it looks at. */
  #askedFor = 0;
  #isTouched = false;
  readonly #covers: (Cover | undefined)[];
  readonly #ordinalOf: (column: string) => number;
  readonly #fractions: Fractions;
  readonly #scope: Scope;
  readonly #generateAfter: number;
  readonly #constants: readonly Constant[];
  #full: Test | undefined;
  #rest: Test | undefined;
  #scan: Scan | undefined;
  #sharedParts: SharedParts | undefined;
  /** The tests are code, as far as that is possible. */
  #isGenerated = false;

  constructor(id: number, { tree, constants, key }: Lifted, context: TemplateContext) {
    this.id = id;
    this.key = key;
    this.tree = tree;
    this.columns = constants.map((constant) => createSlotColumn(constant, context.intern));
    this.ordinals = columnsOf(tree).map(context.ordinalOf);
    this.#ordinalOf = context.ordinalOf;
    this.#fractions = context.fractions;
    this.#scope = context.scope;
    this.#generateAfter = context.generateAfter;
    this.#constants = constants;
    this.#covers = [coverOf(tree, { constants, fractions: context.fractions })];
    this.kind = kindOf(this.#covers[0]);
  }

  /** How instances are found; at greater depths, within the postings of the cover before. */
  coverAt(depth: number): Cover | undefined {
    if (depth < this.#covers.length || depth >= MAX_DEPTH) return this.#covers[depth];
    const rest = this.coverAt(depth - 1)?.rest;
    const cover = rest && coverOf(rest, { constants: this.#constants, fractions: this.#fractions });
    const useful = cover !== undefined && cover.atoms.length > 0 && cover.cost <= WORTH_SPLITTING;
    this.#covers[depth] = useful ? cover : undefined;
    return this.#covers[depth];
  }

  /** The predicate for people, `$n` and `?` for constants. */
  get text(): string {
    return describe(this.tree);
  }

  /** The whole predicate. */
  get full(): Test {
    this.#generate();
    return (this.#full ??= compileTest(this.#tested(), this.#ordinalOf, this.#source()));
  }

  /** The whole predicate for all instances; undefined while, or because, it is no code of its own. */
  get scan(): Scan | undefined {
    this.#generate();
    return this.#scan;
  }

  /** What an exact hit of the cover leaves to check. */
  get rest(): Test {
    this.#generate();
    return (this.#rest ??= compileTest(this.#restTree, this.#ordinalOf, this));
  }

  get #restTree(): Node {
    return this.coverAt(0)?.rest ?? this.tree;
  }

  /** Code takes longer to make than closures, so only what is evaluated often gets it. */
  #generate(): void {
    if (this.#isGenerated || this.evaluations < this.#generateAfter) return;
    this.#isGenerated = true;
    this.#full = generateTest(this.#tested(), this.#ordinalOf, this.#source()) ?? this.#full;
    if (this.kind === 'scan') this.#scan = generateScan(this.#tested(), this.#ordinalOf, this.#source());
    else this.#rest = generateTest(this.#restTree, this.#ordinalOf, this) ?? this.#rest;
  }

  /** The predicate with what is the same for all instances apart, where many of them look at one row after another. */
  #tested(): Node {
    return this.#shared()?.tree ?? this.tree;
  }

  #source(): SlotSource {
    const shared = this.#shared();
    return shared === undefined ? this : { columns: [...this.columns, ...shared.columns] };
  }

  #shared(): SharedParts | undefined {
    if (this.kind !== 'scan' || this.columns.length === 0) return undefined;
    const context = { ordinalOf: this.#ordinalOf, scope: this.#scope };
    return (this.#sharedParts ??= shareParts(this.tree, this.columns.length, context));
  }

  /** Whether the change at hand touches a column the predicate looks at. */
  isTouchedBy(images: ChangeImages): boolean {
    if (this.#askedFor !== images.number) {
      this.#askedFor = images.number;
      this.#isTouched = images.anyChanged(this.ordinals);
    }
    return this.#isTouched;
  }

  /** The numbers of changes start again. */
  forget(): void {
    this.#askedFor = 0;
  }

  set(row: number, constants: readonly Constant[]): void {
    for (const [i, column] of this.columns.entries()) column.set(row, constants[i] as Constant);
  }

  clear(row: number): void {
    for (const column of this.columns) column.clear(row);
  }

  holds(row: number, constants: readonly Constant[]): boolean {
    for (let i = 0; i < constants.length; i++) {
      if (!(this.columns[i] as SlotColumn).equals(row, constants[i] as Constant)) return false;
    }
    return true;
  }

  absorb(hash: KeyedHash, constants: readonly Constant[]): void {
    for (let i = 0; i < constants.length; i++) (this.columns[i] as SlotColumn).absorb(hash, constants[i] as Constant);
  }

  absorbRow(hash: KeyedHash, row: number): void {
    for (const column of this.columns) column.absorbRow(hash, row);
  }

  constants(row: number): readonly Constant[] {
    return this.columns.map((column) => column.constant(row));
  }
}
