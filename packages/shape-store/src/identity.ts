import { createHash } from 'node:crypto';

/** The first half of a handle: 32 bits that depend on the definition only (spec R 15.2.1). */
export function handlePrefix(digest: string): number {
  return createHash('sha256').update(digest).digest().readUInt32BE(0);
}
