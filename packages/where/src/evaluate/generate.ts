import { castPath, modifierOf } from '../functions/cast-paths.ts';
import { compileLike } from '../functions/like.ts';
import { valueTypeOf, visit, type CallNode, type CastNode, type InNode, type LikeNode, type Node } from '../tree.ts';
import { type as typeNamed } from '../types/types.ts';
import type { Type } from '../types/type.ts';
import { fnOfCall } from './calls.ts';
import { comparison, orderOf, widening } from './compare.ts';
import { Compiler, type OrdinalOf, type SlotSource, type Test } from './compile.ts';
import { prepareItems } from './prepared.ts';
import type { RowValues } from './row-values.ts';

/**
 * Evaluates a predicate for consecutive slots and pushes those for which it is TRUE. `at.slot` is where it starts and, when
 * it throws, the slot it threw for.
 */
export type Scan = (row: RowValues, at: { slot: number }, limit: number, found: { push(slot: number): void }) => void;

const BOOL = typeNamed('bool');
/** Larger predicates stay closures. */
const MAX_NODES = 500;

let allowed: boolean | undefined;

/** Whether the process may make code at run time; `--disallow-code-generation-from-strings` forbids it. */
function mayGenerate(): boolean {
  if (allowed === undefined) {
    try {
      // eslint-disable-next-line @typescript-eslint/no-implied-eval -- asks whether this is allowed
      allowed = (new Function('return true') as () => boolean)();
    } catch {
      allowed = false;
    }
  }
  return allowed;
}

/**
 * The test that `compileTest` makes, as one function instead of a closure for every node: what a predicate is evaluated with
 * once it is known to be evaluated often. Undefined when that cannot be. Nothing of the clause's text gets into the code, only
 * its structure; constants, types and functions are passed in.
 */
export function generateTest(node: Node, ordinalOf: OrdinalOf, slots: SlotSource): Test | undefined {
  if (!mayGenerate() || isLarge(node)) return undefined;
  const emitter = new Emitter(ordinalOf, slots);
  const result = emitter.value(node);
  return emitter.build('row, slot', `${emitter.declarations()}${emitter.code}return ${result};`) as Test;
}

/** As generateTest, for many slots in one go: what does not depend on the slot is read once. */
export function generateScan(node: Node, ordinalOf: OrdinalOf, slots: SlotSource): Scan | undefined {
  if (!mayGenerate() || isLarge(node)) return undefined;
  const emitter = new Emitter(ordinalOf, slots);
  const result = emitter.value(node);
  const loop = `for (let slot = at.slot; slot < limit; slot++) {\nat.slot = slot;\n${emitter.code}if (${result} === true) found.push(slot);\n}\nat.slot = limit;`;
  return emitter.build('row, at, limit, found', `${emitter.declarations()}${loop}`) as Scan;
}

function isLarge(node: Node): boolean {
  let count = 0;
  visit(node, () => count++);
  return count > MAX_NODES;
}

/** Writes the body of a function, statement by statement; every value is in a variable of its own, null for NULL. */
class Emitter {
  readonly #ordinalOf: OrdinalOf;
  readonly #slots: SlotSource;
  readonly #closures: Compiler;
  readonly #environment: unknown[] = [];
  readonly #columns = new Map<number, string>();
  #lines: string[] = [];
  #count = 0;

  constructor(ordinalOf: OrdinalOf, slots: SlotSource) {
    this.#ordinalOf = ordinalOf;
    this.#slots = slots;
    this.#closures = new Compiler(ordinalOf, slots);
  }

  get code(): string {
    return this.#lines.map((line) => `${line}\n`).join('');
  }

