import { castFrom, hasTextOutput, lengthModifier } from '../functions/casts.ts';
import { columnType, FIRST_USER_OID, typeLabel, type ClauseColumn } from '../column.ts';
import { ClauseRefusal } from '../errors.ts';
import { AGGREGATES } from '../syntax/keywords.ts';
import { printPath } from '../syntax/names.ts';
import { coerce, constant, convertConstant, operandType, readLiteral, type Bound } from './operand.ts';
import { PredicateBinder, type BindExpression } from './bind-predicate.ts';
import type { Syntax, TypeSyntax } from '../syntax/syntax.ts';
import { connect, type ConstNode, type Node } from '../tree.ts';
import { fitsInteger } from '../types/numbers.ts';
import { scalarType, type TypeName } from '../types/scalar-type.ts';

/** The table a clause is about; lets it write `table.column`. */
export interface ClauseTable {
  readonly schema: string;
  readonly name: string;
}

export interface BindOptions {
  readonly params: ReadonlyMap<number, string>;
  readonly columns: readonly ClauseColumn[];
  readonly table: ClauseTable | undefined;
  /** The text is canonical SQL made earlier: what needs catalog facts was checked then (see parseStoredWhere). */
  readonly stored: boolean;
}

const SUPPORTED: ReadonlySet<string> = new Set<TypeName>([
  'bool',
  'int2',
  'int4',
  'int8',
  'numeric',
  'float4',
  'float8',
  'text',
  'varchar',
  'bpchar',
  'name',
  'uuid',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]);

const NOT_BOOLEAN: ReadonlySet<string> = new Set(['+', '-', '*', '/', '%', '^', '||']);

/** Gives a clause its one Postgres meaning: names, parameters, types, operators (spec W 3). Throws ClauseRefusal. */
export function bindClause(clause: Syntax, options: BindOptions): Node {
  return new Binder(options).clause(clause);
}

class Binder implements BindExpression {
  readonly #options: BindOptions;
  readonly #columns: ReadonlyMap<string, ClauseColumn>;
  /** Values of parameters whose first use was seen. */
  readonly #fixed = new Map<number, ConstNode>();
  readonly #predicates: PredicateBinder;

  constructor(options: BindOptions) {
    this.#options = options;
    this.#columns = new Map(options.columns.map((column) => [column.name, column]));
    this.#predicates = new PredicateBinder(this, { stored: options.stored });
  }

  clause(clause: Syntax): Node {
    const bound = this.#topLevel(clause);
    const type = operandType(bound);
    if (type !== 'bool' && type !== 'unknown') throw new ClauseRefusal('WHERE clause must return a boolean');
    return coerce(bound, 'bool', this.fix);
  }

