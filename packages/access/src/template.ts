import { claimAt, claimText, type Claims } from './claims.ts';

/** A where clause with `{claims.a.b}` in it: the clause with a parameter for each, and which claim each stands for. */
export interface ClauseTemplate {
  /** SQL with `$1`, `$2`, ... */
  readonly where: string;
  /** Path of the claim for each parameter. */
  readonly paths: readonly (readonly string[])[];
}

export type Filled =
  | { readonly ok: true; readonly where: string; readonly params: Readonly<Record<string, string>> }
  /** Such as `claims.tenant`. */
  | { readonly ok: false; readonly missing: string };

const PLACEHOLDER = /\{([^{}]*)\}/y;
const CLAIM = /^claims((?:\.[A-Za-z_][\w-]*)+)$/;

/** Reads a template. Throws an Error that says what is wrong with it. */
export function parseTemplate(text: string): ClauseTemplate {
  const paths: string[][] = [];
  const numbers = new Map<string, number>();
  let where = '';
  let at = 0;
  while (at < text.length) {
    const quoted = quotedEnd(text, at);
    if (quoted > at) {
      const part = text.slice(at, quoted);
      if (part.includes('{claims.')) {
        throw new Error(
          `a claim stands inside quotes: ${part}; write it without them, its value is never part of the SQL`,
        );
      }
      where += part;
      at = quoted;
      continue;
    }
    const char = text[at] as string;
    if (char === '$' && /^\$\d/.test(text.slice(at, at + 2))) {
      throw new Error('parameters such as $1 have no value in a rule; use {claims.NAME}');
    }
    if (char !== '{') {
      where += char;
      at += 1;
      continue;
    }
    PLACEHOLDER.lastIndex = at;
    const body = PLACEHOLDER.exec(text)?.[1];
    const path = body === undefined ? undefined : CLAIM.exec(body)?.[1];
    if (body === undefined || path === undefined) {
      throw new Error(
        `${body === undefined ? 'an opening brace' : `{${body}}`} is no claim; a claim looks like {claims.NAME}`,
      );
    }
    const known = numbers.get(path) ?? paths.push(path.slice(1).split('.'));
    numbers.set(path, known);
    where += `$${known}`;
    at = PLACEHOLDER.lastIndex;
  }
  return { where, paths };
}

/** The clause for one token. A claim that is missing, or has no text, gives nothing to compare with: no access then. */
export function fillTemplate(template: ClauseTemplate, claims: Claims): Filled {
  const params: Record<string, string> = {};
  for (const [i, path] of template.paths.entries()) {
    const text = claimText(claimAt(claims, path));
    if (text === undefined) return { ok: false, missing: `claims.${path.join('.')}` };
    params[String(i + 1)] = text;
  }
  return { ok: true, where: template.where, params };
}

/** Where the literal, quoted name or comment that begins at `at` ends; `at` when none does. */
function quotedEnd(text: string, at: number): number {
  const rest = text.slice(at);
  const dollar = /^\$([A-Za-z_]\w*)?\$/.exec(rest)?.[0];
  if (dollar !== undefined) return closing(text, at, dollar, dollar);
  if (rest.startsWith("'")) return closing(text, at, "'", "'");
  if (rest.startsWith('"')) return closing(text, at, '"', '"');
  if (rest.startsWith('--')) return closing(text, at, '--', '\n');
  if (rest.startsWith('/*')) return closing(text, at, '/*', '*/');
  return at;
}

/** What is never closed goes on to the end; the clause does not parse then, whoever asks. */
function closing(text: string, at: number, open: string, close: string): number {
  const end = text.indexOf(close, at + open.length);
  return end < 0 ? text.length : end + close.length;
}
