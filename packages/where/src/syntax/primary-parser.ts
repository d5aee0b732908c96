import { ClauseRefusal } from '../errors.ts';
import { CallParser } from './call-parser.ts';
import type { Grammar } from './grammar.ts';
import { isColumnWord, isFunctionWord, SELECT_STARTS, SQL_VALUE_FUNCTIONS, UNSUPPORTED_FUNCTIONS } from './keywords.ts';
import type { Token } from './lexer.ts';
import { WHOLE, type Parsing } from './precedence.ts';
import { isSpecialForm, SpecialForms } from './special-forms.ts';
import { SubqueryParser } from './subquery-parser.ts';
import type { SubquerySyntax, SubscriptSyntax, Syntax, TypeSyntax } from './syntax.ts';
import { namedType, type TypeParser } from './type-parser.ts';

const MAX_PARAM = 65_535;
/** Postgres's MAXDIM. */
const MAX_ARRAY_DIMS = 6;

/** Postgres's `c_expr`, what operators stand between: constants, columns, calls, CASE, arrays and parentheses. */
export class PrimaryParser {
  readonly #grammar: Grammar;
  readonly #types: TypeParser;
  readonly #calls: CallParser;
  readonly #forms: SpecialForms;
  readonly #subqueries: SubqueryParser;

  constructor(grammar: Grammar, types: TypeParser) {
    this.#grammar = grammar;
    this.#types = types;
    this.#calls = new CallParser(grammar);
    this.#forms = new SpecialForms(grammar, types, this.#calls);
    this.#subqueries = new SubqueryParser(grammar);
  }

  /** The short way for what most operands are: a constant, or a column with nothing behind its name but an operator. */
  leaf(): Syntax | undefined {
    const { tokens } = this.#grammar;
    const { kind, text, at } = tokens.peek();
    switch (kind) {
      case 'string':
      case 'bits':
      case 'integer':
      case 'decimal':
        tokens.next();
        return this.#grammar.leaf({ kind, text, at });
      case 'word':
        if (!isColumnWord(text)) return undefined;
        break;
      case 'quoted':
        break;
      default:
        return undefined;
    }
    const after = tokens.peek(1);
    const isWhole =
      after.kind === 'punct'
        ? ENDS_NAME.has(after.text)
        : after.kind === 'word'
          ? !this.#types.isConstantAhead()
          : after.kind === 'op' || after.kind === 'end';
    if (!isWhole) return undefined;
    tokens.next();
    return this.#grammar.leaf({ kind: 'column', path: [text], at });
  }

  /** Everything but leaves. `restricted` as in the goal: rows are not compared with OVERLAPS there. */
  *primary(restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    const { at } = token;
    switch (token.kind) {
      case 'param':
        tokens.next();
        if (token.text.length > 5 || Number(token.text) > MAX_PARAM) {
          throw new ClauseRefusal(`parameter $${token.text} was not provided`, at);
        }
        return yield* this.#subscripts(this.#grammar.leaf({ kind: 'param', number: Number(token.text), at }), at);
      case 'quoted':
        return yield* this.#named();
      case 'word':
        return yield* this.#word(token, restricted);
      case 'punct':
        if (token.text === '(') return yield* this.#parenthesised(restricted);
        throw tokens.unexpected();
      default:
        throw tokens.unexpected();
    }
  }

  /** Whether a SELECT starts at this distance, behind an opening parenthesis. */
  isSelectAhead(distance: number): boolean {
    const { tokens } = this.#grammar;
    const token = tokens.peek(distance);
    if (token.kind !== 'word' || !SELECT_STARTS.has(token.text)) return false;
    // VALUES alone may be a column.
    return token.text !== 'values' || tokens.isPunct('(', distance + 1);
  }

