import { childrenOf, type ConstNode, type Node, type SlotNode } from '@shapecast/where';

/**
 * A predicate as text that tells any two different ones apart, constants with their types. Slots are `$1`, `$2`, so this is
 * also what templates are found by. It reads like SQL; it is not meant to be parsed.
 */
export function textOf(node: Node): string {
  return print(node, EXACT);
}

/** The same for people, without constants: they may be what a row has. */
export function describe(node: Node): string {
  return print(node, FOR_PEOPLE);
}

interface Style {
  readonly constant: (text: string) => string;
  readonly column: (name: string, typeOid: number) => string;
}

const EXACT: Style = { constant: quotedText, column: (name, typeOid) => `${quoted(name)}:${typeOid}` };
const FOR_PEOPLE: Style = { constant: () => '?', column: quoted };

function print(node: Node, style: Style): string {
  switch (node.kind) {
    case 'const':
      return node.value === null ? `NULL::${node.type.sql}` : `${style.constant(node.text)}::${node.type.sql}`;
    case 'slot':
      return `$${node.index + 1}::${node.type.sql}`;
    case 'column':
      return style.column(node.name, node.typeOid);
    case 'bound':
      return `?${node.index}`;
    case 'cast':
      return `${print(node.arg, style)}::${node.to.sql}${node.modifiers.length === 0 ? '' : `(${node.modifiers.join(',')})`}`;
    case 'compare':
      return `(${print(node.left, style)} ${node.op}${by(node.by.sql, node.left)} ${print(node.right, style)})`;
    case 'distinct':
      return `(${print(node.left, style)} IS ${not(node)}DISTINCT FROM${by(node.by.sql, node.left)} ${print(node.right, style)})`;
    case 'in':
      return `(${print(node.arg, style)} ${not(node)}IN${by(node.by.sql, node.arg)} ${itemsText(node.items, style)})`;
    case 'like': {
      const escape = node.escape === undefined ? '' : ` ESCAPE ${quotedText(node.escape)}`;
      const operator = node.fold === undefined ? 'LIKE' : `ILIKE<${node.fold}>`;
      return `(${print(node.arg, style)} ${not(node)}${operator} ${print(node.pattern, style)}${escape})`;
    }
    case 'similar': {
      const escape = node.escape === undefined ? '' : ` ESCAPE ${quotedText(node.escape)}`;
      return `(${print(node.arg, style)} ${not(node)}SIMILAR TO ${style.constant(node.pattern)}${escape})`;
    }
    case 'and':
    case 'or':
      return `(${node.args.map((one) => print(one, style)).join(node.kind === 'and' ? ' AND ' : ' OR ')})`;
    case 'not':
      return `(NOT ${print(node.arg, style)})`;
    case 'isNull':
      return `(${print(node.arg, style)} IS ${not(node)}NULL)`;
    case 'isTruth':
      return `(${print(node.arg, style)} IS ${not(node)}${node.truth})`;
    case 'call':
      return `${node.signature}${node.fold === undefined ? '' : `<${node.fold}>`}${list(node.args, style)}`;
    case 'coalesce':
    case 'greatest':
    case 'least':
      return `${node.kind}<${node.type.sql}>${list(node.args, style)}`;
    case 'nullif':
      return `nullif<${node.type.sql},${node.by.sql}>${list([node.left, node.right], style)}`;
    case 'array':
      return `${node.nested ? 'ARRAYS' : 'ARRAY'}<${node.type.sql}>${list(node.items, style)}`;
    case 'quantified':
      return `(${print(node.left, style)} ${node.all ? 'ALL' : 'ANY'} ${print(node.right, style)} WITH ${print(node.test, style)})`;
    case 'rowCompare':
      return `ROW(${node.pairs.map((one) => `${print(one.left, style)} ${node.op}<${one.by.sql}> ${print(one.right, style)}`).join(', ')})`;
    case 'case': {
      const arms = node.whens
        .map(({ when, then }) => `WHEN ${print(when, style)} THEN ${print(then, style)} `)
        .join('');
      return `CASE<${node.type.sql}> ${arms}ELSE ${print(node.otherwise, style)} END`;
    }
    case 'subscript': {
      const steps = node.subscripts.map((one) =>
        one.slice
          ? `[${one.lower === undefined ? '' : print(one.lower, style)}:${one.upper === undefined ? '' : print(one.upper, style)}]`
          : `[${print(one.index, style)}]`,
      );
      return `${print(node.arg, style)}<${node.type.sql}>${steps.join('')}`;
    }
  }
}

/** Whether a predicate, or anything in it, stands for a constant that a template left open. */
export function hasSlot(node: Node): boolean {
  return node.kind === 'slot' || childrenOf(node).some(hasSlot);
}

function itemsText(items: readonly ConstNode[] | SlotNode, style: Style): string {
  return 'kind' in items ? print(items, style) : list(items, style);
}

function list(nodes: readonly Node[], style: Style): string {
  return `(${nodes.map((one) => print(one, style)).join(', ')})`;
}

/** The type that decides a comparison, where it is not that of the operand. */
function by(name: string, operand: Node): string {
  return operand.kind === 'column' && operand.type.sql === name ? '' : `<${name}>`;
}

function not(node: { readonly negated: boolean }): string {
  return node.negated ? 'NOT ' : '';
}

/** Names of columns, as they are printed; forgotten when there are too many. */
const printed = new Map<string, string>();

function quoted(name: string): string {
  let text = printed.get(name);
  if (text === undefined) {
    if (printed.size >= 10_000) printed.clear();
    text = /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
    printed.set(name, text);
  }
  return text;
}

function quotedText(text: string): string {
  return text.includes("'") ? `'${text.replaceAll("'", "''")}'` : `'${text}'`;
}
