import { quoteName } from './syntax/names.ts';
import type { Node } from './tree.ts';
import { scalarType } from './types/scalar-type.ts';

/**
 * Canonical SQL of a clause: columns quoted, literals as `'text'::type`, no redundant parentheses. Parsing it gives the
 * same SQL again. Order comparisons of text say COLLATE "C", the order the engine uses: the clause was only accepted where
 * that is the column's own (spec W 5.1), and it makes the text mean the same wherever it is read.
 */
export function toSql(node: Node): string {
  switch (node.kind) {
    case 'const':
      return node.value === null ? `NULL::${node.type}` : `${quoteString(node.text)}::${node.type}`;
    case 'column':
      return quoteName(node.name);
    case 'cast': {
      if (node.implicit) return toSql(node.arg);
      const modifiers = node.modifiers.length === 0 ? '' : `(${node.modifiers.join(',')})`;
      return `${operand(node.arg)}::${node.to}${modifiers}`;
    }
    case 'compare': {
      const ordered = node.op !== '=' && node.op !== '<>' && scalarType(node.by).category === 'S';
      return `${operand(node.left)}${ordered ? ' COLLATE "C"' : ''} ${node.op} ${operand(node.right)}`;
    }
    case 'in':
      return `${operand(node.arg)} ${not(node)}IN (${node.items.map(toSql).join(', ')})`;
    case 'like': {
      const collate = node.fold === 'ascii' ? ' COLLATE "C"' : '';
      const escape = node.escape === undefined ? '' : ` ESCAPE ${quoteString(node.escape)}`;
      const keyword = node.fold === undefined ? 'LIKE' : 'ILIKE';
      return `${operand(node.arg)}${collate} ${not(node)}${keyword} ${operand(node.pattern)}${escape}`;
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

function operand(node: Node): string {
  if (node.kind === 'cast' && node.implicit) return operand(node.arg);
  const text = toSql(node);
  return node.kind === 'const' || node.kind === 'column' || node.kind === 'cast' ? text : `(${text})`;
}

function not(node: { readonly negated: boolean }): string {
  return node.negated ? 'NOT ' : '';
}

function quoteString(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
