import type { Ancestor, Change, Joined, Relation, Tuple } from '@shapecast/log';

/**
 * An ancestor as the changes of one relation below it show it: its columns, in its order. It goes by its oid alone, because
 * a relation is not described anew when a table above it is renamed; `schema` and `name` are those of the relation below.
 */
export interface AncestorRelation extends Relation {
  readonly shownBy: Relation;
  readonly joined: Joined | undefined;
}

/** One of the tables that a change of a relation is a change of as well (spec R 7.15). */
export interface AncestorView {
  readonly relation: AncestorRelation;
  /** The change as the ancestor has it. */
  project(change: Change): Change;
}

const known = new WeakMap<Relation, readonly AncestorView[]>();

/** The tables above a relation, the same objects for the same relation. */
export function ancestorViews(relation: Relation): readonly AncestorView[] {
  let views = known.get(relation);
  if (views === undefined) {
    views = (relation.ancestors ?? []).map((ancestor, i) => viewOf(relation, ancestor, i));
    known.set(relation, views);
  }
  return views;
}

export function isAncestor(relation: Relation): relation is AncestorRelation {
  return 'shownBy' in relation;
}

function viewOf(below: Relation, { oid, columns, keyColumns, joined }: Ancestor, place: number): AncestorView {
  const { schema, name, replicaIdentity, published } = below;
  const by = published?.above[place];
  const base = {
    ...{ oid, schema, name, replicaIdentity, keyColumns, shownBy: below, joined },
    ...(published === undefined || by === undefined ? {} : { published: { ...published, by, above: [] } }),
  };
  if (columns === undefined) {
    return { relation: { ...base, columns: below.columns }, project: (change) => change };
  }
  const relation: AncestorRelation = {
    ...base,
    columns: columns.map((ordinal) => below.columns[ordinal] as Relation['columns'][number]),
  };
  const places = new Map(columns.map((ordinal, place) => [ordinal, place]));
  const reorder = (tuple: Tuple): Tuple => columns.map((ordinal) => tuple[ordinal] ?? null);
  const project = (change: Change): Change => {
    switch (change.kind) {
      case 'insert':
        return { ...change, new: reorder(change.new) };
      case 'delete':
        return { ...change, old: reorder(change.old) };
      case 'update': {
        const changed = change.changed.flatMap((ordinal) => places.get(ordinal) ?? []);
        return { ...change, old: reorder(change.old), new: reorder(change.new), changed };
      }
      case 'truncate':
      case 'unusable':
        return change;
    }
  };
  return { relation, project };
}
