import { castsImplicitly } from '../functions/casts.ts';
import { scalarType, type TypeName } from '../types/scalar-type.ts';

/** Operand types of one operator of the catalog, and the type whose order or equality it uses. */
export interface Candidate {
  readonly left: TypeName;
  readonly right: TypeName;
  readonly by: TypeName;
}

/** What the binder knows of an operand before the operator is chosen. */
export type OperandType = TypeName | 'unknown';

const SELF: readonly TypeName[] = [
  'bool',
  'int2',
  'int4',
  'int8',
  'numeric',
  'float4',
  'float8',
  'text',
  'bpchar',
  'name',
  'uuid',
  'bytea',
  'date',
  'time',
  'timestamp',
  'timestamptz',
];

/** `= <> < <= > >=` have the same operand types: `pg_operator` of Postgres 15 restricted to ours. */
const COMPARISONS: readonly Candidate[] = [
  ...SELF.map((type) => ({ left: type, right: type, by: type })),
  ...pairs(['int2', 'int4', 'int8'], () => 'int8'),
  ...pairs(['float4', 'float8'], () => 'float8'),
  ...pairs(['name', 'text'], () => 'text'),
  ...pairs(['date', 'timestamp', 'timestamptz'], (a, b) =>
    a === 'timestamptz' || b === 'timestamptz' ? 'timestamptz' : 'timestamp',
  ),
];

/** `~~` and `!~~`; the case-insensitive forms have the same without bytea, which is opaque to LIKE here. */
const PATTERNS: readonly Candidate[] = (['text', 'bpchar', 'name'] as const).map((left) => ({
  left,
  right: 'text',
  by: 'text',
}));

export function selectComparison(left: OperandType, right: OperandType): Candidate | undefined {
  return select(COMPARISONS, left, right);
}

export function selectPattern(left: OperandType, right: OperandType): Candidate | undefined {
  return select(PATTERNS, left, right);
}

/** Operator resolution of Postgres (manual 10.2; spec W 3). */
function select(all: readonly Candidate[], left: OperandType, right: OperandType): Candidate | undefined {
  const assumedLeft = left === 'unknown' ? right : left;
  const assumedRight = right === 'unknown' ? left : right;
  const exact = all.find((candidate) => candidate.left === assumedLeft && candidate.right === assumedRight);
  if (exact !== undefined) return exact;
  const given = [left, right] as const;
  let candidates = all.filter((candidate) => accepts(left, candidate.left) && accepts(right, candidate.right));
  candidates = keepBest(candidates, (type, at) => given[at] !== 'unknown' && type === given[at]);
  candidates = keepBest(candidates, (type, at) => {
    const operand = given[at];
    return operand !== 'unknown' && (type === operand || isPreferredFor(type, operand));
  });
  if (candidates.length > 1 && given.includes('unknown')) candidates = resolveUnknowns(candidates, given);
  return candidates.length === 1 ? candidates[0] : undefined;
}

function accepts(operand: OperandType, parameter: TypeName): boolean {
  return operand === 'unknown' || castsImplicitly(operand, parameter);
}

function keepBest(candidates: Candidate[], matches: (type: TypeName, at: 0 | 1) => boolean): Candidate[] {
  if (candidates.length < 2) return candidates;
  const scores = candidates.map(({ left, right }) => Number(matches(left, 0)) + Number(matches(right, 1)));
  const best = Math.max(...scores);
  return candidates.filter((_, i) => scores[i] === best);
}

function isPreferredFor(type: TypeName, operand: TypeName): boolean {
  const { category, preferred } = scalarType(type);
  return preferred && category === scalarType(operand).category;
}

/** Unknown literals go to the string category when any candidate has it there, else to the one all candidates share. */
function resolveUnknowns(candidates: Candidate[], given: readonly [OperandType, OperandType]): Candidate[] {
  let kept = candidates;
  for (const at of [0, 1] as const) {
    if (given[at] !== 'unknown') continue;
    const types = candidates.map((candidate) => scalarType(at === 0 ? candidate.left : candidate.right));
    const categories = new Set(types.map((type) => type.category));
    const category = categories.has('S') ? 'S' : categories.size === 1 ? types[0]?.category : undefined;
    if (category === undefined) return [];
    const preferred = types.some((type) => type.category === category && type.preferred);
    kept = kept.filter((candidate) => {
      const type = scalarType(at === 0 ? candidate.left : candidate.right);
      return type.category === category && (!preferred || type.preferred);
    });
  }
  return kept;
}

/**
 * Common type of a list (manual 10.5, spec W 3, "union rule"). Undefined when the categories differ. All unknown: text.
 */
export function commonType(types: readonly OperandType[]): TypeName | undefined {
  let common: TypeName | undefined;
  for (const type of types) {
    if (type === 'unknown' || type === common) continue;
    if (common === undefined) {
      common = type;
      continue;
    }
    const current = scalarType(common);
    if (scalarType(type).category !== current.category) return undefined;
    if (!current.preferred && castsImplicitly(common, type) && !castsImplicitly(type, common)) common = type;
  }
  const result = common ?? 'text';
  return types.every((type) => type === 'unknown' || castsImplicitly(type, result)) ? result : undefined;
}

function pairs(types: readonly TypeName[], by: (left: TypeName, right: TypeName) => TypeName): Candidate[] {
  return types.flatMap((left) =>
    types.filter((right) => right !== left).map((right) => ({ left, right, by: by(left, right) })),
  );
}