  /** A SELECT in the parentheses that come next, of which there may be several pairs. */
  *subquery(): Parsing<SubquerySyntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.peek();
    let open = 0;
    do {
      tokens.expectPunct('(');
      open++;
    } while (tokens.isPunct('('));
    if (!this.isSelectAhead(0)) throw tokens.unexpected();
    let select = yield* this.#subqueries.select();
    for (;;) {
      tokens.expectPunct(')');
      if (--open === 0) break;
      if (!tokens.isPunct(')')) select = this.#subqueries.continued(select);
    }
    return this.#grammar.leaf({
      kind: 'subquery',
      form: 'scalar',
      left: undefined,
      op: undefined,
      all: false,
      select,
      at,
    });
  }

  *#word(token: Token, restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { text, at } = token;
    if (text === 'true' || text === 'false' || text === 'null') {
      tokens.next();
      return this.#grammar.leaf({ kind: text, at });
    }
    if (text === 'case') return yield* this.#case();
    if (text === 'array') return yield* this.#array();
    if (text === 'default') throw new ClauseRefusal('DEFAULT is not supported in this context', at);
    if (this.#types.isConstantAhead()) return this.#keywordConstant();
    const opens = tokens.isPunct('(', 1);
    if (SQL_VALUE_FUNCTIONS.has(text) && !(text === 'current_schema' && (opens || tokens.peek(1).kind === 'string'))) {
      return this.#sqlValue();
    }
    if (isSpecialForm(tokens)) return yield* this.#forms.form();
    if (!opens) return yield* this.#named();
    if (text === 'exists') return yield* this.#exists();
    if (text === 'row') return yield* this.#overlaps(yield* this.#row(), restricted);
    if (text === 'unique') throw new ClauseRefusal('UNIQUE is not supported in this context', at);
    if (text === 'grouping') throw new ClauseRefusal('aggregation is not supported in this context', at);
    const unsupported = UNSUPPORTED_FUNCTIONS.get(text);
    if (unsupported !== undefined) throw new ClauseRefusal(`${unsupported} is not supported in this context`, at);
    return yield* this.#named();
  }

  /** A column, a function call, or `type 'constant'` with a type that is no keyword. */
  *#named(): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const token = tokens.peek();
    const isWord = token.kind === 'word';
    const { at } = token;
    if (isWord && !isColumnWord(token.text) && !isFunctionWord(token.text)) throw tokens.unexpected();
    tokens.next();
    const path = [token.text];
    // Only a name that is also a column's can be qualified.
    if (!isWord || isColumnWord(token.text)) {
      while (tokens.skipPunct('.')) {
        if (tokens.isOperator('*')) throw new ClauseRefusal('ColumnRef with * is not supported in this context', at);
        path.push(tokens.label());
      }
    }
    const next = tokens.peek();
    const isFunction = path.length > 1 || !isWord || isFunctionWord(token.text);
    if (next.kind === 'string' && isFunction) {
      return this.#constant({ ...namedType(path, [], at), arrayDims: 0 }, this.#string());
    }
    if (next.kind === 'punct' && next.text === '(' && isFunction) return yield* this.#calls.call(path, at);
    if (isWord && !isColumnWord(token.text)) throw tokens.unexpected();
    return yield* this.#subscripts(this.#grammar.leaf({ kind: 'column', path, at }), at);
  }

  /** `type 'constant'` with a type that is a keyword. */
  #keywordConstant(): Syntax {
    const type = this.#types.constantType();
    const literal = this.#string();
    const hasFields = type.name === 'interval' && type.modifiers.length === 0;
    return this.#constant(hasFields ? { ...type, modifiers: this.#types.intervalFields() } : type, literal);
  }

  #string(): Token {
    const { tokens } = this.#grammar;
    if (tokens.peek().kind !== 'string') throw tokens.unexpected();
    return tokens.next();
  }

  #constant(type: TypeSyntax, { text, at }: Token): Syntax {
    const arg = this.#grammar.leaf({ kind: 'string', text, at } as const);
    return this.#grammar.node({ kind: 'cast', arg, type, at: type.at }, [arg]);
  }

  #sqlValue(): Syntax {
    const { tokens } = this.#grammar;
    const { text, at } = tokens.next();
    if ((text.endsWith('time') || text.endsWith('timestamp')) && tokens.skipPunct('(')) {
      tokens.smallInteger();
      tokens.expectPunct(')');
    }
    return this.#grammar.leaf({ kind: 'sqlValue', name: text, at });
  }

  *#parenthesised(restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.peek();
    if (this.isSelectAhead(1)) return yield* this.#subscripts(yield* this.subquery(), at);
    tokens.next();
    const inner = yield WHOLE;
    if (tokens.skipPunct(',')) return yield* this.#overlaps(yield* this.#rowItems([inner], false, at), restricted);
    if (inner.kind === 'subquery' && inner.form === 'scalar' && !tokens.isPunct(')')) {
      // `((SELECT ...) UNION ...)`
      const select = this.#subqueries.continued(inner.select);
      tokens.expectPunct(')');
      return yield* this.#subscripts(this.#grammar.leaf({ ...inner, select }), at);
    }
    tokens.expectPunct(')');
    return yield* this.#subscripts(inner, at);
  }

  /** ROW comes next, then its parenthesis. */
  *#row(): Parsing<RowSyntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.next();
    tokens.expectPunct('(');
    if (tokens.skipPunct(')')) return this.#grammar.leaf({ kind: 'row', items: [], explicit: true, at } as const);
    return yield* this.#rowItems([], true, at);
  }

  *#rowItems(first: readonly Syntax[], explicit: boolean, at: number): Parsing<RowSyntax> {
    const { tokens } = this.#grammar;
    const items = [...first];
    do items.push(yield WHOLE);
    while (tokens.skipPunct(','));
    tokens.expectPunct(')');
    return this.#grammar.node({ kind: 'row', items, explicit, at }, items);
  }

  /** `(a, b) OVERLAPS (c, d)`: OVERLAPS joins rows only, and binds as tightly as they do. */
  *#overlaps(left: RowSyntax, restricted: boolean): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    if (restricted || !tokens.isWord('overlaps')) return left;
    const { at } = tokens.next();
    const opening = tokens.peek();
    let right: RowSyntax;
    if (tokens.isWord('row') && tokens.isPunct('(', 1)) {
      right = yield* this.#row();
    } else {
      tokens.expectPunct('(');
      right = yield* this.#rowItems([], false, opening.at);
    }
    if (left.items.length !== 2 || right.items.length !== 2) throw tokens.unexpected(opening);
    return this.#grammar.call('overlaps', [...left.items, ...right.items], at);
  }

  *#exists(): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.next();
    return this.#grammar.leaf({ ...(yield* this.subquery()), form: 'exists', at });
  }

  *#case(): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.next();
    const arg = tokens.isWord('when') ? undefined : yield WHOLE;
    const whens: { when: Syntax; then: Syntax }[] = [];
    do {
      tokens.expectWord('when');
      const when = yield WHOLE;
      tokens.expectWord('then');
      whens.push({ when, then: yield WHOLE });
    } while (tokens.isWord('when'));
    const otherwise = tokens.skipWord('else') ? yield WHOLE : undefined;
    tokens.expectWord('end');
    const children = [arg, ...whens.flatMap(({ when, then }) => [when, then]), otherwise];
    return this.#grammar.node(
      { kind: 'case', arg, whens, otherwise, at },
      children.filter((child) => child !== undefined),
    );
  }

  /** `ARRAY[...]` with the arrays in it, or `ARRAY(SELECT ...)`. */
  *#array(): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const { at } = tokens.next();
    if (tokens.isPunct('(')) {
      return this.#grammar.leaf({ ...(yield* this.subquery()), form: 'array' as const, at });
    }
    if (!tokens.isPunct('[')) throw tokens.unexpected();
    tokens.next();
    /** Arrays that are not closed yet, the innermost last. Their elements are all arrays, or none of them is. */
    const open: { readonly at: number; readonly items: Syntax[]; nested?: boolean }[] = [{ at, items: [] }];
    for (;;) {
      const array = open.at(-1) as (typeof open)[number];
      const token = tokens.peek();
      if (tokens.isPunct('[') && array.nested !== false) {
        array.nested = true;
        if (open.length === MAX_ARRAY_DIMS) {
          throw new ClauseRefusal(
            `number of array dimensions exceeds the maximum allowed (${MAX_ARRAY_DIMS})`,
            token.at,
          );
        }
        tokens.next();
        open.push({ at: token.at, items: [] });
        continue;
      }
      const isEmpty = array.items.length === 0 && tokens.isPunct(']');
      if (!isEmpty) {
        if (array.nested === true) throw tokens.unexpected();
        array.nested = false;
        array.items.push(yield* this.#grammar.listItem());
        if (tokens.skipPunct(',')) continue;
      }
      const closed = this.#closeArrays(open);
      if (closed !== undefined) return closed;
    }
  }

  /** Closes arrays until a comma asks for one more element. The outermost one when that closed, too. */
  #closeArrays(open: { readonly at: number; readonly items: Syntax[] }[]): Syntax | undefined {
    const { tokens } = this.#grammar;
    for (;;) {
      tokens.expectPunct(']');
      const { at, items } = open.pop() as (typeof open)[number];
      const array = this.#grammar.node({ kind: 'array', items, at } as const, items);
      const parent = open.at(-1);
      if (parent === undefined) return array;
      parent.items.push(array);
      if (tokens.skipPunct(',')) return undefined;
    }
  }

  /** `[i]` and `[lower:upper]` behind a column, a parameter or a parenthesis. */
  *#subscripts(arg: Syntax, at: number): Parsing<Syntax> {
    const { tokens } = this.#grammar;
    const subscripts: SubscriptSyntax[] = [];
    const children = [arg];
    while (tokens.skipPunct('[')) {
      const lower = tokens.isPunct(':') ? undefined : yield WHOLE;
      if (lower !== undefined) children.push(lower);
      if (lower !== undefined && !tokens.isPunct(':')) {
        subscripts.push({ slice: false, index: lower });
      } else {
        tokens.expectPunct(':');
        const upper = tokens.isPunct(']') ? undefined : yield WHOLE;
        if (upper !== undefined) children.push(upper);
        subscripts.push({ slice: true, lower, upper });
      }
      tokens.expectPunct(']');
    }
    if (tokens.isPunct('.')) throw new ClauseRefusal('composite fields are not supported in this context', at);
    return subscripts.length === 0 ? arg : this.#grammar.node({ kind: 'subscript', arg, subscripts, at }, children);
  }
}

type RowSyntax = Extract<Syntax, { kind: 'row' }>;

/** What may follow a name that is a column and nothing else. */
const ENDS_NAME: ReadonlySet<string> = new Set([')', ']', ',', ';', ':', '::']);
