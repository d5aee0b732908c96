import type { RelationPublished } from '@shapecast/log';
import type { SnapshotMoment, TableMember } from '../../source-database.ts';
import { readPublishedBy } from './publication.ts';
import { rowOf, rowsOf, type Queryable, type TextRow } from './query.ts';

/** What the catalog adds to a relation of the stream. */
export interface RelationFacts {
  /** The transaction that the relation was described in is visible: what it did to the catalog shows here. */
  readonly visible: boolean;
  /** Of the snapshot this was read with. */
  readonly xmax: bigint;
  /** Names of the primary key's columns in key order; empty without one, or without the table. */
  readonly primaryKey: readonly string[];
  readonly ancestors: readonly AncestorFacts[];
  /** By what it and its ancestors are published. */
  readonly published: RelationPublished;
}

export interface AncestorFacts {
  readonly oid: number;
  /** In catalog order. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  /** Transaction that brought the relation under the ancestor, unless it was created there. */
  readonly joinedXid: bigint | undefined;
}

/** A table that is inherited without being a partition and is not published: no snapshot goes with its changes. */
const NEVER = 2n ** 62n;

/**
 * Every child with its parent, and the transaction since which snapshots of the parent and the stream together have all of
 * the child's rows; null when that is always. Partitions are published with their root, so what a partition held since it
 * was created has been streamed: it was created as one exactly if one of its columns was never touched since the table was
 * made, because attaching counts up `attinhcount` of every column. Anything else may have held rows when it came. Other
 * children are published each by itself. `$1` is the name of the publication.
 */
const LINKS = `
  now as materialized (select pg_current_snapshot() as s),
  link as not materialized (
    select i.inhrelid as child, i.inhparent as parent,
      case
        when not c.relispartition then greatest(
          ${widened('i.xmin')},
          (select coalesce(max(case when p.puballtables then 0 else ${widened('pr.xmin')} end), ${NEVER})
           from pg_publication p left join pg_publication_rel pr on pr.prpubid = p.oid and pr.prrelid = i.inhrelid
           where p.pubname = $1 and (p.puballtables or pr.oid is not null)))
        when exists (
          select from pg_attribute a join pg_attribute t on t.attrelid = a.attrelid and t.attnum = -6
          where a.attrelid = i.inhrelid and a.attnum > 0 and a.xmin = t.xmin and a.cmin = t.cmin
            and a.xmax = '0'::xid and t.xmax = '0'::xid) then null
        else ${widened('i.xmin')}
      end as joined
    from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where not i.inhdetachpending and c.relkind not in ('i', 'I')
  )`;

/** The 64-bit form of a 32-bit id that was assigned already: the newest one that fits. */
function widened(xid: string): string {
  const last = `(select pg_snapshot_xmax(s)::text::bigint - 1 from now)`;
  return `(${last} - ((${last} - ${xid}::text::bigint) & 4294967295))`;
}

function primaryKeyOf(oid: string): string {
  return `(
    select json_agg(a.attname order by k.place)
    from pg_index i
    cross join lateral unnest(i.indkey) with ordinality as k(attnum, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum
    where i.indrelid = ${oid} and i.indisprimary and k.place <= i.indnkeyatts)`;
}

/**
 * Key and ancestors of a relation that a transaction described, all as of one snapshot. By what they are published is read after
 * that: a table that was taken out and added again before any change of it that follows the description shows it.
 */
export async function readRelationFacts(
  db: Queryable,
  { publication, serverVersion }: { readonly publication: string; readonly serverVersion: number },
  oid: number,
  xid: bigint,
): Promise<RelationFacts> {
  const facts = await readKeysAndAncestors(db, publication, oid, xid);
  const above = facts.ancestors.map((ancestor) => ancestor.oid);
  const { moment, tables } = await readPublishedBy(db, publication, serverVersion, [oid, ...above]);
  const by = (table: number) => tables.get(table) ?? '';
  return { ...facts, published: { ...moment, by: by(oid), above: above.map(by) } };
}

