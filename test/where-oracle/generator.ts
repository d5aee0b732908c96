import type { Chance } from '../support/chance.ts';
import { Booleans } from './booleans.ts';
import type { Catalog } from './catalog.ts';
import type { Sample } from './postgres.ts';
import { Scalars } from './scalars.ts';
import { apply, columnsOf, joined, operandsOf, plainStyle, render, type Style, type Term } from './term.ts';
import { VALUE_TYPES, type Construct } from './vocabulary.ts';

/** A clause with what the oracle has to know about it. */
export interface GeneratedClause {
  readonly term: Term;
  readonly text: string;
  readonly params: readonly string[];
  /** The construct this clause is about; undefined for clauses that are a mixture. */
  readonly about: string | undefined;
  /** Made ill-typed or ill-formed on purpose; the tree may then no longer say what the text says. */
  readonly mutated: boolean;
}

/** What is to become a clause: scalar expressions first have their values sampled. */
export interface Draft {
  readonly term: Term;
  readonly about: string | undefined;
}

/** Draws clauses: half of them about one construct each, in turn, the others mixtures. */
export class ClauseGenerator {
  readonly #chance: Chance;
  readonly #scalars: Scalars;
  readonly #booleans: Booleans;
  readonly #constructs: readonly Construct[];
  #deck: Construct[] = [];

