import type { Chance } from '../support/chance.ts';
import { quoteName, quoteText } from './table.ts';

/** How a constant is written. `unknown` is a bare quoted literal; `bare` a number, TRUE, FALSE or an ARRAY constructor. */
export type ConstantForm =
  'unknown' | 'cast' | 'call' | 'prefix' | 'bare' | 'escape' | 'dollar' | 'unicode' | 'split' | 'parameter';

/** A generated expression. It is kept as a tree so that failures can be shrunk. */
export type Term =
  | { readonly kind: 'column'; readonly type: string; readonly name: string }
  | { readonly kind: 'constant'; readonly type: string; readonly text: string | null; readonly form: ConstantForm }
  | {
      readonly kind: 'apply';
      readonly type: string;
      /** Name of its coverage counter. */
      readonly construct: string;
      /** SQL text and operands, in the order they are written. */
      readonly parts: readonly (string | Term)[];
      /** Needs no parentheses as an operand: a call, a CASE. */
      readonly atomic: boolean;
    };

/** What a clause looks like. */
export interface Style {
  /** Chance for whitespace, comments, case and superfluous parentheses; undefined writes it plainly. */
  readonly noise: Chance | undefined;
  /** Whether to leave out the parentheses around an operand: what the clause then means is for the grammar to say. */
  readonly bare: () => boolean;
  /** Receives the values of parameters in the order they are met. */
  readonly params: string[];
}

/** A fresh style: every parenthesis, no noise. */
export function plainStyle(): Style {
  return { noise: undefined, bare: () => false, params: [] };
}

export function apply(
  type: string,
  construct: string,
  parts: readonly (string | Term)[],
  atomic = false,
): Term & { readonly kind: 'apply' } {
  return { kind: 'apply', type, construct, parts, atomic };
}

/** Items with separators between them, as parts. */
export function joined(items: readonly Term[], separator = ', '): (string | Term)[] {
  return items.flatMap((item, i) => (i === 0 ? [item] : [separator, item]));
}

export function operandsOf(term: Term): Term[] {
  return term.kind === 'apply' ? term.parts.filter((part) => typeof part !== 'string') : [];
}

export function constructsOf(term: Term, into: Set<string> = new Set()): Set<string> {
  if (term.kind === 'apply') into.add(term.construct);
  else if (term.kind === 'constant') into.add(`constant ${term.form} ${term.type}`);
  else into.add(`column ${term.type}`);
  for (const operand of operandsOf(term)) constructsOf(operand, into);
  return into;
}

export function columnsOf(term: Term, into: Set<string> = new Set()): Set<string> {
  if (term.kind === 'column') into.add(term.name);
  for (const operand of operandsOf(term)) columnsOf(operand, into);
  return into;
}

/** The SQL of a term. */
export function render(term: Term, style: Style): string {
  const { noise } = style;
  switch (term.kind) {
    case 'column':
      return columnText(term.name, noise);
    case 'constant':
      return constantText(term, style);
    case 'apply':
      return term.parts.map((part) => (typeof part === 'string' ? noisy(part, noise) : operand(part, style))).join('');
  }
}

function operand(term: Term, style: Style): string {
  const text = render(term, style);
  const { noise } = style;
  if (term.kind === 'apply' && !term.atomic && !style.bare()) return `(${text})`;
  // A sign would attach to what follows.
  if (term.kind === 'constant' && (text.startsWith('-') || text.includes('::'))) return `(${text})`;
  return noise?.chance(0.05) === true ? `( ${text})` : text;
}

function columnText(name: string, noise: Chance | undefined): string {
  const plain = quoteName(name);
  if (noise === undefined) return plain;
  const roll = noise.next();
  if (roll < 0.05) return `"${name.replaceAll('"', '""')}"`;
  if (roll < 0.1 && !plain.startsWith('"')) return plain.toUpperCase();
  if (roll < 0.12) return `t.${plain}`;
  return roll < 0.13 ? `public.t.${plain}` : plain;
}

function constantText(term: Term & { kind: 'constant' }, style: Style): string {
  const { text, form, type } = term;
  if (form === 'parameter' && text !== null) return `$${style.params.push(text)}`;
  const literal = text === null ? 'NULL' : literalText(text, form);
  switch (form) {
    case 'cast':
      return `${literal}::${type}`;
    case 'call':
      return `CAST(${literal} AS ${type})`;
    case 'prefix':
      return text === null || type.endsWith('[]') ? `CAST(${literal} AS ${type})` : `${type} ${literal}`;
    case 'bare':
      return text === null ? 'NULL' : text;
    default:
      return literal;
  }
}

function literalText(text: string, form: ConstantForm): string {
  if (form === 'escape') {
    const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n');
    return `E'${escaped.replaceAll('é', '\\u00e9').replaceAll('😀', '\\U0001F600')}'`;
  }
  if (form === 'unicode') {
    const escaped = text.replaceAll('\\', '\\\\').replaceAll("'", "''");
    const coded = escaped.replaceAll('a', '\\0061').replaceAll('é', '\\00E9').replaceAll('😀', '\\+01F600');
    return `U&'${coded}'`;
  }
  if (form === 'split') {
    const [first = '', ...rest] = text;
    return `${quoteText(first)}\n  ${quoteText(rest.join(''))}`;
  }
  if (form === 'dollar' && !text.includes('$') && !text.endsWith('$')) return `$q$${text}$q$`;
  return quoteText(text);
}

const SPACES = ['  ', '\n', '\t', ' \r\n ', ' /* x */ ', ' /* a /* nested */ */ ', ' -- c\n', '\f'];

/** Template text with other whitespace and another case. */
function noisy(text: string, noise: Chance | undefined): string {
  if (noise === undefined || !noise.chance(0.15) || /["']/.test(text)) return text;
  const cased = noise.chance(0.5) ? text.toLowerCase() : noise.chance(0.3) ? text.toUpperCase() : text;
  if (noise.chance(0.2)) return cased.replace(/ ?([-+*/<>=|&@#%^~!:,]+) ?/g, '$1');
  return cased.replaceAll(' ', () => (noise.chance(0.6) ? noise.pick(SPACES) : ' '));
}
