import {
  readMembers,
  readPublication,
  readPublishedBy,
  readTableTrees,
  type MemberRow,
  type PublicationRow,
  type TreeRow,
} from '../sql/publication.ts';
import type { Queryable } from '../sql/query.ts';
import {
  generatedMissing,
  identityMissing,
  leavesNoWal,
  operationsMissing,
  publishedAsRoot,
  restrictedMember,
  tableMissing,
  virtualColumns,
} from './publication-texts.ts';

/** How a table that shapes are on stands in the publication. */
export interface TableState {
  readonly root: TreeRow;
  /** The table and everything below it. */
  readonly tree: readonly TreeRow[];
  /** What has to be published by itself: the table, and what is below it without being a partition. */
  readonly own: readonly TreeRow[];
  /** The relations that hold rows: the table, or the leaves of a partitioned one. */
  readonly leaves: readonly TreeRow[];
  readonly members: ReadonlyMap<number, MemberRow>;
  /** By what each of `own` is published; empty texts where it is not. */
  readonly ways: ReadonlyMap<number, string>;
}

export interface PublicationState {
  readonly publication: PublicationRow;
  readonly members: readonly MemberRow[];
  /** Those of the tables asked for that exist. */
  readonly tables: ReadonlyMap<number, TableState>;
}

/** Reads how the tables are published; undefined when there is no such publication. */
export async function readState(
  db: Queryable,
  name: string,
  serverVersion: number,
  tablesOf: (members: readonly MemberRow[]) => readonly number[],
): Promise<PublicationState | undefined> {
  const publication = await readPublication(db, name);
  if (!publication) return undefined;
  const members = await readMembers(db, publication.oid);
  const byOid = new Map(members.map((member) => [member.oid, member]));
  const rows = await readTableTrees(db, tablesOf(members));
  const trees = Map.groupBy(rows, ({ root }) => root);
  const ownOids = new Set(rows.filter(isOwn).map(({ oid }) => oid));
  const { tables: ways } = await readPublishedBy(db, name, serverVersion, [...ownOids]);
  const tables = new Map<number, TableState>();
  for (const [oid, tree] of trees) {
    const root = tree.find((each) => each.oid === oid);
    if (!root) continue;
    const leaves = tree.filter(({ kind }) => kind === 'r');
    tables.set(oid, { root, tree, own: tree.filter(isOwn), leaves, members: byOid, ways });
  }
  return { publication, members, tables };
}

function isOwn(row: TreeRow): boolean {
  return row.oid === row.root || !row.partition;
}

/** One step towards a table that is published as it has to be. */
export type PublicationChange =
  { readonly kind: 'generated' } | { readonly kind: 'replace' | 'add' | 'identity'; readonly table: TreeRow };

/**
 * What has to change before shapes can be made on the table, in the order in which it has to be done (spec R 7.4); nothing when
 * all is well. Throws SOURCE_MISCONFIGURED when that is not ours to change, or not to be changed at all (7.9, 2.8).
 */
export function requiredChanges(
  { publication }: Pick<PublicationState, 'publication'>,
  table: TableState,
  options: { readonly publicationName: string; readonly manual: boolean },
): PublicationChange[] {
  const { publicationName: name, manual } = options;
  const { root, tree, own, leaves, members, ways } = table;
  const mayAlter = publication.owned && !manual;
  const changes: PublicationChange[] = [];

  const silent = tree.find((leaf) => !leaf.logged);
  if (silent) throw leavesNoWal(root, silent);
  const virtual = tree.find((each) => each.virtual);
  if (virtual) throw virtualColumns(virtual);
  const asRoot = publication.viaRoot && (root.partition || root.kind === 'p');
  // What lacked them is missing for every shape: who leads the source puts it right, with a new incarnation.
  if (!publication.allOperations) throw operationsMissing(name);
  // Not changed back: then nobody could tell any more that it was so.
  if (asRoot) throw publishedAsRoot(name);
  if (publication.generatedColumns === false && tree.some(({ stored }) => stored)) {
    // Postgres would refuse the application's updates of the table, whether a shape wants those columns or not.
    if (!mayAlter) throw generatedMissing(name);
    changes.push({ kind: 'generated' });
  }

  const adding = new Map<number, PublicationChange>();
  for (const each of own) {
    const member = members.get(each.oid);
    if (member?.restricted) {
      if (!mayAlter || !each.owned) throw restrictedMember(each, name);
      adding.set(each.oid, { kind: 'replace', table: each });
    } else if (!member && !isPublished(ways.get(each.oid) ?? '', mayAlter)) {
      if (!mayAlter || !each.owned) throw tableMissing(each, name, manual);
      adding.set(each.oid, { kind: 'add', table: each });
    }
  }
  for (const leaf of leaves) {
    if (leaf.replicaIdentity === 'f') continue;
    if (!mayAlter || !leaf.owned) throw identityMissing(leaf);
  }
  for (const each of tree) {
    const add = adding.get(each.oid);
    if (add) changes.push(add);
    if (each.kind === 'r' && each.replicaIdentity !== 'f') changes.push({ kind: 'identity', table: each });
  }
  return changes;
}

/**
 * Without a membership of its own. Where we may add one we do, even if the table is a partition of a published one: it outlives
 * a DETACH. Where we may not, that has to do.
 */
function isPublished(ways: string, mayAlter: boolean): boolean {
  return mayAlter ? /(^| )(all|schema):/.test(ways) : ways !== '';
}