  /** Arithmetic has no boolean result, whatever its operands are: that is the better thing to say about it. */
  #topLevel(clause: Syntax): Bound {
    if (clause.kind === 'binary' && NOT_BOOLEAN.has(clause.op)) {
      this.operand(clause.left);
      this.operand(clause.right);
      throw new ClauseRefusal('WHERE clause must return a boolean');
    }
    return this.operand(clause);
  }

  readonly fix = (param: number, value: ConstNode): void => {
    this.#fixed.set(param, value);
  };

  operand(syntax: Syntax): Bound {
    const { at } = syntax;
    switch (syntax.kind) {
      case 'null':
        return literal({ kind: 'unknown', text: null, param: undefined }, at);
      case 'string':
        return literal({ kind: 'unknown', text: syntax.text, param: undefined }, at);
      case 'true':
        return literal(constant('bool', true, 't'), at);
      case 'false':
        return literal(constant('bool', false, 'f'), at);
      case 'integer':
        return literal(integerLiteral(syntax.text, at), at);
      case 'decimal':
        return literal(numericLiteral(syntax.text, at), at);
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
        return this.#call(syntax.name, syntax.args.length, at);
      case 'unary':
        return this.#unary(syntax.op, syntax.arg, at);
      case 'not':
        return literal({ kind: 'not', arg: this.bool(syntax.arg) }, at);
      case 'and':
      case 'or':
        return literal(
          connect(
            syntax.kind,
            syntax.args.map((arg) => this.bool(arg)),
          ),
          at,
        );
      default:
        return literal(this.#predicates.bind(syntax), at);
    }
  }

  column(name: string): ClauseColumn | undefined {
    return this.#columns.get(name);
  }

  /** An operand of AND, OR or NOT. */
  bool(syntax: Syntax): Node {
    const bound = this.operand(syntax);
    const type = operandType(bound);
    if (type !== 'bool' && type !== 'unknown') {
      const what = syntax.kind === 'column' ? `reference ${printPath(syntax.path)}` : 'expression';
      throw new ClauseRefusal(`${what} of type ${labelOf(bound)} is not castable to bool`, bound.at);
    }
    return coerce(bound, 'bool', this.fix);
  }

  #parameter(number: number, at: number): Bound {
    const fixed = this.#fixed.get(number);
    if (fixed !== undefined) return literal(fixed, at);
    const text = this.#options.params.get(number);
    if (text === undefined) throw new ClauseRefusal(`parameter $${number} was not provided`, at);
    return literal({ kind: 'unknown', text, param: number }, at);
  }

  #column(path: readonly string[], at: number): Bound {
    const column = this.#columns.get(path.at(-1) as string);
    if (column === undefined || !this.#isRootPath(path)) {
      throw new ClauseRefusal(`unknown reference ${printPath(path)}`, at);
    }
    const type = columnType(column);
    const node: Node = { kind: 'column', name: column.name, typeOid: column.typeOid, type: type?.name };
    // A name sorts by bytes whatever the database's collation is.
    const collations = type?.name === 'name' ? 'C' : type?.category === 'S' ? [column] : [];
    return { node, at, collations };
  }

  /** `column`, `table.column` or `schema.table.column` of the root table. */
  #isRootPath(path: readonly string[]): boolean {
    if (path.length === 1) return true;
    const { table } = this.#options;
    if (table === undefined) return false;
    if (path.length === 2) return path[0] === table.name;
    return path.length === 3 && path[0] === table.schema && path[1] === table.name;
  }

  #cast(arg: Syntax, type: TypeSyntax, at: number): Bound {
    if (!SUPPORTED.has(type.name) || type.arrayDims > 0) {
      throw new ClauseRefusal(`unsupported type ${type.name}${'[]'.repeat(Math.min(type.arrayDims, 1))}`, type.at);
    }
    const to = type.name as TypeName;
    const modify = lengthModifier(to, type.modifiers);
    if (modify === undefined) throw new ClauseRefusal(`unsupported type modifier on ${to}`, type.at);
    const bound = this.operand(arg);
    const node = this.#castNode(bound, to, at);
    if (type.modifiers.length === 0) return { ...bound, node };
    if (node.kind === 'const') {
      if (node.value === null) return { ...bound, node };
      const value = modify(node.value);
      return { ...bound, node: constant(to, value, value as string) };
    }
    const inner = node.kind === 'cast' && !node.implicit && node.to === to ? node.arg : node;
    return { ...bound, node: { kind: 'cast', to, modifiers: type.modifiers, implicit: false, arg: inner } };
  }

  #castNode(bound: Bound, to: TypeName, at: number): Node {
    const { node } = bound;
    if (node.kind === 'unknown') {
      const value = readLiteral(node, to, bound.at, (text) => `could not cast value "${text}" from text to ${to}`);
      if (node.param !== undefined) this.fix(node.param, value);
      return value;
    }
    const from = operandType(bound) as TypeName | undefined;
    if (from === to) return node;
    if (from === undefined ? this.#isEnum(node) && to === 'text' : this.#castExists(node, from, to)) {
      if (node.kind === 'const') return convertConstant(node, to, at);
      return { kind: 'cast', to, modifiers: [], implicit: false, arg: node };
    }
    throw new ClauseRefusal(`unknown cast from type ${labelOf(bound, this.#columns)} to type ${to}`, bound.at);
  }

  #castExists(node: Node, from: TypeName, to: TypeName): boolean {
    if (castFrom(from, to) !== undefined) return true;
    return node.kind === 'column' && to === 'text' && hasTextOutput(from);
  }

  /** The stream does not say what kind a type is; that the clause was accepted once does. */
  #isEnum(node: Node): boolean {
    if (node.kind !== 'column' || node.typeOid < FIRST_USER_OID) return false;
    const column = this.#columns.get(node.name);
    if (column?.typeKind === undefined) return this.#options.stored;
    return column.typeKind === 'e' && (column.dims ?? 0) === 0;
  }

  #collate(arg: Syntax, name: readonly string[], at: number): Bound {
    const known = name.at(-1) === 'C' && (name.length === 1 || (name.length === 2 && name[0] === 'pg_catalog'));
    if (!known) throw new ClauseRefusal('CollateClause is not supported in this context', at);
    const bound = this.operand(arg);
    const type = operandType(bound);
    const node = type === 'unknown' ? coerce(bound, 'text', this.fix) : bound.node;
    if (type !== 'unknown' && (type === undefined || scalarType(type).category !== 'S')) {
      throw new ClauseRefusal(`collations are not supported by type ${labelOf(bound, this.#columns)}`, at);
    }
    return { node, at: bound.at, collations: 'C' };
  }

  #call(name: string, args: number, at: number): never {
    if (AGGREGATES.has(name)) throw new ClauseRefusal('aggregation is not supported in this context', at);
    throw new ClauseRefusal(`unknown or unsupported function ${name}/${args}`, at);
  }

  /** Signs on number literals; other unary operators come with arithmetic. */
  #unary(op: string, arg: Syntax, at: number): Bound {
    if ((op === '-' || op === '+') && (arg.kind === 'integer' || arg.kind === 'decimal')) {
      const sign = op === '-' ? '-' : '';
      const node =
        arg.kind === 'integer' ? signedInteger(sign, arg.text, at) : numericLiteral(`${sign}${arg.text}`, at);
      return literal(node, at);
    }
    throw new ClauseRefusal(`unknown unary operator "${op}"`, at);
  }
}

