import type { Constant, Lifted } from './lift.ts';
import type { SlotTable } from './slot-table.ts';
import { HashTable } from './structures/hash-table.ts';
import { KeyedHash } from './structures/keyed-hash.ts';
import { Template, type TemplateContext } from './template.ts';

/** Texts that many constants share are kept once; those beyond so many are forgotten and may be there twice. */
const MAX_INTERNED = 10_000;
/** Longer texts are not likely to be shared. */
const MAX_INTERNED_LENGTH = 64;

/** The templates of a table and their instances: finds the slot of a clause that is already there. */
export class TemplateSet {
  readonly #slots: SlotTable;
  readonly #context: TemplateContext;
  readonly #byKey = new Map<string, Template>();
  /** Hash of template and constants to slot. */
  readonly #instances = new HashTable();
  readonly #hash: KeyedHash;
  readonly #interned = new Map<string, string>();
  #nextId = 1;
  /** What was hashed last. */
  #hashed: readonly Constant[] | undefined;
  #hashedBy: Template | undefined;
  #hashValue = 0;

  constructor(slots: SlotTable, context: Omit<TemplateContext, 'intern'> & { readonly seed: number }) {
    this.#slots = slots;
    this.#context = { ...context, intern: this.#intern };
    this.#hash = new KeyedHash({ seed: context.seed });
  }

  get size(): number {
    return this.#byKey.size;
  }

  all(): IterableIterator<Template> {
    return this.#byKey.values();
  }

  find(key: string): Template | undefined {
    return this.#byKey.get(key);
  }

  /** A template that is not there yet; it is from its first instance on. */
  create(lifted: Lifted): Template {
    return new Template(this.#nextId++, lifted, this.#context);
  }

  /** The instance with these constants; -1 when there is none. */
  findInstance(template: Template, constants: readonly Constant[]): number {
    const hash = this.#hashOf(template, constants);
    for (let slot = this.#instances.first(hash); slot >= 0; slot = this.#instances.next()) {
      if (this.#slots.templateOf(slot) !== template) continue;
      if (template.holds(this.#slots.rowOf(slot), constants)) return slot;
    }
    return -1;
  }

  /** A slot for an instance that is not there yet. */
  take(template: Template, constants: readonly Constant[]): number {
    this.#byKey.set(template.key, template);
    const slot = this.#slots.take(template);
    template.set(this.#slots.rowOf(slot), constants);
    this.#instances.add(this.#hashOf(template, constants), slot);
    return slot;
  }

  /** True when the template has gone with its last instance. */
  release(slot: number): boolean {
    const template = this.#slots.templateOf(slot);
    const row = this.#slots.rowOf(slot);
    this.#hash.start();
    template.absorbRow(this.#hash, row);
    this.#instances.remove(this.#hash.finish(0, template.id), slot);
    template.clear(row);
    const isLast = this.#slots.release(slot);
    if (isLast) this.#byKey.delete(template.key);
    return isLast;
  }

  readonly #intern = (text: string): string => {
    if (text.length > MAX_INTERNED_LENGTH) return text;
    const known = this.#interned.get(text);
    if (known !== undefined) return known;
    if (this.#interned.size >= MAX_INTERNED) this.#interned.clear();
    this.#interned.set(text, text);
    return text;
  };

  /** Adding asks twice for the same constants: whether they are there, and where they go. */
  #hashOf(template: Template, constants: readonly Constant[]): number {
    if (this.#hashed === constants && this.#hashedBy === template) return this.#hashValue;
    this.#hash.start();
    template.absorb(this.#hash, constants);
    this.#hashed = constants;
    this.#hashedBy = template;
    this.#hashValue = this.#hash.finish(0, template.id);
    return this.#hashValue;
  }
}
