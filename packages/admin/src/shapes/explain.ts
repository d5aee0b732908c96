import { ShapecastError } from '@shapecast/errors';
import type { Explanation } from '@shapecast/matching';
import { requestedTable, resolveDefinition, type DefinitionParams, type FieldErrors } from '@shapecast/protocol';
import type { RelationInfo } from '@shapecast/shape';
import { z } from 'zod';
import { invalid } from '../admin-error.ts';
import type { ClauseReader } from './clause-reader.ts';
import { maskedWhere } from './masked-where.ts';

const question = z.strictObject({
  table: z.string({ error: 'is required' }).min(1, 'is required'),
  where: z.string().max(65_536, 'expected at most 65536 characters').optional(),
  params: z.record(z.string().regex(/^\d+$/, 'expected the number of a parameter'), z.string()).optional(),
  columns: z.string().optional(),
});

/** How a clause is found at each change of its table, and what that costs. */
export interface ClauseExplanation {
  readonly table: string;
  /** As it is understood, with `?` for each constant; absent when there is none. */
  readonly where?: string;
  readonly kind: Explanation['kind'];
  /** What rows are looked up by. */
  readonly lookups: readonly string[];
  /** Columns that the clause refers to, and those of them that rows are looked up by with an equality. */
  readonly columns: readonly string[];
  readonly pinned: readonly string[];
  /** Expected fraction of the rows that is looked at. */
  readonly cost: number;
  /** Evaluated at every change of the table: counts against the limit of clauses that no index serves. */
  readonly scanned: boolean;
  readonly says: string;
}

/** Checks the question: `relationOf` gets the table's name. Throws with the fields that are wrong. */
export async function explainClause(
  body: unknown,
  clauses: Pick<ClauseReader, 'explain'>,
  relationOf: (table: { readonly schema: string; readonly name: string }) => Promise<RelationInfo | undefined>,
): Promise<ClauseExplanation> {
  const parsed = question.safeParse(body ?? {});
  if (!parsed.success) throw invalid(parsed.error.issues.map(issueText));
  const { table, where, params, columns } = parsed.data;
  const definition: DefinitionParams = {
    ...{ table, replica: 'default', log: 'full', compaction: false },
    ...(where === undefined ? {} : { where }),
    ...(params === undefined ? {} : { params }),
    ...(columns === undefined ? {} : { columns }),
  };
  const name = requestedTable(definition);
  if (!name.ok) throw invalid(fieldProblems(name.errors));
  const relation = await relationOf(name.value);
  const resolved = resolveDefinition(definition, name.value, relation);
  if (!resolved.ok || relation === undefined) throw invalid(resolved.ok ? [] : fieldProblems(resolved.errors));
  const { clause } = resolved.value;
  const full = `${relation.schema}.${relation.name}`;
  if (clause === undefined) {
    return { table: full, kind: 'all', lookups: [], columns: [], pinned: [], cost: 1, scanned: false, says: SAYS.all };
  }
  const explanation = explained(() => clauses.explain(clause, relation));
  const { kind, atoms, cost } = explanation;
  const names = clause.columns.toSorted();
  return {
    table: full,
    where: maskedWhere(clause.sql),
    ...{ kind, lookups: atoms, columns: names, pinned: names.filter((column) => isPinned(column, atoms)), cost },
    scanned: kind === 'scan',
    says: SAYS[kind],
  };
}

const SAYS: Readonly<Record<Explanation['kind'], string>> = {
  equality: 'Found by one look-up per change, whatever the number of shapes.',
  composite: 'Found by one look-up per change of several columns at a time.',
  range: 'Found among sorted intervals: the more bounds a value lies in, the more is looked at.',
  prefix: 'Found by the start of the value, a look-up for each length of prefix.',
  substring: 'Found by parts of the value, a look-up per character.',
  array: 'Found by the elements of the value, a look-up for each.',
  null: 'Found by whether the value is there.',
  complement: 'All shapes but those that exclude the value are looked at: cheap for each, and at every change.',
  mixed: 'Found in several ways, one for each part of the OR.',
  scan: 'No index serves it: it is evaluated at every change of the table.',
  all: 'Every row of the table belongs to it.',
  never: 'No row can belong to it.',
};

function explained(explain: () => Explanation): Explanation {
  try {
    return explain();
  } catch (cause) {
    throw new ShapecastError('INVALID_REQUEST', 'The clause cannot be explained on this table.', {}, cause);
  }
}

/** `equality of owner`, `composite of owner, kind`. */
function isPinned(column: string, atoms: readonly string[]): boolean {
  return atoms.some((atom) => {
    const [, list] = /^(?:equality|composite) of (.*)$/.exec(atom) ?? [];
    return list !== undefined && list.split(', ').some((one) => one === column || one === `"${column}"`);
  });
}

function fieldProblems(errors: FieldErrors): readonly string[] {
  return Object.entries(errors).flatMap(([field, texts]) => {
    const all: readonly string[] = Array.isArray(texts) ? (texts as readonly string[]) : Object.values(texts).flat();
    return all.map((text) => `${field}: ${text}`);
  });
}

function issueText({ path, message, ...issue }: z.core.$ZodIssue): string {
  const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
  const field = [...path.map(String), ...keys.slice(0, 1)].join('.');
  return `${field === '' ? 'body' : field}: ${keys.length > 0 ? 'is no field of a question' : message}`;
}
