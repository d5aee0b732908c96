import { castPath, isUnderstood, modifierOf } from '../functions/cast-paths.ts';
import { columnCollations, columnType, userTypes, type ClauseColumn } from '../column.ts';
import { ClauseRefusal } from '../errors.ts';
import { printPath } from '../syntax/names.ts';
import type { Syntax, TypeSyntax } from '../syntax/syntax.ts';
import { connect, type ConstNode, type Node } from '../tree.ts';
import { fitsInteger } from '../types/numbers.ts';
import { arrayOf, type as typeNamed, typeByName } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import { bindBinary, bindFunction, bindUnary } from './bind-call.ts';
import { bindAnything, bindBetween, bindDistinct, bindIn, bindLike, bindSimilar, bindTruth } from './bind-predicate.ts';
import {
  bindArray,
  bindCase,
  bindChoice,
  bindNullif,
  bindQuantified,
  bindRowDistinct,
  bindRowIn,
  bindRowNull,
  bindRows,
  bindSubscript,
} from './bind-structure.ts';
import { checkEquality, isCollatable } from './collation.ts';
import type { BindContext, ClauseTable } from './context.ts';
import {
  BOOL,
  coerce,
  constant,
  convertConstant,
  modifyConstant,
  operandType,
  readLiteral,
  TEXT,
  typeOfNode,
  type Bound,
} from './operand.ts';

export interface BindOptions {
  readonly params: ReadonlyMap<number, string>;
  readonly columns: readonly ClauseColumn[];
  readonly table: ClauseTable | undefined;
  /** The text is canonical SQL made earlier: what needs catalog facts was checked then (see parseStoredWhere). */
  readonly stored: boolean;
  /** See BindContext. */
  readonly postgresOnly?: boolean;
}

/** A column cannot be cast to these, whatever Postgres says (spec W R28). */
const NOT_CASTABLE: ReadonlySet<string> = new Set(['json']);

/** Gives a clause its one Postgres meaning: names, parameters, types, operators (spec W 3). Throws ClauseRefusal. */
export function bindClause(clause: Syntax, options: BindOptions): Node {
  return new Binder(options).clause(clause);
}

class Binder implements BindContext {
  readonly #options: BindOptions;
  readonly #columns: ReadonlyMap<string, ClauseColumn>;
  readonly #userTypes: ReadonlyMap<string, Type>;
  /** Values of parameters whose first use was seen. */
  readonly #fixed = new Map<number, ConstNode>();

  constructor(options: BindOptions) {
    this.#options = options;
    this.#columns = new Map(options.columns.map((column) => [column.name, column]));
    this.#userTypes = userTypes(options.columns);
  }

  get stored(): boolean {
    return this.#options.stored;
  }

  get postgresOnly(): boolean {
    return this.#options.postgresOnly === true;
  }

  get databaseCollation(): ClauseTable['databaseCollation'] {
    return this.#options.table?.databaseCollation;
  }

  clause(clause: Syntax): Node {
    const bound = this.operand(clause);
    const type = operandType(bound);
    if (type !== BOOL && type !== 'unknown') throw new ClauseRefusal('WHERE clause must return a boolean');
    return coerce(bound, BOOL, this.fix);
  }

  readonly fix = (param: number, value: ConstNode): void => {
    this.#fixed.set(param, value);
  };

