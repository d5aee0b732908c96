import { isShapecastError } from '@shapecast/errors';
import type { PublicationCheck, PublicationFlaw } from '../../source-publication.ts';
import { readPartitionAncestors } from '../sql/publication.ts';
import type { Queryable } from '../sql/query.ts';
import { readState, requiredChanges, type PublicationState, type TableState } from './publication-state.ts';
import {
  generatedMissing,
  notOwned,
  operationsMissing,
  publicationMissing,
  virtualColumns,
} from './publication-texts.ts';

/** The publication with all tables that shapes are on or that are in it. */
export interface CheckedState {
  readonly state: PublicationState | undefined;
  readonly used: readonly number[];
  /** The tables in use, and the partitioned ones above them. */
  readonly above: ReadonlySet<number>;
}

export async function readCheckedState(
  db: Queryable,
  name: string,
  serverVersion: number,
  used: readonly number[],
): Promise<CheckedState> {
  const tablesOf = (members: readonly { readonly oid: number }[]) => [
    ...new Set([...used, ...members.map(({ oid }) => oid)]),
  ];
  const state = await readState(db, name, serverVersion, tablesOf);
  return { state, used, above: new Set(await readPartitionAncestors(db, used)) };
}

/** Says what is wrong with it and what it has for nothing (spec R 7.7, 7.11). */
export function checkPublication(
  { state, used, above }: CheckedState,
  options: { readonly publicationName: string; readonly manual: boolean },
): PublicationCheck {
  const { publicationName: name, manual } = options;
  if (!state) {
    const problem = publicationMissing(name).message;
    return { publication: 'missing', problem, incomplete: false, flaws: [], unneeded: [] };
  }
  const { publication, members, tables } = state;
  const mayAlter = publication.owned && !manual;
  const { allOperations, generatedColumns } = publication;
  const problem = allOperations ? undefined : operationsMissing(name).message;
  const restriction = manual || publication.owned ? undefined : notOwned(name);
  const wanted = new Set(used);
  const needed = new Set([...above, ...used.flatMap((oid) => tables.get(oid)?.tree.map((row) => row.oid) ?? [])]);
  const flaws: PublicationFlaw[] = [];
  for (const [oid, table] of tables) {
    const { schema, name: table_name } = table.root;
    const harm = harmOf(state, table, name, mayAlter);
    if (!wanted.has(oid) && harm === undefined) continue;
    const flaw = harm === undefined ? flawOf(state, table, options) : { message: harm };
    if (flaw) flaws.push({ oid, schema, name: table_name, harmful: harm !== undefined, ...flaw });
  }
  return {
    publication: publication.owned ? 'owned' : 'foreign',
    ...(problem === undefined ? {} : { problem }),
    ...(restriction === undefined ? {} : { restriction }),
    incomplete: mayAlter && generatedColumns === false,
    flaws,
    unneeded: members.filter(({ oid }) => !needed.has(oid)),
  };
}

/** Why Postgres refuses updates of a table because it is published, unless that can be put right while it is. */
function harmOf(
  { publication }: PublicationState,
  { tree, members, root }: TableState,
  name: string,
  mayAlter: boolean,
): string | undefined {
  if (!members.has(root.oid) || publication.generatedColumns === undefined) return undefined;
  const virtual = tree.find((row) => row.virtual);
  if (virtual) return virtualColumns(virtual).message;
  const unpublished = publication.generatedColumns === false && tree.some((row) => row.stored);
  return unpublished && !mayAlter ? generatedMissing(name).message : undefined;
}

function flawOf(
  state: PublicationState,
  table: TableState,
  options: { readonly publicationName: string; readonly manual: boolean },
): { readonly message?: string } | undefined {
  try {
    return requiredChanges(state, table, options).length > 0 ? {} : undefined;
  } catch (error) {
    if (!isShapecastError(error)) throw error;
    return { message: error.message };
  }
}
