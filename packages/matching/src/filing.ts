import { filePostings } from './atom-postings.ts';
import type { Constant } from './lift.ts';
import { SignatureGroup, type GroupContext } from './signature-group.ts';
import type { Signature } from './signatures/signature.ts';
import type { SlotTable } from './slot-table.ts';
import { IdPool } from './structures/id-pool.ts';
import { Int32Column } from './structures/int32-column.ts';
import { IntStack } from './structures/int-stack.ts';
import { PostingPool } from './structures/posting-pool.ts';

/** A hit of this entry makes the clause TRUE. */
export const EXACT = 1;
/** A hit of this entry says little: the whole clause has to be evaluated. Without either flag, only its rest. */
export const FULL = 2;
export const ENTRY_BITS = 2;

/** A posting that gets longer is split, when its entries can be told apart by something else. */
const SPLIT_ABOVE = 32;
/** A group with fewer registrations is dissolved. */
const MERGE_BELOW = 8;
/** Entries looked at when a posting is split; the others cannot be split (see `#place`). */
const MAX_MOVED = 64;

/**
 * Which slots are filed under which postings (spec W 9.6). A registration is a slot in a posting; each slot keeps the list
 * of its registrations, so taking a shape out costs what it put in.
 *
 * A posting that becomes long gets a group of signatures of its own, by which entries are told apart that have more to be
 * looked up by; the others stay in the posting itself.
 */
export class Filing {
  readonly root: SignatureGroup;
  readonly #slots: SlotTable;
  readonly #context: GroupContext;
  readonly #pool = new PostingPool();
  readonly #registrationIds = new IdPool();
  /** By registration: slot and flags, posting, and the slot's next registration plus one. */
  readonly #entries = new Int32Column();
  readonly #postings = new Int32Column();
  readonly #next = new Int32Column();
  /** By slot: its first registration plus one. */
  readonly #first = new Int32Column();
  readonly #postingIds = new IdPool();
  /** By posting: its signature's number, and what the signature calls it. */
  readonly #signatureOf = new Int32Column();
  readonly #localOf = new Int32Column();
  readonly #signatures: ({ readonly signature: Signature; readonly group: SignatureGroup } | undefined)[] = [];
  readonly #signatureNumbers = new Map<Signature, number>();
  readonly #signatureIds = new IdPool();
  /** By posting: the group that splits it. */
  readonly #splits = new Map<number, SignatureGroup>();
  readonly #scratch = new IntStack();

  constructor(slots: SlotTable, options: { readonly ordinalOf: (column: string) => number; readonly seed: number }) {
    this.#slots = slots;
    const createPosting: GroupContext['createPosting'] = (...of) => this.#createPosting(...of);
    this.#context = { ...options, createPosting };
    this.root = new SignatureGroup(this.#context);
  }

  get registrations(): number {
    return this.#registrationIds.size;
  }

  get postings(): number {
    return this.#postingIds.size;
  }

  get splits(): number {
    return this.#splits.size;
  }

  /** The group that splits a posting. */
  splitOf(posting: number): SignatureGroup | undefined {
    return this.#splits.size === 0 ? undefined : this.#splits.get(posting);
  }

  /** Appends the registrations directly in a posting. */
  copyTo(posting: number, out: IntStack): void {
    this.#pool.copyTo(posting, out);
  }

  /** Slot and flags of a registration: `slot << ENTRY_BITS | flags`. */
  entryOf(registration: number): number {
    return this.#entries.get(registration);
  }

  /** Files a slot by the cover of its template. */
  add(slot: number, constants: readonly Constant[]): void {
    this.#first.reserve(slot + 1);
    this.#file(slot, this.root, 0, constants);
  }

  /** Takes a slot out of every posting. */
  remove(slot: number): void {
    const shrunk = new Set<SignatureGroup>();
    let registration = this.#first.get(slot) - 1;
    this.#first.set(slot, 0);
    while (registration >= 0) {
      const next = this.#next.get(registration) - 1;
      this.#withdraw(registration, shrunk);
      registration = next;
    }
    this.#mergeSmall(shrunk);
  }

  #file(slot: number, group: SignatureGroup, flags: number, constants: readonly Constant[]): void {
    const template = this.#slots.templateOf(slot);
    const cover = template.coverAt(group.depth);
    if (cover === undefined) throw new Error('a template without cover is filed');
    const whenExact = cover.rest === undefined ? EXACT : 0;
    for (const atom of cover.atoms) {
      filePostings(group, atom, constants, (posting, exact) => {
        if (posting === undefined) return;
        const flagsHere = flags === FULL || !exact ? FULL : whenExact;
        const splits = flagsHere !== EXACT && template.coverAt(group.depth + 1) !== undefined;
        if (!splits || !this.#placeInside(posting, slot, group, flagsHere, constants)) {
          this.#register(posting, slot, flagsHere);
        }
      });
    }
  }