function literal(node: Bound['node'], at: number): Bound {
  return { node, at, collations: [] };
}

/** int4 when it fits, else int8, else numeric. */
function integerLiteral(text: string, at: number): ConstNode {
  return signedInteger('', text, at);
}

/** Postgres puts the sign into the constant before it looks for a type: `-2147483648` is an int4. */
function signedInteger(sign: string, digits: string, at: number): ConstNode {
  const value = digits.length > 1000 ? undefined : BigInt(digits) * (sign === '-' ? -1n : 1n);
  if (value !== undefined && fitsInteger('int4', value)) return parsed('int4', String(value), at);
  if (value !== undefined && fitsInteger('int8', value)) return parsed('int8', String(value), at);
  return numericLiteral(sign + digits, at);
}

function numericLiteral(text: string, at: number): ConstNode {
  return parsed('numeric', text, at);
}

function parsed(type: TypeName, text: string, at: number): ConstNode {
  return readLiteral(
    { kind: 'unknown', text, param: undefined },
    type,
    at,
    (bad) => `invalid syntax for type ${type}: ${bad}`,
  );
}

function labelOf(bound: Bound, columns?: ReadonlyMap<string, ClauseColumn>): string {
  const type = operandType(bound);
  if (type !== undefined) return type;
  const column = bound.node.kind === 'column' ? columns?.get(bound.node.name) : undefined;
  return column === undefined ? 'unknown' : typeLabel(column);
}
