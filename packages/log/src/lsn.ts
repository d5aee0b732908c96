/** Place in a source's write-ahead log. Unsigned 64 bits, so a bigint and never a number (spec R 8.2.3). */
export type Lsn = bigint & { readonly __brand: 'Lsn' };

const MAX_U64 = (1n << 64n) - 1n;

export const ZERO_LSN = 0n as Lsn;

/** Marks a bigint as an LSN. Throws a plain Error outside 0 .. 2^64-1: that is a bug, not input. */
export function lsn(value: bigint): Lsn {
  if (value < 0n || value > MAX_U64) throw new Error(`LSN out of range: ${value}`);
  return value as Lsn;
}

/** Parses Postgres's text form, two hex halves: `16/B374D848`. Undefined when the text is not one. */
export function parseLsn(text: string): Lsn | undefined {
  const match = /^([0-9A-Fa-f]{1,8})\/([0-9A-Fa-f]{1,8})$/.exec(text);
  if (!match) return undefined;
  return ((BigInt(`0x${match[1]}`) << 32n) | BigInt(`0x${match[2]}`)) as Lsn;
}

/** Postgres's text form. */
export function formatLsn(value: Lsn): string {
  return `${(value >> 32n).toString(16).toUpperCase()}/${(value & 0xffffffffn).toString(16).toUpperCase()}`;
}

/** Parses the decimal form used on the wire and in Redis. Undefined when the text is not a u64. */
export function parseDecimalLsn(text: string): Lsn | undefined {
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value <= MAX_U64 ? (value as Lsn) : undefined;
}

export function maxLsn(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}
