/** As names look in messages: bare when they need no quotes (spec W 5.4). */
export function printPath(path: readonly string[]): string {
  return path.map((name) => (/^[\p{Ll}_][\p{Ll}0-9_]*$/u.test(name) ? name : quoteName(name))).join('.');
}

export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
