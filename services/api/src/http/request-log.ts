import { decodeQuery } from '@shapecast/protocol';

/** Parameters whose values never reach a log or a trace (AU-6). */
const SECRET_NAMES: ReadonlySet<string> = new Set([
  'secret',
  'api_secret',
  'token',
  'access_token',
  'api_key',
  'password',
]);
/** A query of ours may hold 32 KiB of where clause; a line of the log should not. */
const MAX_LOGGED = 2_000;

/**
 * A query string as it may be logged: values of secrets are `[REDACTED]`, whatever the spelling of their names
 * (`%73ecret`, `secret[]`, `SECRET`). What does not decode is hidden as a whole, since it could be anything.
 */
export function redactQuery(query: string): string {
  if (query === '') return '';
  const shown = query.split('&').map((pair) => {
    const equals = pair.indexOf('=');
    if (equals < 0) return pair;
    const name = pair.slice(0, equals);
    return hides(name) ? `${name}=[REDACTED]` : pair;
  });
  const text = shown.join('&');
  return text.length > MAX_LOGGED ? `${text.slice(0, MAX_LOGGED)}...` : text;
}

function hides(name: string): boolean {
  const decoded = decodeQuery(name);
  if (decoded === undefined) return true;
  return Object.keys(decoded).some((key) => SECRET_NAMES.has(key.trim().toLowerCase()));
}