  /**
   * Entries that can be told apart further go into the group that splits the posting, once there is one. So of the entries
   * directly in a posting, hardly more than SPLIT_ABOVE could be split off, and they are among the first.
   *
   * False when the entry has to be put into the posting itself.
   */
  #placeInside(
    posting: number,
    slot: number,
    group: SignatureGroup,
    flags: number,
    constants: readonly Constant[],
  ): boolean {
    if (!this.#signatureAt(posting).splittable) return false;
    const inside = this.#splits.get(posting) ?? this.#split(posting, group);
    return inside !== undefined && this.#fileInside(slot, inside, flags, constants);
  }

  /** False when the slot's constants are such that no row can be looked up by them. */
  #fileInside(slot: number, inside: SignatureGroup, flags: number, constants: readonly Constant[]): boolean {
    const before = inside.registrations;
    this.#file(slot, inside, flags, constants);
    if (inside.isEmpty) this.#splits.delete(inside.posting as number);
    else this.#splits.set(inside.posting as number, inside);
    return inside.registrations > before;
  }

  #split(posting: number, group: SignatureGroup): SignatureGroup | undefined {
    if (this.#pool.size(posting) < SPLIT_ABOVE) return undefined;
    const inside = new SignatureGroup(this.#context, { posting, group });
    for (const registration of this.#members(posting, MAX_MOVED)) {
      const entry = this.#entries.get(registration);
      const slot = entry >>> ENTRY_BITS;
      const flags = entry & (EXACT | FULL);
      const template = this.#slots.templateOf(slot);
      if (flags === EXACT || template.coverAt(inside.depth) === undefined) continue;
      if (!this.#fileInside(slot, inside, flags, template.constants(this.#slots.rowOf(slot)))) continue;
      this.#unlink(slot, registration);
      this.#forget(registration, posting);
      this.#countIn(group, -1);
    }
    return inside;
  }

  #createPosting(group: SignatureGroup, signature: Signature, local: number): number {
    let number = this.#signatureNumbers.get(signature);
    if (number === undefined) {
      number = this.#signatureIds.take();
      this.#signatureNumbers.set(signature, number);
      this.#signatures[number] = { signature, group };
    }
    const posting = this.#postingIds.take();
    this.#signatureOf.reserve(posting + 1);
    this.#localOf.reserve(posting + 1);
    this.#signatureOf.set(posting, number);
    this.#localOf.set(posting, local);
    return posting;
  }

  #register(posting: number, slot: number, flags: number): void {
    const registration = this.#registrationIds.take();
    this.#entries.reserve(registration + 1);
    this.#postings.reserve(registration + 1);
    this.#next.reserve(registration + 1);
    this.#entries.set(registration, (slot << ENTRY_BITS) | flags);
    this.#postings.set(registration, posting);
    this.#next.set(registration, this.#first.get(slot));
    this.#first.set(slot, registration + 1);
    this.#pool.add(posting, registration);
    this.#countIn(this.#groupAt(posting), 1);
  }

  #withdraw(registration: number, shrunk: Set<SignatureGroup>): void {
    const posting = this.#postings.get(registration);
    const group = this.#groupAt(posting);
    this.#forget(registration, posting);
    this.#countIn(group, -1);
    for (let one: SignatureGroup | undefined = group; one?.parent !== undefined; one = one.parent) shrunk.add(one);
    this.#dropIfEmpty(posting);
  }

  #forget(registration: number, posting: number): void {
    this.#pool.remove(posting, registration);
    this.#registrationIds.give(registration);
  }

  #unlink(slot: number, registration: number): void {
    const after = this.#next.get(registration);
    let at = this.#first.get(slot) - 1;
    if (at === registration) {
      this.#first.set(slot, after);
      return;
    }
    while (this.#next.get(at) - 1 !== registration) at = this.#next.get(at) - 1;
    this.#next.set(at, after);
  }

  #countIn(group: SignatureGroup, by: number): void {
    for (let one: SignatureGroup | undefined = group; one !== undefined; one = one.parent) one.registrations += by;
  }

  #dropIfEmpty(posting: number): void {
    if (this.#pool.size(posting) > 0 || this.#splits.has(posting)) return;
    const number = this.#signatureOf.get(posting);
    const { signature, group } = this.#signatures[number] as { signature: Signature; group: SignatureGroup };
    signature.release(this.#localOf.get(posting));
    this.#postingIds.give(posting);
    if (!signature.isEmpty) return;
    group.drop(signature);
    this.#signatures[number] = undefined;
    this.#signatureNumbers.delete(signature);
    this.#signatureIds.give(number);
    if (!group.isEmpty || group.posting === undefined) return;
    this.#splits.delete(group.posting);
    this.#dropIfEmpty(group.posting);
  }

  /** The innermost first: what they held may make the outer ones small, or keep them. */
  #mergeSmall(groups: ReadonlySet<SignatureGroup>): void {
    for (const group of [...groups].sort((a, b) => b.depth - a.depth)) {
      const { registrations, posting } = group;
      if (registrations === 0 || registrations >= MERGE_BELOW || posting === undefined) continue;
      if (registrations + this.#pool.size(posting) <= SPLIT_ABOVE) this.#dissolve(group, posting);
    }
  }

  /** Puts the entries of a group directly into the posting it splits. */
  #dissolve(group: SignatureGroup, into: number): void {
    const inside: number[] = [];
    this.#collect(group, inside);
    const flagsOf = new Map<number, number>();
    for (const registration of inside) {
      const entry = this.#entries.get(registration);
      const slot = entry >>> ENTRY_BITS;
      flagsOf.set(slot, (flagsOf.get(slot) ?? 0) | (entry & FULL));
    }
    for (const [slot, flags] of flagsOf) this.#register(into, slot, flags);
    const shrunk = new Set<SignatureGroup>();
    for (const registration of inside) {
      this.#unlink(this.#entries.get(registration) >>> ENTRY_BITS, registration);
      this.#withdraw(registration, shrunk);
    }
  }

  #collect(group: SignatureGroup, into: number[]): void {
    for (const signature of group.signatures) {
      signature.forEachPosting((posting) => {
        into.push(...this.#members(posting, MERGE_BELOW));
        const inside = this.#splits.get(posting);
        if (inside !== undefined) this.#collect(inside, into);
      });
    }
  }

  #members(posting: number, limit: number): number[] {
    const from = this.#scratch.length;
    this.#pool.copyTo(posting, this.#scratch);
    const members: number[] = [];
    for (let i = from; i < this.#scratch.length && members.length < limit; i++) members.push(this.#scratch.get(i));
    this.#scratch.truncate(from);
    return members;
  }

  #signatureAt(posting: number): Signature {
    return (this.#signatures[this.#signatureOf.get(posting)] as { signature: Signature }).signature;
  }

  #groupAt(posting: number): SignatureGroup {
    return (this.#signatures[this.#signatureOf.get(posting)] as { group: SignatureGroup }).group;
  }
}
