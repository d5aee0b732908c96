/** What a verified token says. */
export type Claims = Readonly<Record<string, unknown>>;

/** A claim by its path: members of nested objects. Undefined when any of them is missing. */
export function claimAt(claims: Claims, path: readonly string[]): unknown {
  let value: unknown = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name)) {
      return undefined;
    }
    value = (value as Claims)[name];
  }
  return value;
}

/**
 * A claim as the value of a parameter, in the text Postgres reads: an array becomes an array literal. Undefined for what has no
 * such text (null, objects, arrays of arrays), which a rule must not take for "no restriction".
 */
export function claimText(value: unknown): string | undefined {
  if (!Array.isArray(value)) return scalarText(value);
  const items = value.map(scalarText);
  if (items.some((item) => item === undefined)) return undefined;
  return `{${items.map((item) => quoteElement(item as string)).join(',')}}`;
}

function scalarText(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'boolean') return String(value);
  // Beyond this JSON numbers have lost digits, and another tenant may have the rounded number.
  if (typeof value !== 'number' || !Number.isFinite(value)) return undefined;
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? undefined : String(value);
}

function quoteElement(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
