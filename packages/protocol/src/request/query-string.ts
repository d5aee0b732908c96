/** Decoded parameters by name. Values are strings, lists (`name[]=`) or objects (`name[key]=`), as in JSON bodies. */
export type Params = Readonly<Record<string, unknown>>;

const MAX_PARAMETERS = 1_000;

/**
 * Decodes a query string without its `?` (QP-1): `+` is a space, the last of repeated keys wins, a key without `=` is empty,
 * `name[key]=v` builds an object and `name[]=v` a list. Undefined when a percent-escape is malformed or not UTF-8 (RT-12),
 * or when there are more than 1,000 parameters.
 */
export function decodeQuery(query: string): Params | undefined {
  const params = emptyParams();
  if (query === '') return params;
  const pairs = query.split('&');
  if (pairs.length > MAX_PARAMETERS) return undefined;
  for (const pair of pairs) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodePart(equals < 0 ? pair : pair.slice(0, equals));
    const value = decodePart(equals < 0 ? '' : pair.slice(equals + 1));
    if (name === undefined || value === undefined) return undefined;
    assign(params, name, value);
  }
  return params;
}

/** Without a prototype, so that a parameter called `__proto__` is a parameter. */
export function emptyParams(): Record<string, unknown> {
  return Object.create(null) as Record<string, unknown>;
}

export function isObject(value: unknown): value is Params {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodePart(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    return undefined;
  }
}

function assign(params: Record<string, unknown>, name: string, value: string): void {
  const bracket = name.indexOf('[');
  if (bracket <= 0 || !name.endsWith(']')) {
    params[name] = value;
    return;
  }
  const base = name.slice(0, bracket);
  const key = name.slice(bracket + 1, name.indexOf(']', bracket));
  // No parameter of ours nests deeper: anything below the first level is kept as a value no type accepts.
  const leaf: unknown = name.indexOf(']', bracket) === name.length - 1 ? value : { value };
  const known = params[base];
  if (key === '') {
    if (Array.isArray(known)) known.push(leaf);
    else params[base] = [leaf];
    return;
  }
  if (isObject(known)) (known as Record<string, unknown>)[key] = leaf;
  else params[base] = Object.assign(emptyParams(), { [key]: leaf });
}
