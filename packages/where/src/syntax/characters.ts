export function isDigit(char: string | undefined): boolean {
  return char !== undefined && char >= '0' && char <= '9';
}

/** Letters, `_` and everything beyond ASCII. */
export function isIdentifierStart(char: string | undefined): boolean {
  if (char === undefined) return false;
  return (char >= 'a' && char <= 'z') || (char >= 'A' && char <= 'Z') || char === '_' || char >= '\u0080';
}

export function isIdentifierPart(char: string | undefined): boolean {
  return isIdentifierStart(char) || isDigit(char) || char === '$';
}

export function skipIdentifier(source: string, from: number): number {
  let at = from;
  while (at < source.length && isIdentifierPart(source[at])) at++;
  return at;
}

/** White space of Postgres 16 and later; the vertical tab is an error before, so nothing changes its meaning. */
export function isBlank(char: string | undefined): boolean {
  return char === ' ' || char === '\t' || char === '\n' || char === '\r' || char === '\f' || char === '\v';
}

export function isNewline(char: string | undefined): boolean {
  return char === '\n' || char === '\r';
}

/** Index of the end of the line that holds `from`. */
export function skipLine(source: string, from: number): number {
  let at = from;
  while (at < source.length && !isNewline(source[at])) at++;
  return at;
}

/** Index after the block comment that starts at `from`, with comments inside it counted; undefined when it has no end. */
export function skipBlockComment(source: string, from: number): number | undefined {
  let depth = 0;
  let at = from;
  while (at < source.length) {
    const char = source[at];
    const next = source[at + 1];
    if (char === '/' && next === '*') {
      depth++;
      at += 2;
    } else if (char === '*' && next === '/') {
      depth--;
      at += 2;
      if (depth === 0) return at;
    } else {
      at++;
    }
  }
  return undefined;
}
