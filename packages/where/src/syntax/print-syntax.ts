import { isFunctionWord } from './keywords.ts';
import type { CallSyntax, Syntax, TypeSyntax } from './syntax.ts';

/**
 * A tree as text with every operation in parentheses, for tests: it shows how the parser grouped a clause, and reads back
 * as the same tree whatever the precedences are. Subqueries, and calls with what only aggregates take, are left out.
 */
export function printSyntax(syntax: Syntax): string {
  switch (syntax.kind) {
    case 'null':
    case 'true':
    case 'false':
      return syntax.kind;
    case 'string':
      return `'${syntax.text.replaceAll("'", "''")}'`;
    case 'integer':
    case 'decimal':
      return syntax.text;
    case 'param':
      return `$${syntax.number}`;
    case 'column':
      return syntax.path.map(printName).join('.');
    case 'and':
    case 'or':
      return `(${syntax.args.map(printSyntax).join(` ${syntax.kind.toUpperCase()} `)})`;
    case 'not':
      return `(NOT ${printSyntax(syntax.arg)})`;
    case 'unary':
      return `(${printOperator(syntax.op)} ${printSyntax(syntax.arg)})`;
    case 'binary':
      return `(${printSyntax(syntax.left)} ${printOperator(syntax.op)} ${printSyntax(syntax.right)})`;
    case 'isNull':
      return `(${printSyntax(syntax.arg)} IS ${not(syntax)}NULL)`;
    case 'isTruth':
      return `(${printSyntax(syntax.arg)} IS ${not(syntax)}${syntax.truth})`;
    case 'distinct':
      return `(${printSyntax(syntax.left)} IS ${not(syntax)}DISTINCT FROM ${printSyntax(syntax.right)})`;
    case 'between': {
      const keyword = `${not(syntax)}BETWEEN${syntax.symmetric ? ' SYMMETRIC' : ''}`;
      return `(${printSyntax(syntax.arg)} ${keyword} ${printSyntax(syntax.low)} AND ${printSyntax(syntax.high)})`;
    }
    case 'in':
      return `(${printSyntax(syntax.arg)} ${not(syntax)}IN (${list(syntax.items)}))`;
    case 'like':
    case 'similar': {
      const keyword = syntax.kind === 'similar' ? 'SIMILAR TO' : syntax.insensitive ? 'ILIKE' : 'LIKE';
      const escape = syntax.escape === undefined ? '' : ` ESCAPE ${printSyntax(syntax.escape)}`;
      return `(${printSyntax(syntax.arg)} ${not(syntax)}${keyword} ${printSyntax(syntax.pattern)}${escape})`;
    }
    case 'quantified':
      return `(${printSyntax(syntax.left)} ${syntax.op} ${syntax.all ? 'ALL' : 'ANY'} (${printSyntax(syntax.right)}))`;
    case 'cast':
      return `CAST(${printSyntax(syntax.arg)} AS ${printType(syntax.type)})`;
    case 'collate':
      return `(${printSyntax(syntax.arg)} COLLATE ${syntax.name.map((name) => `"${name}"`).join('.')})`;
    case 'call':
      return `${printFunction(syntax.name)}(${printArguments(syntax)})`;
    case 'array':
      return `ARRAY[${list(syntax.items)}]`;
    case 'subscript':
      return `(${printSyntax(syntax.arg)})${syntax.subscripts.map(printSubscript).join('')}`;
    case 'row':
      return `ROW(${list(syntax.items)})`;
    case 'case': {
      const whens = syntax.whens.map(({ when, then }) => `WHEN ${printSyntax(when)} THEN ${printSyntax(then)}`);
      const arg = syntax.arg === undefined ? [] : [printSyntax(syntax.arg)];
      const otherwise = syntax.otherwise === undefined ? [] : [`ELSE ${printSyntax(syntax.otherwise)}`];
      return ['CASE', ...arg, ...whens, ...otherwise, 'END'].join(' ');
    }
    case 'coalesce':
    case 'greatest':
    case 'least':
      return `${syntax.kind}(${list(syntax.args)})`;
    case 'nullif':
      return `nullif(${list([syntax.left, syntax.right])})`;
    case 'sqlValue':
      return syntax.name;
    case 'bits':
    case 'subquery':
      throw new Error(`no text for ${syntax.kind}`);
  }
}

function printName(name: string): string {
  return /^[a-z_]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

/** Some functions can only be named with their schema, the grammar has a syntax of its own for them. */
function printFunction(name: string): string {
  return isFunctionWord(name) ? name.split('.').map(printName).join('.') : `pg_catalog.${name}`;
}

function printArguments({ args, star, variadic }: CallSyntax): string {
  if (star) return '*';
  return args.map((arg, i) => (variadic && i === args.length - 1 ? 'VARIADIC ' : '') + printSyntax(arg)).join(', ');
}

function printOperator(op: string): string {
  return op.includes('.') ? `OPERATOR(${op})` : op;
}

function printSubscript(subscript: Extract<Syntax, { kind: 'subscript' }>['subscripts'][number]): string {
  if (!subscript.slice) return `[${printSyntax(subscript.index)}]`;
  const [lower, upper] = [subscript.lower, subscript.upper].map((bound) =>
    bound === undefined ? '' : printSyntax(bound),
  );
  return `[${lower}:${upper}]`;
}

function printType({ path, modifiers, arrayDims }: TypeSyntax): string {
  const name = path.map((part) => `"${part}"`).join('.');
  return `${name}${modifiers.length === 0 ? '' : `(${modifiers.join(', ')})`}${'[]'.repeat(arrayDims)}`;
}

function list(items: readonly Syntax[]): string {
  return items.map(printSyntax).join(', ');
}

function not({ negated }: { readonly negated: boolean }): string {
  return negated ? 'NOT ' : '';
}
