/** A row in Postgres's text form, long cells shortened: what the checker compares. */
export type Row = Readonly<Record<string, string | null>>;

const MAX_LENGTH = 48;
const KEPT = 16;

/** Long texts are known by how they begin, their length and a hash: a run holds hundreds of thousands of rows. */
export function shortCell(cell: string | null): string | null {
  if (cell === null || cell.length <= MAX_LENGTH) return cell;
  return `${cell.slice(0, KEPT)}…${cell.length}:${hash(cell).toString(36)}`;
}

export function shortRow(row: Row): Row {
  const short: Record<string, string | null> = {};
  for (const name of Object.keys(row)) short[name] = shortCell(row[name] ?? null);
  return short;
}

/** The same for equal rows, whatever the order of their columns. */
export function rowHash(row: Row): number {
  let text = '';
  for (const name of Object.keys(row).sort()) {
    const cell = row[name];
    text += cell === null || cell === undefined ? `${name}\u0000` : `${name}=${cell}\u0001`;
  }
  return hash(text) % DIGEST;
}

/** Sums of row hashes are taken modulo this, so that they stay exact. */
const DIGEST = 2 ** 52;

/** Digest of a set of rows: the sum of their hashes. It does not depend on the order in which rows came and went. */
export function addToDigest(digest: number, hashes: number): number {
  const sum = digest + hashes;
  if (sum >= DIGEST) return sum - DIGEST;
  return sum < 0 ? sum + DIGEST : sum;
}

/** 53 bits; good enough to tell texts apart, and fast (cyrb53). */
export function hash(text: string): number {
  let a = 0xdeadbeef;
  let b = 0x41c6ce57;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 2654435761);
    b = Math.imul(b ^ code, 1597334677);
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909);
  return 4294967296 * (2097151 & b) + (a >>> 0);
}
