import type { RelationInfo } from '@shapecast/shape';
import {
  ClauseEvaluationError,
  compileClause,
  parseStoredWhere,
  parseWhere,
  type ClauseColumn,
  type WhereClause,
} from '@shapecast/where';

/** As `Outcome`, with `u` for rows the engine leaves undecided; the reason follows. */
export type EngineOutcome = 't' | 'f' | 'n' | 'e' | `u${string}` | `x${string}`;

/** A clause that the engine has taken, ready to be evaluated. */
export interface EngineClause {
  readonly sql: string;
  readonly evaluate: (row: readonly (string | null)[]) => EngineOutcome;
  /** What is wrong with its canonical SQL as an input of `parseStoredWhere`; undefined when nothing is. */
  readonly storedProblem: string | undefined;
  /** The clause read back from its canonical SQL, as generated code. */
  readonly evaluateStored: ((row: readonly (string | null)[]) => EngineOutcome) | undefined;
}

export type EngineAnswer = EngineClause | { readonly refused: string } | { readonly crashed: string };

export function askEngine(text: string, params: readonly string[], relation: RelationInfo): EngineAnswer {
  const { columns } = relation;
  const numbered = Object.fromEntries(params.map((value, i) => [String(i + 1), value]));
  try {
    const parsed = parseWhere(text, numbered, columns, relation);
    if (!parsed.ok) return { refused: parsed.message };
    const { clause } = parsed;
    const evaluate = outcomes(clause, columns);
    try {
      // A router has what the replication stream says, and the facts kept with the shape.
      const stream = columns.map(({ name, typeOid, typeMod }) => ({ name, typeOid, typeMod }));
      const stored = parseStoredWhere(clause.sql, stream, clause.types);
      const storedProblem = stored.sql === clause.sql ? undefined : `prints ${stored.sql}`;
      return { sql: clause.sql, evaluate, storedProblem, evaluateStored: outcomes(stored, columns, true) };
    } catch (error) {
      return { sql: clause.sql, evaluate, storedProblem: String(error), evaluateStored: undefined };
    }
  } catch (error) {
    return { crashed: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}

function outcomes(
  clause: WhereClause,
  columns: readonly ClauseColumn[],
  code = false,
): (row: readonly (string | null)[]) => EngineOutcome {
  const test = compileClause(clause, columns, { code });
  return (row) => {
    try {
      const value = test(row);
      return value === true ? 't' : value === false ? 'f' : 'n';
    } catch (error) {
      if (error instanceof ClauseEvaluationError) return error.reason === 'postgres' ? 'e' : `u${error.message}`;
      return `x${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
    }
  };
}
