import { readFileSync } from 'node:fs';

/** Bugs that a service is given on purpose, to see that the checker finds them. */
export type Plant =
  // Of the router's store.
  | 'skip an append'
  | 'double an append'
  | 'serve past visible'
  | 'lose what leaves a shape'
  | 'tell a watermark too early'
  // Of the replicator's session with Postgres.
  | 'confirm early'
  | 'lose a transaction'
  // Of the store that the API sees.
  | 'other bytes from one pod'
  | 'hide a change'
  | 'end a shape for nothing';

/** The file that names the bug of the moment; all processes look at it before everything they do. */
const FILE = process.env['SHAPECAST_CHAOS_PLANT'];

export function planted(): Plant | undefined {
  if (FILE === undefined) return undefined;
  const name = readFileSync(FILE, 'utf8').trim();
  return name === '' ? undefined : (name as Plant);
}
