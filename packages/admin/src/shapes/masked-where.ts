/** Quoted names, which stay, and quoted constants, which go: what a clause compares with may be what a row has. */
const QUOTED = /"(?:[^"]|"")*"|[EBXebx]?'(?:[^']|'')*'/g;

/** Canonical SQL of a clause (all of whose constants are quoted) with `?` for each constant. */
export function maskedWhere(sql: string): string {
  return sql.replace(QUOTED, (quoted) => (quoted.startsWith('"') ? quoted : '?'));
}