  /** Variables that live as long as the row does. */
  declarations(): string {
    return [...this.#columns.keys()].map((ordinal) => `let c${ordinal} = null, has${ordinal} = false;\n`).join('');
  }

  build(parameters: string, body: string): unknown {
    const names = this.#environment.map((_, i) => `e${i}`);
    const source = `"use strict";\nreturn function (${parameters}) {\n${body}\n};`;
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- made of node kinds and numbers only, see generateTest
    return (new Function(...names, source) as (...environment: unknown[]) => unknown)(...this.#environment);
  }

  /** Emits the evaluation of a node; the result is the expression that has its value then. */
  value(node: Node): string {
    switch (node.kind) {
      case 'const':
        return this.#constant(node.value);
      case 'column':
        return this.#column(node.name, node.type);
      case 'slot':
        return this.#let(`${this.#external(this.#slots.columns[node.index])}.get(slot)`);
      case 'compare':
        return this.#compare(node);
      case 'and':
      case 'or':
        return this.#connective(node.args, node.kind === 'or');
      case 'not': {
        const arg = this.value(node.arg);
        return this.#let(`${arg} === null ? null : !${arg}`);
      }
      case 'isNull':
        return this.#nullTest(node.arg, node.negated);
      case 'isTruth': {
        const wanted = node.truth === 'UNKNOWN' ? 'null' : String(node.truth === 'TRUE');
        return this.#let(`${this.value(node.arg)} ${node.negated ? '!==' : '==='} ${wanted}`);
      }
      case 'in':
        return this.#in(node);
      case 'like':
        return this.#like(node);
      case 'call':
        return node.strict ? this.#call(node) : this.#closure(node);
      case 'cast':
        return this.#cast(node);
      case 'coalesce':
        return this.#coalesce(node.args);
      case 'case':
        return this.#case(node);
      default:
        return this.#closure(node);
    }
  }

  #compare(node: Extract<Node, { kind: 'compare' }>): string {
    const { by, op } = node;
    const a = this.#operand(node.left, by);
    const b = this.#operand(node.right, by);
    const equality = op === '=' || op === '<>';
    let test: string;
    if (by.plain === true || (by.identical === true && equality)) {
      const operator = op === '=' ? '===' : op === '<>' ? '!==' : op;
      test = `${a} ${operator} ${b}`;
    } else if (equality) test = `${this.#external(comparison(by, op))}(${a}, ${b})`;
    else test = `${this.#external(orderOf(by))}(${a}, ${b}) ${op} 0`;
    return this.#let(`${a} === null || ${b} === null ? null : ${test}`);
  }

  /** An operand of a comparison, as a value of the type that decides it. */
  #operand(node: Node, by: Type): string {
    const widen = widening(valueTypeOf(node) ?? BOOL, by);
    if (widen === undefined) return this.value(node);
    if (node.kind === 'const') return this.#constant(node.value === null ? null : widen(node.value));
    const value = this.value(node);
    return this.#let(`${value} === null ? null : ${this.#external(widen)}(${value})`);
  }