  constructor(
    chance: Chance,
    catalog: Catalog,
    rows: readonly (readonly (string | null)[])[],
    only: RegExp | undefined,
  ) {
    this.#chance = chance;
    this.#scalars = new Scalars(chance, catalog, rows);
    this.#booleans = new Booleans(this.#scalars);
    const all = [...this.#scalars.constructs, ...this.#booleans.constructs];
    this.#constructs = only === undefined ? all : all.filter(({ name }) => only.test(name));
    if (this.#constructs.length === 0) throw new Error('no construct has such a name');
    this.#mixtures = only === undefined;
  }

  readonly #mixtures: boolean;

  get constructs(): readonly Construct[] {
    return this.#constructs;
  }

  /** The next expression, of any type. */
  draft(): Draft {
    const chance = this.#chance;
    if (this.#mixtures && chance.chance(0.4)) {
      return { term: this.#booleans.clause(1 + chance.int(4)), about: undefined };
    }
    const construct = this.#next();
    const depth = chance.chance(0.6) ? 0 : chance.int(3);
    let term = construct.make(depth);
    for (let i = 0; i < 6 && columnsOf(term).size === 0; i++) term = construct.make(depth);
    return { term, about: construct.name };
  }

  /** Clauses about an expression whose values are known. */
  clauses(draft: Draft, sample: Sample | undefined): GeneratedClause[] {
    if (draft.term.type === 'bool') return [this.#finish(draft.term, draft.about)];
    return this.#comparisons(draft.term, sample).map((term) => this.#finish(term, draft.about));
  }

  #next(): Construct {
    if (this.#deck.length === 0) {
      this.#deck = [...this.#constructs];
      for (let i = this.#deck.length - 1; i > 0; i--) {
        const j = this.#chance.int(i + 1);
        [this.#deck[i], this.#deck[j]] = [this.#deck[j] as Construct, this.#deck[i] as Construct];
      }
    }
    return this.#deck.pop() as Construct;
  }

  /** Two comparisons with values that the expression has: half of them in a list, and one to order by. */
  #comparisons(term: Term, sample: Sample | undefined): Term[] {
    const chance = this.#chance;
    if (sample === undefined || sample.values.length === 0) {
      return [apply('bool', `is null ${term.type}`, [term, chance.pick([' IS NULL', ' IS NOT NULL'])])];
    }
    // Literals of more than 1,000 digits are refused.
    const values = sample.values.filter(({ text }) => text.length <= 900);
    if (values.length === 0) return [apply('bool', `is null ${term.type}`, [term, ' IS NULL'])];
    const constant = (text: string): Term => ({ kind: 'constant', type: term.type, text, form: 'unknown' });
    const some = values.filter(() => chance.chance(0.5)).slice(0, 40);
    const half = some.length === 0 ? [chance.pick(values)] : some;
    const list = (left: Term, texts: readonly string[]): Term =>
      apply('bool', 'sampled in', [
        left,
        chance.chance(0.2) ? ' NOT IN (' : ' IN (',
        ...joined([...new Set(texts)].map(constant)),
        ')',
      ]);
    const asText = list(
      apply('text', `cast ${term.type} -> text`, [term, '::text']),
      half.map(({ text }) => text),
    );
    if (term.type === 'json') return [asText];
    const { wire } = chance.pick(values);
    const op = chance.pick(['<', '<=', '>', '>=', '=', '<>', 'IS NOT DISTINCT FROM', 'IS DISTINCT FROM']);
    const compared = apply('bool', `sampled ${op}`, [term, ` ${op} `, constant(wire)]);
    return [
      chance.chance(0.5)
        ? asText
        : list(
            term,
            half.map((one) => one.wire),
          ),
      compared,
    ];
  }

  #finish(term: Term, about: string | undefined): GeneratedClause {
    const chance = this.#chance;
    const style: Style = { ...plainStyle(), ...(chance.chance(0.4) ? { noise: chance } : {}) };
    const { params } = style;
    const roll = chance.next();
    if (roll < 0.8) return { term, text: render(term, style), params, about, mutated: false };
    if (roll < 0.9) {
      const bare = (): boolean => chance.chance(0.6);
      return { term, text: render(term, { ...style, bare }), params, about: undefined, mutated: true };
    }
    if (chance.chance(0.6)) {
      const mutant = this.#mutate(term);
      return { term: mutant, text: render(mutant, style), params, about: undefined, mutated: true };
    }
    const text = this.#garble(render(term, style));
    return { term, text, params, about: undefined, mutated: true };
  }

  /** Puts something of another type, or another operator, somewhere into the tree. */
  #mutate(term: Term): Term {
    const chance = this.#chance;
    const operands = operandsOf(term);
    if (term.kind !== 'apply' || operands.length === 0 || chance.chance(0.25)) {
      return chance.chance(0.3) ? this.#booleans.atom(1) : this.#scalars.scalar(chance.pick(VALUE_TYPES), 1);
    }
    if (chance.chance(0.2)) {
      const parts = term.parts.map((part) =>
        typeof part === 'string' ? part.replace(/^ [^\w\s(),[\]]+ $/, () => ` ${chance.pick(OPERATORS)} `) : part,
      );
      return { ...term, parts };
    }
    const victim = chance.pick(operands);
    return { ...term, parts: term.parts.map((part) => (part === victim ? this.#mutate(victim) : part)) };
  }

  /** Removes, repeats or inserts a token. */
  #garble(text: string): string {
    const chance = this.#chance;
    const tokens = text.match(/'(?:[^']|'')*'|\w+|\s+|[^\w\s]/g) ?? [];
    const at = chance.int(tokens.length + 1);
    const roll = chance.int(3);
    if (roll === 0) tokens.splice(at, 1);
    else if (roll === 1) tokens.splice(at, 0, tokens[at] ?? '');
    else tokens.splice(at, 0, chance.pick(TOKENS));
    return tokens.join('');
  }
}

const OPERATORS =
  '= <> < <= > >= + - * / % ^ & | # || && @> <@ ~~ !~~ ~~* -> ->> ? ?| << >> &< &> -|- ~ !~ #> #>> ^@ @@'.split(' ');
const TOKENS =
  ` ( ) [ ] , . ; : :: = <> != < > <= >= + - * / % ^ ~ || @> $1 $2 1 1.5 .5 1e3 0x1F AND OR NOT IN IS NULL TRUE
  LIKE BETWEEN SYMMETRIC DISTINCT FROM CASE WHEN END CAST AS int4 text ORDER ESCAPE COLLATE ARRAY ANY ALL ROW 'a' '1' s i4 b
  user now() current_date -- /* "i4" "" E'\\n' B'1' U&'\\0061' $$x$$ {} \\ @ ! é interval date 'today'`
    .trim()
    .split(/\s+/)
    .flatMap((token) => [token, ` ${token} `]);
