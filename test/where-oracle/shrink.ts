import { askEngine } from './engine.ts';
import type { Failure } from './oracle-run.ts';
import type { PostgresOracle } from './postgres.ts';
import { isExcused, isRequired } from './required.ts';
import { COLUMNS } from './table.ts';
import { columnsOf, constructsOf, plainStyle, render, type Term } from './term.ts';

/** A failure made as small as it gets. */
export interface Shrunk {
  readonly clause: string;
  /** Cells of the row that the clause refers to. */
  readonly row: Readonly<Record<string, string | null>>;
  readonly expected: string;
  readonly got: string;
  /** Failures with the same name are taken for the same defect. */
  readonly name: string;
}

const TYPE_NAME =
  /\b(bool|int[248]|float[48]|numeric|text|varchar|bpchar|name|uuid|date|time|timestamp|timestamptz|interval|bytea|jsonb?|inet|cidr|\w+range|mood|size|posint|label|any\w*)\b(\[\])?/g;

/** What still disagrees about a clause. */
interface Disagreement {
  readonly expected: string;
  readonly got: string;
}

/** Checks of candidates; each asks Postgres. */
const BUDGET = 300;

/**
 * Drops conjuncts and list items and puts constants for subexpressions for as long as the failure stays (spec W 10.4).
 * A clause that was garbled as text is left as it is.
 */
export async function shrink(failure: Failure, oracle: PostgresOracle): Promise<Shrunk> {
  let budget = BUDGET;
  let style = plainStyle();
  const check = async (term: Term): Promise<Disagreement | undefined> => {
    budget--;
    return disagreement(render(plain(term), style), term, failure, oracle);
  };
  let term = failure.clause.term;
  let found = await check(term);
  if (found === undefined) {
    style = { ...style, bare: () => true };
    found = await check(term);
  }
  if (found === undefined) {
    const { clause, expected, got, kind } = failure;
    return { clause: clause.text, row: cells(term, failure, oracle), expected, got, name: `${kind}: ${clause.text}` };
  }
  for (let smaller = true; smaller && budget > 0;) {
    smaller = false;
    for await (const candidate of variants(term, failure.row, oracle)) {
      if (budget <= 0) break;
      const still = await check(candidate);
      if (still === undefined) continue;
      term = candidate;
      found = still;
      smaller = true;
      break;
    }
  }
  const constructs = [...constructsOf(term)].filter((name) => !/^(column|constant|sampled|cast) /.test(name));
  // Whatever the types: the same operator or function.
  const generic = new Set(constructs.map((name) => name.replaceAll(TYPE_NAME, '…')));
  const messages = found.got
    .replace(/^At location \d+: /, '')
    .split('\n')
    .slice(0, 2);
  const cause = failure.kind === 'crash' || failure.kind === 'refuses' ? messages : [...generic].sort();
  const name = `${failure.kind}: ${cause.join(' + ')}`;
  return { clause: render(plain(term), style), row: cells(term, failure, oracle), ...found, name };
}

/** Without parameters: as a literal each of them has a type. */
function plain(term: Term): Term {
  if (term.kind === 'constant') return term.form === 'parameter' ? { ...term, form: 'cast' } : term;
  if (term.kind === 'column') return term;
  return { ...term, parts: term.parts.map((part) => (typeof part === 'string' ? part : plain(part))) };
}

async function disagreement(
  text: string,
  term: Term,
  { kind, row }: Failure,
  oracle: PostgresOracle,
): Promise<Disagreement | undefined> {
  const engine = askEngine(text, [], oracle.relation);
  if ('crashed' in engine) return kind === 'crash' ? { expected: 'an answer', got: engine.crashed } : undefined;
  if ('refused' in engine) {
    if (kind !== 'refuses' || isExcused(engine.refused) || !isRequired(constructsOf(term))) return undefined;
    const taken = (await oracle.verdict(text)) === 'accepted';
    return taken ? { expected: 'accepted', got: engine.refused } : undefined;
  }
  if (kind === 'accepts') {
    const verdict = await oracle.verdict(text);
    const refused = verdict !== 'accepted' && verdict.stage === 'parse';
    return refused ? { expected: `refused: ${verdict.message}`, got: `accepted as ${engine.sql}` } : undefined;
  }
  if (kind === 'stored' && engine.storedProblem !== undefined)
    return { expected: engine.sql, got: engine.storedProblem };
  const cells = row === undefined ? undefined : oracle.rows[row];
  if (row === undefined || cells === undefined) return undefined;
  const verdict = await oracle.verdict(text);
  if (verdict !== 'accepted' && verdict.stage === 'parse') return undefined;
  const got = engine.evaluate(cells);
  if (kind === 'stored') {
    const stored = engine.evaluateStored?.(cells);
    return stored === got ? undefined : { expected: got, got: String(stored) };
  }
  if (kind === 'crash') return got.startsWith('x') ? { expected: 'an answer', got } : undefined;
  const expected = await oracle.outcome(text, row);
  if (kind === 'canonical') {
    const canonical = await oracle.outcome(engine.sql, row);
    return canonical[0] === expected[0] ? undefined : { expected, got: `${canonical} from ${engine.sql}` };
  }
  if (kind === 'filter') {
    const [ids] = await oracle.filter([text]);
    if (ids === undefined || expected[0] === 'e' || ids.has(row) === (expected === 't')) return undefined;
    return { expected, got: ids.has(row) ? 'in the result of WHERE' : 'not in the result of WHERE' };
  }
  return got[0] === expected[0] || got[0] === 'u' ? undefined : { expected, got };
}

function cells(term: Term, { row }: Failure, oracle: PostgresOracle): Record<string, string | null> {
  if (row === undefined) return {};
  const names = columnsOf(term);
  const values = oracle.rows[row] ?? [];
  return Object.fromEntries(
    COLUMNS.map(({ name }, i) => [name, values[i] ?? null] as const).filter(([name]) => names.has(name)),
  );
}

/** Smaller terms, biggest steps first. */
async function* variants(term: Term, row: number | undefined, oracle: PostgresOracle): AsyncGenerator<Term> {
  if (term.kind !== 'apply') return;
  yield* descendants(term, term.type);
  if (term.type === 'bool') {
    for (const text of ['TRUE', 'FALSE', 'NULL']) yield { kind: 'constant', type: 'bool', text, form: 'bare' };
  }
  for (const [i, part] of term.parts.entries()) {
    if (typeof part === 'string') continue;
    const separated = [term.parts[i - 1], term.parts[i + 1]];
    for (const [j, separator] of separated.entries()) {
      if (separator !== ', ' && separator !== ' AND ' && separator !== ' OR ') continue;
      yield { ...term, parts: term.parts.toSpliced(j === 0 ? i - 1 : i, 2) };
    }
  }
  for (const [i, part] of term.parts.entries()) {
    if (typeof part === 'string') continue;
    if (row !== undefined && part.kind === 'apply') {
      const value = await oracle.value(render(plain(part), plainStyle()), row);
      if (value !== undefined) {
        yield {
          ...term,
          parts: term.parts.with(i, { kind: 'constant', type: value.type, text: value.text, form: 'cast' }),
        };
      }
    }
    for await (const smaller of variants(part, row, oracle)) yield { ...term, parts: term.parts.with(i, smaller) };
  }
}

function* descendants(term: Term, type: string): Generator<Term> {
  if (term.kind !== 'apply') return;
  for (const part of term.parts) {
    if (typeof part === 'string') continue;
    if (part.type === type) yield part;
    yield* descendants(part, type);
  }
}