  operand(syntax: Syntax): Bound {
    const { at } = syntax;
    switch (syntax.kind) {
      case 'null':
        return plain({ kind: 'unknown', text: null, param: undefined }, at);
      case 'string':
        return plain({ kind: 'unknown', text: syntax.text, param: undefined }, at);
      case 'true':
        return plain(constant(BOOL, true, 't'), at);
      case 'false':
        return plain(constant(BOOL, false, 'f'), at);
      case 'integer':
        return plain(signedInteger('', syntax.text, at), at);
      case 'decimal':
        return plain(numericLiteral(syntax.text, at), at);
      case 'bits':
        throw new ClauseRefusal('BitString values are not supported', at);
      case 'param':
        return this.#parameter(syntax.number, at);
      case 'column':
        return this.#column(syntax.path, at);
      case 'cast':
        return this.#cast(syntax.arg, syntax.type, at);
      case 'collate':
        return this.#collate(syntax.arg, syntax.name, at);
      case 'call':
        return bindFunction(this, syntax);
      case 'unary':
        return this.#unary(syntax.op, syntax.arg, at);
      case 'binary':
        return this.#binary(syntax);
      case 'not':
        return plain({ kind: 'not', arg: this.bool(syntax.arg) }, at);
      case 'and':
      case 'or': {
        const args = syntax.args.map((arg) => this.bool(arg));
        return plain(connect(syntax.kind, args), at);
      }
      case 'isNull': {
        const { arg, negated } = syntax;
        if (arg.kind === 'row') return plain(bindRowNull(this, arg, negated), at);
        return plain({ kind: 'isNull', arg: bindAnything(this, arg), negated }, at);
      }
      case 'isTruth':
        return plain(bindTruth(this, syntax), at);
      case 'distinct':
        return plain(this.#distinct(syntax), at);
      case 'between':
        return plain(bindBetween(this, syntax), at);
      case 'in':
        return plain(syntax.arg.kind === 'row' ? bindRowIn(this, syntax.arg, syntax) : bindIn(this, syntax), at);
      case 'like': {
        const operands = { arg: this.operand(syntax.arg), pattern: this.operand(syntax.pattern) };
        return plain(bindLike(this, { ...syntax, ...operands }, at), at);
      }
      case 'similar':
        return plain(bindSimilar(this, syntax), at);
      case 'quantified':
        return bindQuantified(this, syntax);
      case 'array':
        return bindArray(this, syntax);
      case 'subscript':
        return bindSubscript(this, syntax);
      case 'row':
        throw new ClauseRefusal('a row can only be compared with another row', at);
      case 'case':
        return bindCase(this, syntax);
      case 'coalesce':
      case 'greatest':
      case 'least':
        return bindChoice(this, syntax);
      case 'nullif':
        return bindNullif(this, syntax);
      case 'sqlValue':
        throw new ClauseRefusal('SQLValueFunction is not supported in this context', at);
      case 'subquery':
        if (this.postgresOnly) throw new ClauseRefusal('Subqueries are not allowed in subsets');
        throw subqueryRefusal(syntax);
    }
  }

  /** An operand of AND, OR or NOT. */
  bool(syntax: Syntax): Node {
    const bound = this.operand(syntax);
    const type = operandType(bound);
    if (type !== BOOL && type !== 'unknown') {
      const what = syntax.kind === 'column' ? `reference ${printPath(syntax.path)}` : 'expression';
      throw new ClauseRefusal(`${what} of type ${type.name} is not castable to bool`, bound.at);
    }
    return coerce(bound, BOOL, this.fix);
  }

  namedType(path: readonly string[]): Type | undefined {
    const [first, second] = path;
    if (path.length === 1) return typeByName(first as string) ?? this.#userTypes.get(first as string);
    if (path.length !== 2) return undefined;
    if (first === 'pg_catalog') return typeByName(second as string);
    return this.#userTypes.get(`${first}.${second}`);
  }

  #parameter(number: number, at: number): Bound {
    const fixed = this.#fixed.get(number);
    if (fixed !== undefined) return plain(fixed, at);
    const text = this.#options.params.get(number);
    if (text === undefined) throw new ClauseRefusal(`parameter $${number} was not provided`, at);
    return plain({ kind: 'unknown', text, param: number }, at);
  }

  #column(path: readonly string[], at: number): Bound {
    const column = this.#columns.get(path.at(-1) as string);
    if (column === undefined || !this.#isRootPath(path)) {
      throw new ClauseRefusal(`unknown reference ${printPath(path)}`, at);
    }
    const type = columnType(column, this.#userTypes);
    const node: Node = { kind: 'column', name: column.name, typeOid: column.typeOid, type };
    return { node, at, collations: columnCollations(column, type) };
  }