  #connective(args: readonly Node[], decides: boolean): string {
    const result = this.#name();
    const label = this.#name();
    this.#emit(`let ${result} = ${!decides};`);
    this.#emit(`${label}: {`);
    for (const arg of args) {
      const value = this.value(arg);
      this.#emit(`if (${value} === ${decides}) { ${result} = ${decides}; break ${label}; }`);
      this.#emit(`if (${value} === null) ${result} = null;`);
    }
    this.#emit('}');
    return result;
  }

  #nullTest(arg: Node, negated: boolean): string {
    const operator = negated ? '!==' : '===';
    const value = arg.kind === 'column' ? `row.cell(${this.#ordinalOf(arg.name)})` : this.value(arg);
    return this.#let(`${value} ${operator} null`);
  }

  #in(node: InNode): string {
    const arg = this.#operand(node.arg, node.by);
    const list =
      'kind' in node.items
        ? `${this.#external(this.#slots.columns[node.items.index])}.get(slot)`
        : this.#external(prepareItems(node.items, node.by));
    const items = this.#let(list);
    const { negated } = node;
    return this.#let(
      `${arg} === null ? null : ${items}.has(${arg}) ? ${!negated} : ${items}.hasNull ? null : ${negated}`,
    );
  }

  #like(node: LikeNode): string {
    const { arg, pattern, escape, fold, negated } = node;
    let matcher: string;
    if (pattern.kind === 'slot' && pattern.role === 'pattern') {
      matcher = `${this.#external(this.#slots.columns[pattern.index])}.get(slot)`;
    } else if (pattern.kind === 'const') {
      matcher = pattern.value === null ? 'null' : this.#external(compileLike(pattern.value as string, escape, fold));
    } else return this.#closure(node);
    const text = this.value(arg);
    const matches = this.#let(matcher);
    return this.#let(
      `${text} === null || ${matches} === null ? null : ${matches}(${text}) ${negated ? '!==' : '==='} true`,
    );
  }

  #call(node: CallNode): string {
    const args = node.args.map((arg) => this.value(arg));
    const nothing = args.map((arg) => `${arg} === null`).join(' || ');
    const inline = args.length === 2 ? INT4[node.signature] : undefined;
    if (inline !== undefined) {
      const [a, b] = args as [string, string];
      const result = this.#name();
      const fn = this.#external(fnOfCall(node));
      // The function itself says what is wrong with a result out of range.
      this.#emit(`let ${result} = null;`);
      this.#emit(`if (!(${nothing})) { ${result} = ${a} ${inline} ${b};`);
      this.#emit(`if (!(${result} <= 2147483647 && ${result} >= -2147483648)) ${result} = ${fn}(${a}, ${b}); }`);
      return result;
    }
    const call = `${this.#external(fnOfCall(node))}(${args.join(', ')})`;
    return this.#let(nothing === '' ? call : `${nothing} ? null : ${call}`);
  }

  #cast(node: CastNode): string {
    const { arg, to } = node;
    const from = valueTypeOf(arg) ?? BOOL;
    const path = castPath(from, to);
    if (from !== to && path === undefined) return this.#closure(node);
    const steps: unknown[] = [];
    let value: string;
    if (arg.kind === 'column' && path?.writesText === true && to.name !== 'name') {
      value = this.#let(`row.cell(${this.#ordinalOf(arg.name)})`);
    } else {
      value = this.value(arg);
      if (path?.convert !== undefined) steps.push(path.convert);
    }
    if (node.modifiers.length > 0) steps.push(modifierOf(to, node.modifiers));
    for (const step of steps) value = this.#let(`${value} === null ? null : ${this.#external(step)}(${value})`);
    return value;
  }

  #coalesce(args: readonly Node[]): string {
    const result = this.#name();
    const label = this.#name();
    this.#emit(`let ${result} = null;`);
    this.#emit(`${label}: {`);
    for (const arg of args) {
      const value = this.value(arg);
      this.#emit(`if (${value} !== null) { ${result} = ${value}; break ${label}; }`);
    }
    this.#emit('}');
    return result;
  }

  #case(node: Extract<Node, { kind: 'case' }>): string {
    const result = this.#name();
    const label = this.#name();
    this.#emit(`let ${result} = null;`);
    this.#emit(`${label}: {`);
    for (const { when, then } of node.whens) {
      const condition = this.value(when);
      this.#emit(`if (${condition} === true) {`);
      const value = this.value(then);
      this.#emit(`${result} = ${value}; break ${label}; }`);
    }
    this.#emit(`${result} = ${this.value(node.otherwise)};`);
    this.#emit('}');
    return result;
  }

  #column(name: string, type: Type): string {
    const ordinal = this.#ordinalOf(name);
    let reader = this.#columns.get(ordinal);
    if (reader === undefined) this.#columns.set(ordinal, (reader = this.#external(type)));
    this.#emit(`if (!has${ordinal}) { c${ordinal} = row.value(${ordinal}, ${reader}); has${ordinal} = true; }`);
    return `c${ordinal}`;
  }

  #constant(value: unknown): string {
    if (value === null || typeof value === 'boolean') return String(value);
    if (typeof value === 'number' && Number.isSafeInteger(value) && !Object.is(value, -0)) return `(${value})`;
    return this.#external(value);
  }

  /** What is not generated is called. */
  #closure(node: Node): string {
    return this.#let(`${this.#external(this.#closures.value(node))}(row, slot)`);
  }

  #external(thing: unknown): string {
    const known = this.#environment.indexOf(thing);
    return `e${known === -1 ? this.#environment.push(thing) - 1 : known}`;
  }

  #let(expression: string): string {
    const name = this.#name();
    this.#emit(`const ${name} = ${expression};`);
    return name;
  }

  #name(): string {
    return `t${this.#count++}`;
  }

  #emit(line: string): void {
    this.#lines.push(line);
  }
}

/** Functions of two int4 or int2 whose result is the operator's, as long as it is an int4. */
const INT4: Readonly<Record<string, string>> = {
  'int4pl(int4,int4)': '+',
  'int4mi(int4,int4)': '-',
  'int24pl(int2,int4)': '+',
  'int42pl(int4,int2)': '+',
  'int24mi(int2,int4)': '-',
  'int42mi(int4,int2)': '-',
};
