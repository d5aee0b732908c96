export {
  MAX_WHERE_BYTES,
  bothClauses,
  compileClause,
  compileCondition,
  parseStoredWhere,
  parseSubsetWhere,
  parseWhere,
  type ParsedWhere,
} from './parse-where.ts';
export { parseOrderBy, type OrderColumn, type ParsedOrderBy } from './parse-order-by.ts';
export type { WhereClause } from './clause.ts';
export { ClauseEvaluationError, InputError } from './errors.ts';
export type { ClauseTable } from './bind/context.ts';
export type { ClauseColumn, ColumnCollation, TypeFact } from './column.ts';
export {
  cellKey,
  compareNumbers,
  constantKey,
  keyColumn,
  mayFail,
  valueKey,
  type AccessKey,
} from './evaluate/access.ts';
export { comparison, widening } from './evaluate/compare.ts';
export {
  compileTest,
  compileValue,
  type Evaluate,
  type SlotColumn,
  type SlotSource,
  type Test,
} from './evaluate/compile.ts';
export { generateScan, generateTest, type Scan } from './evaluate/generate.ts';
export { typeOfNode } from './bind/operand.ts';
export { Ordinals } from './evaluate/ordinals.ts';
export { prepareList, preparePattern, type PreparedList } from './evaluate/prepared.ts';
export { RowValues } from './evaluate/row-values.ts';
export { analyseLike, type CaseFold, type LikeShape } from './functions/like.ts';
export { lowerText } from './functions/case-mapping.ts';
export { toSql } from './sql.ts';
export * from './tree.ts';
export { compareCodePoints } from './types/text.ts';
export { numericToNumber, type Numeric } from './types/decimal.ts';
export type { ArrayValue } from './types/array-value.ts';
export type { Type } from './types/type.ts';
export type { Value } from './types/value.ts';
