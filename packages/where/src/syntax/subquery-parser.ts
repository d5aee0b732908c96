import type { Grammar } from './grammar.ts';
import { AS_ONLY, FOLLOWING_CLAUSES, isColumnWord } from './keywords.ts';
import { WHOLE, type Parsing } from './precedence.ts';
import type { SubqueryText, Syntax } from './syntax.ts';

/** Words behind a SELECT without columns. */
const AFTER_COLUMNS: ReadonlySet<string> = new Set([...FOLLOWING_CLAUSES, 'from', 'into', 'where']);

/**
 * Parses the SELECT of a subquery as far as the engine could have a use for it. The rest is left out unread: a subquery with
 * more in it is refused whatever that is.
 */
export class SubqueryParser {
  readonly #grammar: Grammar;

  constructor(grammar: Grammar) {
    this.#grammar = grammar;
  }

  /** From SELECT, WITH, VALUES or TABLE up to the closing parenthesis, which is not taken. */
  *select(): Parsing<SubqueryText> {
    const { tokens } = this.#grammar;
    const { at } = tokens.peek();
    let select: SubqueryText = { columns: [], from: [], where: undefined, otherClauses: false, distinct: false, at };
    if (!tokens.skipWord('select')) return this.#skipRest(select);
    const distinct = tokens.skipWord('distinct');
    if (!distinct) tokens.skipWord('all');
    select = { ...select, distinct };
    if (distinct && tokens.isWord('on')) return this.#skipRest(select);
    const columns = yield* this.#columns();
    if (columns === undefined) return this.#skipRest(select);
    select = { ...select, columns };
    if (tokens.skipWord('from')) {
      const { from, complete } = this.#tables();
      select = { ...select, from };
      if (!complete) return this.#skipRest(select);
    }
    if (tokens.skipWord('where')) select = { ...select, where: yield WHOLE };
    return tokens.isPunct(')') ? select : this.#skipRest(select);
  }

  /** A SELECT in parentheses with UNION, LIMIT and so on behind it. */
  continued(select: SubqueryText): SubqueryText {
    const { tokens } = this.#grammar;
    if (!tokens.wordOf(FOLLOWING_CLAUSES)) throw tokens.unexpected();
    return this.#skipRest(select);
  }

  #skipRest(select: SubqueryText): SubqueryText {
    this.#grammar.tokens.skipToClosing();
    return { ...select, otherClauses: true };
  }

  /** Undefined, with the cursor anywhere, for `*`. */
  *#columns(): Parsing<Syntax[] | undefined> {
    const { tokens } = this.#grammar;
    const columns: Syntax[] = [];
    if (tokens.isPunct(')') || tokens.wordOf(AFTER_COLUMNS)) return columns;
    do {
      if (tokens.isOperator('*')) return undefined;
      columns.push(yield WHOLE);
      const next = tokens.peek();
      const isNamed = next.kind === 'quoted' || (next.kind === 'word' && !AS_ONLY.has(next.text));
      if (tokens.skipWord('as') || isNamed) tokens.label();
    } while (tokens.skipPunct(','));
    return columns;
  }

  /** Tables, up to the first that is not a name with or without an alias. */
  #tables(): { readonly from: SubqueryText['from']; readonly complete: boolean } {
    const { tokens } = this.#grammar;
    const from: SubqueryText['from'][number][] = [];
    do {
      const { kind, text, at } = tokens.peek();
      if (kind !== 'quoted' && !(kind === 'word' && isColumnWord(text))) return { from, complete: false };
      const path = tokens.path();
      const next = tokens.peek();
      const hasAlias =
        tokens.skipWord('as') || next.kind === 'quoted' || (next.kind === 'word' && isColumnWord(next.text));
      from.push({ path, alias: hasAlias ? tokens.columnName() : undefined, at });
    } while (tokens.skipPunct(','));
    return { from, complete: true };
  }
}
