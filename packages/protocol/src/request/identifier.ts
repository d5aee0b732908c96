import { accept, refuse, type Checked } from './field-errors.ts';

const MAX_IDENTIFIER = 63;
/** Of a name in Postgres, whatever number of characters they are. */
const MAX_NAME_BYTES = 63;
const UNQUOTED = /^[\p{L}_][\p{L}\p{M}\d_$]*$/u;

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

/** Parses `name` or `schema.name` (PA-1). Errors are under `table`. */
export function parseTableName(text: string): Checked<TableName> {
  const parts = splitOutsideQuotes(text, '.');
  if (parts.length > 2) return refuse('table', `Invalid relation identifier, too many delimiters: ${text}`);
  const names: string[] = [];
  for (const part of parts) {
    const parsed = parseIdentifier(part, 'table');
    if (!parsed.ok) return parsed;
    names.push(parsed.value);
  }
  const [first = '', second] = names;
  return accept(second === undefined ? { schema: 'public', name: first } : { schema: first, name: second });
}

/**
 * Whether there could be such a relation. Postgres would cut a name of more bytes and take another table for it, and has no way
 * to even ask for what is not text.
 */
export function canExist({ schema, name }: TableName): boolean {
  return [schema, name].every(
    (part) => Buffer.byteLength(part) <= MAX_NAME_BYTES && part.isWellFormed() && !part.includes('\0'),
  );
}

/** The text for a relation that is not there, or that cannot be a shape (PA-1). */
export function missingTableText(table: TableName): string {
  return `Table "${table.schema}"."${table.name}" does not exist. If the table name contains capitals or special characters you must quote it.`;
}

/**
 * Parses a column list (PA-2): comma-separated identifiers, not trimmed; the list form takes names verbatim. Duplicates
 * count once. Errors are under `field`.
 */
export function parseColumnList(list: string | readonly string[], field: string): Checked<readonly string[]> {
  const names = new Set<string>();
  if (typeof list !== 'string') {
    for (const name of list) {
      if (name === '') return refuse(field, 'Invalid zero-length identifier');
      names.add(name);
    }
    return accept([...names]);
  }
  for (const part of splitOutsideQuotes(list, ',')) {
    const parsed = parseIdentifier(part, field);
    if (!parsed.ok) return parsed;
    names.add(parsed.value);
  }
  return accept([...names]);
}

function parseIdentifier(part: string, field: string): Checked<string> {
  const quoted = part.startsWith('"') && part.endsWith('"');
  const inner = quoted ? part.slice(1, -1) : part;
  if (inner === '') return refuse(field, 'Invalid zero-length delimited identifier');
  if (quoted && inner.replaceAll('""', '').includes('"')) {
    return refuse(field, `Invalid identifier with unescaped quote: ${inner}`);
  }
  if (!quoted && !UNQUOTED.test(part)) {
    return refuse(field, `Invalid unquoted identifier contains special characters: ${part}`);
  }
  const name = quoted ? inner.replaceAll('""', '"') : foldAscii(part);
  if ([...name].length > MAX_IDENTIFIER) {
    return refuse(field, `Identifier is too long (max length is ${MAX_IDENTIFIER})`);
  }
  return accept(name);
}

/** Postgres folds ASCII letters only, whatever the server's locale would do to others. */
function foldAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let inQuotes = false;
  for (let i = 0; i < text.length; i += 1) {
    if (text[i] === '"') inQuotes = !inQuotes;
    else if (text[i] === separator && !inQuotes) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
