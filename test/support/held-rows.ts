import { canonicalRows } from './rows.ts';
import type { StrictReader } from './strict-reader.ts';

/** What a reader holds, to be compared with `selectText`, joined in lines. */
export function heldRows(reader: StrictReader): string {
  return canonicalRows(reader.rows.values()).join('\n');
}

/** How many rows only one side has, and the first of them, for a failure's message. */
export function firstDifference(held: string, expected: string): string {
  const [ours, theirs] = [new Set(held.split('\n')), new Set(expected.split('\n'))];
  const extra = [...ours].filter((row) => row !== '' && !theirs.has(row));
  const missing = [...theirs].filter((row) => row !== '' && !ours.has(row));
  const short = (row: string | undefined): string => row?.replace(/(lorem )+/, 'lorem.. ').slice(0, 300) ?? 'nothing';
  return `${extra.length} only in the shape: ${short(extra[0])}; ${missing.length} only in Postgres: ${short(missing[0])}`;
}
