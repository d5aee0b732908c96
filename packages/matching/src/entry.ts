import type { Test } from '@shapecast/where';
import type { Registration } from './posting.ts';

/** One shape in the index. Filed in exactly one way: unconditional, scanned, or under the keys of its cover. */
export interface Entry<K> {
  readonly key: K;
  readonly filed: 'unconditional' | 'scanned' | 'keyed';
  /** The clause of a scanned shape. */
  readonly test: Test | undefined;
  /** Columns that `test` reads. */
  readonly reads: readonly number[];
  registrations: readonly Registration<K>[];
  /** Place in the list of unconditional or of scanned shapes. */
  place: number;
  /** Change that touched this entry last, and what came of it so far. */
  touched: number;
  old: boolean;
  next: boolean;
  error: unknown;
}