  /** `column`, `table.column` or `schema.table.column` of the root table. */
  #isRootPath(path: readonly string[]): boolean {
    if (path.length === 1) return true;
    const { table } = this.#options;
    if (table === undefined) return false;
    if (path.length === 2) return path[0] === table.name;
    return path.length === 3 && path[0] === table.schema && path[1] === table.name;
  }

  cast(bound: Bound, to: Type, at: number): Bound {
    if (!this.#isCastable(to)) throw new ClauseRefusal(`unsupported type ${to.name}`, at);
    return { node: this.#castNode(bound, to, at), at: bound.at, collations: castCollations(bound, to) };
  }

  #cast(arg: Syntax, syntax: TypeSyntax, at: number): Bound {
    const base = this.namedType(syntax.path);
    const to = base !== undefined && syntax.arrayDims > 0 ? arrayOf(base) : base;
    if (to === undefined || base === undefined || !this.#isCastable(base)) {
      throw new ClauseRefusal(`unsupported type ${syntax.name}${syntax.arrayDims > 0 ? '[]' : ''}`, syntax.at);
    }
    const { modifiers } = syntax;
    if (modifiers.length > 0 && modifierOf(to, modifiers) === undefined) {
      throw new ClauseRefusal(`unsupported type modifier on ${to.name}`, syntax.at);
    }
    if (arg.kind === 'array' && to.category === 'A') return { ...bindArray(this, arg, to), at };
    const bound = this.operand(arg);
    const node = this.#castNode(bound, to, at);
    const collations = castCollations(bound, to);
    if (modifiers.length === 0) return { node, at: bound.at, collations };
    if (node.kind === 'const') return { node: modifyConstant(node, modifiers, at), at: bound.at, collations };
    const plainCast = node.kind === 'cast' && !node.implicit && node.to === to && node.modifiers.length === 0;
    const inner = plainCast ? node.arg : node;
    return { node: { kind: 'cast', to, modifiers, implicit: false, arg: inner, at }, at: bound.at, collations };
  }

  /** Canonical SQL may say `NULL::json`. */
  #isCastable(to: Type): boolean {
    if (this.stored && to.name === 'json') return true;
    return to.compare !== undefined && !NOT_CASTABLE.has(to.name);
  }

  #castNode(bound: Bound, to: Type, at: number): Node {
    const { node } = bound;
    if (node.kind === 'unknown') {
      const value = readLiteral(node, to, bound.at, (text) => `could not cast value "${text}" from text to ${to.name}`);
      if (node.param !== undefined) this.fix(node.param, value);
      return value;
    }
    const from = typeOfNode(node);
    if (from === to) return node;
    const path = castPath(from, to);
    // Text of a type that is not understood need not be what the stream has.
    if (path === undefined || !isUnderstood(from)) {
      throw new ClauseRefusal(`unknown cast from type ${from.name} to type ${to.name}`, bound.at);
    }
    if (node.kind === 'const' && path.immutable) {
      const converted = tryConvert(node, to, at);
      if (converted !== undefined) return converted;
    }
    return { kind: 'cast', to, modifiers: [], implicit: false, arg: node, at };
  }

  #collate(arg: Syntax, name: readonly string[], at: number): Bound {
    const known = name.at(-1) === 'C' && (name.length === 1 || (name.length === 2 && name[0] === 'pg_catalog'));
    if (!known) throw new ClauseRefusal('CollateClause is not supported in this context', at);
    const bound = this.operand(arg);
    const type = operandType(bound);
    const node = type === 'unknown' ? coerce(bound, TEXT, this.fix) : bound.node;
    if (type !== 'unknown' && !isCollatable(type)) {
      throw new ClauseRefusal(`collations are not supported by type ${type.name}`, at);
    }
    // Under such a collation equal text need not be the same text, and canonical SQL says COLLATE only where text is ordered.
    checkEquality(TEXT, [bound], at);
    return { node, at: bound.at, collations: 'C' };
  }

  /** Postgres puts the sign into a number literal before it looks for an operator. */
  #unary(op: string, arg: Syntax, at: number): Bound {
    if (op === '-' && arg.kind === 'integer') return plain(signedInteger('-', arg.text, at), at);
    if (op === '-' && arg.kind === 'decimal') return plain(numericLiteral(`-${arg.text}`, at), at);
    return bindUnary(this, op, this.operand(arg), at);
  }

  #binary(syntax: Extract<Syntax, { kind: 'binary' }>): Bound {
    const { op, left, right, at } = syntax;
    if (left.kind === 'row' && right.kind === 'row') return plain(bindRows(this, op, left, right, at), at);
    const first = this.operand(left);
    return bindBinary(this, op, first, this.operand(right), at);
  }

  #distinct(syntax: Extract<Syntax, { kind: 'distinct' }>): Node {
    const { left, right, negated, at } = syntax;
    if (left.kind === 'row' && right.kind === 'row') return bindRowDistinct(this, left, right, negated, at);
    const first = this.operand(left);
    return bindDistinct(this, first, this.operand(right), negated, at);
  }
}

/** A `name` sorts by bytes; but a cast keeps the collation of an operand that has one. */
function castCollations(bound: Bound, to: Type): Bound['collations'] {
  const { node } = bound;
  const own = node.kind === 'unknown' || node.kind === 'const' || !isCollatable(typeOfNode(node));
  if (to.name === 'name' && own) return 'C';
  return isCollatable(to) ? bound.collations : [];
}

/** Undefined when that fails: whether it matters is decided when the clause is folded. */
function tryConvert(node: ConstNode, to: Type, at: number): ConstNode | undefined {
  try {
    return convertConstant(node, to, at);
  } catch (error) {
    if (error instanceof ClauseRefusal) return undefined;
    throw error;
  }
}

function plain(node: Bound['node'], at: number): Bound {
  return { node, at, collations: [] };
}

/** int4 when it fits, else int8, else numeric. The sign counts: `-2147483648` is an int4. */
function signedInteger(sign: string, digits: string, at: number): ConstNode {
  const value = digits.length > 1000 ? undefined : BigInt(digits) * (sign === '-' ? -1n : 1n);
  if (value !== undefined && fitsInteger('int4', value)) return parsed('int4', String(value), at);
  if (value !== undefined && fitsInteger('int8', value)) return parsed('int8', String(value), at);
  return numericLiteral(`${sign}${digits}`, at);
}

function numericLiteral(text: string, at: number): ConstNode {
  return parsed('numeric', text, at);
}

function parsed(type: string, text: string, at: number): ConstNode {
  const literal = { kind: 'unknown', text, param: undefined } as const;
  return readLiteral(literal, typeNamed(type), at, () => `number is too long or out of range for type ${type}`);
}

function subqueryRefusal(syntax: Extract<Syntax, { kind: 'subquery' }>): ClauseRefusal {
  if (syntax.form === 'in' || syntax.form === 'notIn') {
    return new ClauseRefusal('subqueries are not supported yet', syntax.at);
  }
  return new ClauseRefusal('only `value IN (SELECT ...)` sublinks are supported right now', syntax.at);
}
