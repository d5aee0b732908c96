import type { SnapshotMoment } from './source-database.ts';

/** A table as the publication lists it. */
export interface PublishedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** A table that is not published as it has to be. */
export interface PublicationFlaw extends PublishedTable {
  /** What is wrong, in the words of spec O 7.2; absent when it is ours to put right. */
  readonly message?: string;
  /** Postgres refuses the application's updates while it is published: it has to go, whoever wants it. */
  readonly harmful: boolean;
}

/** What one look at the whole publication found (spec R 7.7). */
export interface PublicationCheck {
  /** `foreign`: somebody else's, so that nothing of it is changed (7.9). */
  readonly publication: 'missing' | 'owned' | 'foreign';
  /** What is wrong with all of it and not ours to put right, in one sentence. */
  readonly problem?: string;
  /** Why tables cannot be added, though those that are there are fine; absent in manual mode, where that is meant. */
  readonly restriction?: string;
  /** It does not carry generated columns, though it could, and may be altered. */
  readonly incomplete: boolean;
  /** Among the tables asked for, and what is harmful among all that are in it. */
  readonly flaws: readonly PublicationFlaw[];
  /** Tables that are in it for none of the tables asked for: not one of them, nor above or below. */
  readonly unneeded: readonly PublishedTable[];
}

/** The publication as those see it whose shapes depend on it. */
export interface PublicationSight {
  /** Of the snapshot that `tables` was read with: shapes that start from a later one are not judged by it. */
  readonly moment: SnapshotMoment;
  /**
   * By oid, of those that exist: by what the table is published, as `SnapshotInfo.published`. A shape has missed nothing exactly
   * if it shares a name with the one its snapshot saw.
   */
  readonly tables: ReadonlyMap<number, string>;
}

/**
 * The publication of a source beside adding tables to it. What changes it goes through one queue with that (spec R 7.3), and does
 * nothing in manual mode or when it is somebody else's (7.9). Errors as of `SourceDatabase.publish`.
 */
/** A table was put into the publication, taken out, or given full replica identity; or the publication was given its parameters. */
export interface PublicationAction {
  readonly action: 'add' | 'drop' | 'identity' | 'parameters';
  /** False when the database refused it. */
  readonly ok: boolean;
}

export interface SourcePublication {
  /** Looks at everything (spec R 7.7). `used` are the tables that have shapes. Changes nothing. */
  verify(used: readonly number[], signal: AbortSignal): Promise<PublicationCheck>;
  /** Puts right what is `incomplete`. */
  complete(signal: AbortSignal): Promise<void>;
  /**
   * Whether there are tables whose changes Postgres refuses the application as they are published now; cheap enough for every few
   * seconds.
   */
  hasHarmful(used: readonly number[], signal: AbortSignal): Promise<boolean>;
  /**
   * Takes a table out, unless `mayGo`, asked once it is its turn, says no (spec R 7.11). True when it is out, also when it was
   * before.
   */
  unpublish(table: PublishedTable, mayGo: () => boolean, signal: AbortSignal): Promise<boolean>;
  /** By what tables are published at the moment. */
  sight(oids: readonly number[], signal: AbortSignal): Promise<PublicationSight>;
}

/** Whether two texts of `SnapshotInfo.published` have a stretch of time in common, so that nothing was missed between them. */
export function sharePublication(one: string, other: string): boolean {
  if (one === other) return one !== '';
  const ways = new Set(other.split(' '));
  return one !== '' && one.split(' ').some((way) => ways.has(way));
}
