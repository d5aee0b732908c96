import { isFunctionWord } from './syntax/keywords.ts';
import { quoteName } from './syntax/names.ts';
import type { CallNode, CompareNode, Node, SlotNode, Subscript } from './tree.ts';

/**
 * Canonical SQL of a clause: columns quoted, literals as `'text'::type`, no redundant parentheses. Parsing it gives the
 * same SQL again. Order comparisons of text say COLLATE "C", the order the engine uses: the clause was only accepted where
 * that is the operand's own (spec W 5.1), and it makes the text mean the same wherever it is read.
 */
export function toSql(node: Node): string {
  switch (node.kind) {
    case 'const':
      return node.value === null ? `NULL::${node.type.sql}` : `${quoteString(node.text)}::${node.type.sql}`;
    case 'column':
      return quoteName(node.name);
    case 'slot':
      return slotSql(node);
    case 'bound':
      return node.index === 0 ? 'left' : 'element';
    case 'cast': {
      if (node.implicit) return toSql(node.arg);
      const modifiers = node.modifiers.length === 0 ? '' : `(${node.modifiers.join(',')})`;
      return `${operand(node.arg)}::${node.to.sql}${modifiers}`;
    }
    case 'call':
      return callSql(node);
    case 'compare': {
      const ordered = node.op !== '=' && node.op !== '<>';
      return `${ordered ? sorted(node) : operand(node.left)} ${node.op} ${operand(node.right)}`;
    }
    case 'in': {
      const items = 'kind' in node.items ? toSql(node.items) : node.items.map(toSql).join(', ');
      return `${operand(node.arg)} ${not(node)}IN (${items})`;
    }
    case 'like': {
      const collate = node.fold === 'ascii' ? ' COLLATE "C"' : '';
      const escape = node.escape === undefined ? '' : ` ESCAPE ${quoteString(node.escape)}`;
      const keyword = node.fold === undefined ? 'LIKE' : 'ILIKE';
      return `${operand(node.arg)}${collate} ${not(node)}${keyword} ${operand(node.pattern)}${escape}`;
    }
    case 'similar': {
      const escape = node.escape === undefined ? '' : ` ESCAPE ${quoteString(node.escape)}`;
      return `${operand(node.arg)} ${not(node)}SIMILAR TO ${quoteString(node.pattern)}::text${escape}`;
    }
    case 'quantified': {
      const folds = node.test.kind === 'like' && node.test.fold === 'ascii';
      const ordered = node.test.kind === 'compare' && node.test.op !== '=' && node.test.op !== '<>';
      const left =
        node.test.kind === 'compare' && ordered
          ? sorted({ ...node.test, left: node.left })
          : `${operand(node.left)}${folds ? ' COLLATE "C"' : ''}`;
      return `${left} ${node.op} ${node.all ? 'ALL' : 'ANY'} (${toSql(node.right)})`;
    }
    case 'rowCompare': {
      const left = node.pairs.map(sorted);
      return `ROW(${left.join(', ')}) ${node.op} ROW(${node.pairs.map((pair) => toSql(pair.right)).join(', ')})`;
    }
    case 'case': {
      const arms = node.whens.map(({ when, then }) => `WHEN ${toSql(when)} THEN ${toSql(then)}`);
      return `CASE ${arms.join(' ')} ELSE ${toSql(node.otherwise)} END`;
    }
    case 'nullif':
      return `NULLIF(${toSql(node.left)}, ${toSql(node.right)})`;
    case 'coalesce':
      return `COALESCE(${node.args.map(toSql).join(', ')})`;
    case 'greatest':
    case 'least': {
      const [first, ...rest] = node.args;
      const text = node.collated ? `${operand(first as Node)} COLLATE "C"` : toSql(first as Node);
      return `${node.kind.toUpperCase()}(${[text, ...rest.map(toSql)].join(', ')})`;
    }
    case 'array':
      return `ARRAY[${node.items.map(toSql).join(', ')}]::${node.type.sql}`;
    case 'subscript': {
      const arg = node.arg.kind === 'column' ? toSql(node.arg) : `(${toSql(node.arg)})`;
      return `${arg}${node.subscripts.map(bracket).join('')}`;
    }
    case 'and':
    case 'or':
      return node.args.map(operand).join(node.kind === 'and' ? ' AND ' : ' OR ');
    case 'not':
      return `NOT ${operand(node.arg)}`;
    case 'isNull':
      return `${operand(node.arg)} IS ${not(node)}NULL`;
    case 'isTruth':
      return `${operand(node.arg)} IS ${not(node)}${node.truth}`;
    case 'distinct':
      return `${operand(node.left)} IS ${not(node)}DISTINCT FROM ${operand(node.right)}`;
  }
}

function callSql(node: CallNode): string {
  const [first, second] = node.args;
  if (node.form === 'infix') return `${operand(first as Node)} ${node.name} ${operand(second as Node)}`;
  if (node.form === 'prefix') return `${node.name} ${operand(first as Node)}`;
  const name = isFunctionWord(node.name) ? node.name : quoteName(node.name);
  const args = node.args.map(toSql);
  if (node.fold === 'ascii') args[0] = `${operand(first as Node)} COLLATE "C"`;
  return `${name}(${args.join(', ')})`;
}

/** The left operand, whose collation decides the order. */
function sorted({ by, left, ownCollation }: Pick<CompareNode, 'by' | 'left' | 'ownCollation'>): string {
  const textual = by.category === 'S' || by.element?.category === 'S';
  return textual && ownCollation !== true ? `${operand(left)} COLLATE "C"` : operand(left);
}

function bracket(subscript: Subscript): string {
  if (!subscript.slice) return `[${toSql(subscript.index)}]`;
  const part = (bound: Node | undefined): string => (bound === undefined ? '' : toSql(bound));
  return `[${part(subscript.lower)}:${part(subscript.upper)}]`;
}

/** Templates only; for people to read. */
function slotSql(node: SlotNode): string {
  return `$${node.index + 1}`;
}

const ATOMIC: ReadonlySet<Node['kind']> = new Set([
  'const',
  'column',
  'cast',
  'slot',
  'bound',
  'subscript',
  'coalesce',
]);

function operand(node: Node): string {
  if (node.kind === 'cast' && node.implicit) return operand(node.arg);
  const text = toSql(node);
  const atomic = ATOMIC.has(node.kind) || (node.kind === 'call' && node.form === 'function');
  return atomic ? text : `(${text})`;
}

function not(node: { readonly negated: boolean }): string {
  return node.negated ? 'NOT ' : '';
}

function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