async function readKeysAndAncestors(
  db: Queryable,
  publication: string,
  oid: number,
  xid: bigint,
): Promise<Omit<RelationFacts, 'published'>> {
  const [visible, xmax, key, ancestors] = await rowOf(
    db,
    `with recursive ${LINKS},
     up(oid, joined, depth) as (
       select parent, joined, 1 from link where child = $2
       union all
       select l.parent, greatest(up.joined, l.joined), depth + 1 from up join link l on l.child = up.oid
     )
     select pg_visible_in_snapshot($3::text::xid8, s), pg_snapshot_xmax(s), ${primaryKeyOf('$2')},
       (select json_agg(json_build_object(
          'oid', u.oid::bigint, 'joined', u.joined::text, 'key', ${primaryKeyOf('u.oid')},
          'columns', (select json_agg(a.attname order by a.attnum) from pg_attribute a
                      where a.attrelid = u.oid and a.attnum > 0 and not a.attisdropped)) order by u.depth, u.oid)
        from (select oid, max(joined) as joined, min(depth) as depth from up group by oid) u)
     from now`,
    [publication, oid, String(xid)],
  );
  return {
    visible: visible === 't',
    xmax: BigInt(xmax as string),
    primaryKey: names(key),
    ancestors: parsed<AncestorRow>(ancestors).map(({ oid: ancestor, joined, key: keyNames, columns }) => ({
      oid: ancestor,
      columns: columns ?? [],
      primaryKey: keyNames ?? [],
      joinedXid: joined === null ? undefined : BigInt(joined),
    })),
  };
}

/** The storage of a table, and what is below it. */
export interface TreeFacts {
  readonly filenode: number;
  readonly members: ReadonlyMap<number, TableMember>;
  readonly incomplete: boolean;
}

/** The trees under those of the tables that still exist, by oid, and the snapshot's place among all snapshots. */
export async function readTrees(
  db: Queryable,
  publication: string,
  oids: readonly number[],
): Promise<{ readonly moment: SnapshotMoment; readonly trees: ReadonlyMap<number, TreeFacts> }> {
  const rows = await rowsOf(
    db,
    `with recursive ${LINKS},
     down(root, oid, joined) as (
       select oid, oid, null::bigint from pg_class where oid = any($2::oid[])
       union all
       select d.root, l.child, greatest(d.joined, l.joined) from down d join link l on l.parent = d.oid
     ),
     member as (select root, oid, max(joined) as joined from down group by root, oid),
     tree as (
       select m.root, max(c.relfilenode) filter (where m.oid = m.root) as filenode,
         json_agg(json_build_array(m.oid::bigint, m.joined::text, c.relfilenode::bigint)) filter (where m.oid <> m.root) as members,
         bool_or(c.relkind = 'r' and c.relreplident <> 'f' or m.joined >= ${NEVER}) as incomplete
       from member m join pg_class c on c.oid = m.oid group by m.root
     )
     select pg_snapshot_xmax(s), (select count(*) from pg_snapshot_xip(s)), t.root, t.filenode, t.members, t.incomplete
     from now left join tree t on true`,
    [publication, oids],
  );
  const [first] = rows as [TextRow, ...TextRow[]];
  const trees = rows
    .filter(([, , oid]) => oid !== null)
    .map(([, , oid, filenode, members, incomplete]) => {
      const facts: TreeFacts = {
        filenode: Number(filenode),
        members: new Map(parsed<[number, string | null, number]>(members).map(toMember)),
        incomplete: incomplete === 't',
      };
      return [Number(oid), facts] as const;
    });
  return { moment: { xmax: BigInt(first[0] as string), running: Number(first[1]) }, trees: new Map(trees) };
}

function toMember([oid, joined, filenode]: [number, string | null, number]): [number, TableMember] {
  return [oid, { filenode, ...(joined === null ? {} : { joinedXid: BigInt(joined) }) }];
}

interface AncestorRow {
  readonly oid: number;
  readonly joined: string | null;
  readonly key: string[] | null;
  readonly columns: string[] | null;
}

function parsed<T>(json: string | null | undefined): T[] {
  return typeof json === 'string' ? (JSON.parse(json) as T[]) : [];
}

function names(json: string | null | undefined): string[] {
  return parsed<string>(json);
}
