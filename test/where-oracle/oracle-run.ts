import type { RelationInfo } from '@shapecast/shape';
import { Chance } from '../support/chance.ts';
import { readCatalog } from './catalog.ts';
import { Coverage } from './coverage.ts';
import { askEngine, type EngineClause, type EngineOutcome } from './engine.ts';
import { ClauseGenerator, type GeneratedClause } from './generator.ts';
import { PostgresOracle, substitute, type Outcome, type Verdict } from './postgres.ts';
import { isExcused, isRequired } from './required.ts';
import { shrink, type Shrunk } from './shrink.ts';
import { constructsOf, plainStyle, render } from './term.ts';

export interface RunOptions {
  readonly url: string;
  readonly seed: number;
  /** Clause/row pairs to compare at least. */
  readonly count: number;
  readonly rows: number;
  /** Stops after so many different defects. */
  readonly maxDefects: number;
  /** Only constructs with such names, and no mixtures. */
  readonly only?: RegExp | undefined;
  readonly onProgress?: ((report: Report) => void) | undefined;
  readonly onDefect?: ((defect: Defect) => void) | undefined;
}

export interface Failure {
  /** What disagrees: see `kind` in oracle-run. */
  readonly kind: FailureKind;
  readonly clause: GeneratedClause;
  /** The clause as Postgres was asked it: parameters as typed literals. */
  readonly asked: string;
  /** Canonical SQL, if the engine made one. */
  readonly sql: string | undefined;
  /** Id of the row; undefined when it does not take one. */
  readonly row: number | undefined;
  readonly expected: string;
  readonly got: string;
}

/** A defect: the first clause that showed it, and that clause made small. */
export interface Defect {
  readonly failure: Failure;
  readonly shrunk: Shrunk;
}

/**
 * `value`: another result for a row. `accepts`: Postgres refuses the clause. `refuses`: a required construct is refused.
 * `canonical`: the canonical SQL means something else to Postgres. `stored`: it does not read back as itself.
 * `filter`: WHERE and SELECT disagree with the engine. `crash`: neither a value nor an error of the engine's.
 */
type FailureKind = 'value' | 'accepts' | 'refuses' | 'canonical' | 'stored' | 'filter' | 'crash';

interface Tally {
  clauses: number;
  /** The shortest clause. */
  example: string;
}

export interface Report {
  comparisons: number;
  clauses: number;
  accepted: number;
  refusedByBoth: number;
  refusedByEngine: number;
  /** Postgres fails while folding constants, the engine takes the clause and finds no row (spec W 10.5 a). */
  planErrors: number;
  /** The WHERE statement fails though no row does in the select list: other order of conjuncts (spec W 10.5 c). */
  reordered: number;
  /** WHERE finds rows for which the select list fails (spec W 10.5 a). */
  simplified: number;
  undecided: number;
  readonly outcomes: Record<string, number>;
  readonly undecidedReasons: Map<string, Tally>;
  readonly refusals: Map<string, Tally>;
  readonly coverage: Coverage;
  /** Clauses that failed. */
  failures: number;
  readonly defects: Map<string, Defect>;
  engineMs: number;
  postgresMs: number;
}

const BATCH = 40;

/** Compares the engine with Postgres until `count` pairs are done or too many have failed. */
export async function runOracle(options: RunOptions): Promise<Report> {
  const chance = new Chance(options.seed);
  const oracle = await PostgresOracle.open(options.url, options.rows, chance);
  try {
    const generator = new ClauseGenerator(chance, await readCatalog(oracle.client), oracle.rows, options.only);
    const run = new OracleRun(oracle, options);
    while (run.report.comparisons < options.count && run.report.defects.size < options.maxDefects) {
      await run.batch(await drawClauses(generator, oracle, run.report));
      await run.shrinkFailures();
      options.onProgress?.(run.report);
    }
    return run.report;
  } finally {
    await oracle.close();
  }
}

async function drawClauses(
  generator: ClauseGenerator,
  oracle: PostgresOracle,
  report: Report,
): Promise<GeneratedClause[]> {
  const clauses: GeneratedClause[] = [];
  const start = performance.now();
  while (clauses.length < BATCH) {
    const draft = generator.draft();
    if (draft.term.type === 'bool') clauses.push(...generator.clauses(draft, undefined));
    else {
      const plain = render(draft.term, plainStyle());
      // Parameters would need types.
      const sample = plain.includes('$') ? undefined : await oracle.sample(plain, 60);
      clauses.push(...generator.clauses(draft, sample));
    }
  }
  report.postgresMs += performance.now() - start;
  return clauses;
}

interface Asked {
  readonly clause: GeneratedClause;
  readonly engine: EngineClause;
  readonly asked: string;
  /** What the engine says for each row. */
  readonly got: readonly EngineOutcome[];
  /** Rows that fail, as the engine has it. */
  readonly failing: readonly number[];
}

class OracleRun {
  readonly #oracle: PostgresOracle;
  readonly #relation: RelationInfo;
  readonly #options: RunOptions;
  readonly #failures: Failure[] = [];
  readonly report: Report = {
    comparisons: 0,
    clauses: 0,
    accepted: 0,
    refusedByBoth: 0,
    refusedByEngine: 0,
    planErrors: 0,
    reordered: 0,
    simplified: 0,
    undecided: 0,
    outcomes: { t: 0, f: 0, n: 0, e: 0 },
    undecidedReasons: new Map(),
    refusals: new Map(),
    coverage: new Coverage(),
    failures: 0,
    defects: new Map(),
    engineMs: 0,
    postgresMs: 0,
  };

  constructor(oracle: PostgresOracle, options: RunOptions) {
    this.#oracle = oracle;
    this.#relation = oracle.relation;
    this.#options = options;
  }

  async batch(clauses: readonly GeneratedClause[]): Promise<void> {
    const accepted: Asked[] = [];
    for (const clause of clauses) {
      const asked = await this.#classify(clause);
      if (asked !== undefined) accepted.push(asked);
    }
    const asked = accepted.map((one) => ({ clause: one.asked, failing: one.failing }));
    const printed = accepted.map(({ engine, failing }) => ({ clause: engine.sql, failing }));
    const expected = await this.#timed(() => this.#oracle.evaluate(asked));
    const canonical = await this.#timed(() => this.#oracle.evaluate(printed));
    // Where a row fails, so does the statement.
    const sound = accepted.filter(({ failing }) => failing.length === 0);
    const found = await this.#timed(() => this.#oracle.filter(sound.flatMap((one) => [one.asked, one.engine.sql])));
    for (const [i, one] of accepted.entries()) {
      const truth = expected[i] ?? [];
      // Refusals come out as an error for every row: they are what costs a statement.
      if (truth.every((outcome) => outcome.startsWith('e')) && !(await this.#takes(one))) continue;
      const agreed = this.#compare(one, truth, canonical[i] ?? []);
      const at = 2 * sound.indexOf(one);
      if (at < 0 || !agreed) continue;
      this.#compareFilter(one, truth, found[at]);
      this.#compareFilter(one, truth, found[at + 1]);
    }
  }

  /** What the engine makes of a clause; undefined when there is nothing to evaluate. */
  async #classify(clause: GeneratedClause): Promise<Asked | undefined> {
    const { report } = this;
    report.clauses++;
    const start = performance.now();
    const engine = askEngine(clause.text, clause.params, this.#relation);
    report.engineMs += performance.now() - start;
    const about = clause.about === undefined ? undefined : report.coverage.of(clause.about);
    if ('crashed' in engine) {
      this.#fail({
        kind: 'crash',
        clause,
        asked: clause.text,
        sql: undefined,
        row: undefined,
        expected: 'an answer',
        got: engine.crashed,
      });
      return undefined;
    }
    let asked = clause.text;
    let verdict: Verdict | undefined;
    if (clause.params.length > 0) {
      const types = await this.#timed(() => this.#oracle.parameterTypes(clause.text));
      if (Array.isArray(types)) asked = substitute(clause.text, clause.params, types as readonly string[]);
      // One parameter that the grammar uses twice, with another type each time: the canonical SQL says what was taken.
      else if ('sql' in engine && /inconsistent types/.test((types as { message: string }).message)) asked = engine.sql;
      else verdict = types as Verdict;
    }
    if ('refused' in engine) {
      verdict ??= await this.#timed(() => this.#oracle.verdict(asked));
      if (verdict !== 'accepted') {
        report.refusedByBoth++;
        return undefined;
      }
      report.refusedByEngine++;
      if (about !== undefined) about.refused++;
      tally(
        report.refusals,
        engine.refused.replace(/^At location \d+: /, '').replace(/"[^"]*"|'[^']*'/g, '…'),
        clause.text,
      );
      const required = !clause.mutated && !isExcused(engine.refused) && isRequired(constructsOf(clause.term));
      if (required) {
        this.#fail({
          kind: 'refuses',
          clause,
          asked,
          sql: undefined,
          row: undefined,
          expected: 'accepted',
          got: engine.refused,
        });
      }
      return undefined;
    }
    if (verdict !== undefined && verdict !== 'accepted') {
      this.#fail({
        kind: 'accepts',
        clause,
        asked,
        sql: engine.sql,
        row: undefined,
        expected: verdict.message,
        got: 'accepted',
      });
      return undefined;
    }
    if (about !== undefined) about.accepted++;
    report.accepted++;
    const before = performance.now();
    const got = this.#oracle.rows.map((row) => engine.evaluate(row));
    report.engineMs += performance.now() - before;
    const failing = got.flatMap((outcome, id) => (outcome === 'e' || outcome[0] === 'u' ? [id] : []));
    return { clause, engine, asked, got, failing };
  }

  /** Whether Postgres takes a clause that the engine has taken; counts or reports it when it does not. */
  async #takes({ clause, engine, asked, got }: Asked): Promise<boolean> {
    const verdict = await this.#timed(() => this.#oracle.verdict(asked));
    if (verdict === 'accepted') return true;
    if (verdict.stage === 'plan') {
      const found = got.indexOf('t');
      if (found === -1) this.report.planErrors++;
      else
        this.#fail({
          kind: 'value',
          clause,
          asked,
          sql: engine.sql,
          row: found,
          expected: `e ${verdict.message}`,
          got: 't',
        });
    } else {
      this.#fail({
        kind: 'accepts',
        clause,
        asked,
        sql: engine.sql,
        row: undefined,
        expected: verdict.message,
        got: 'accepted',
      });
    }
    return false;
  }

  /** Whether everybody agrees on every row. */
  #compare({ clause, engine, asked, got }: Asked, truth: readonly Outcome[], canonical: readonly Outcome[]): boolean {
    const { report } = this;
    const failure = { clause, asked, sql: engine.sql };
    if (engine.storedProblem !== undefined) {
      this.#fail({ ...failure, kind: 'stored', row: undefined, expected: engine.sql, got: engine.storedProblem });
    }
    const start = performance.now();
    const stored = engine.evaluateStored === undefined ? got : this.#oracle.rows.map(engine.evaluateStored);
    report.engineMs += performance.now() - start;
    let failed = false;
    for (const [row, outcome] of got.entries()) {
      const expected = truth[row] ?? 'n';
      const same = outcome === (expected[0] === 'e' ? 'e' : expected);
      report.comparisons++;
      report.outcomes[expected[0] ?? ''] = (report.outcomes[expected[0] ?? ''] ?? 0) + 1;
      if (clause.about !== undefined) report.coverage.add(clause.about, expected);
      if (outcome[0] === 'u') {
        report.undecided++;
        const asked = expected[0] === 'e' ? 'an error' : 'a value';
        tally(report.undecidedReasons, `${outcome.slice(1)} (Postgres: ${asked})`, clause.text);
      } else if (!same && !failed) {
        failed = true;
        const kind = outcome[0] === 'x' ? 'crash' : 'value';
        this.#fail({ ...failure, kind, row, expected, got: outcome });
      }
      if (failed) continue;
      if (canonical[row]?.[0] !== expected[0]) {
        failed = true;
        this.#fail({ ...failure, kind: 'canonical', row, expected, got: String(canonical[row]) });
      } else if (stored[row] !== outcome) {
        failed = true;
        this.#fail({ ...failure, kind: 'stored', row, expected: outcome, got: String(stored[row]) });
      }
    }
    return !failed;
  }

  #compareFilter(
    { clause, engine, asked }: Asked,
    truth: readonly Outcome[],
    ids: ReadonlySet<number> | undefined,
  ): void {
    if (ids === undefined) {
      if (!truth.some((outcome) => outcome.startsWith('e'))) this.report.reordered++;
      return;
    }
    const row = truth.findIndex((outcome, id) => !outcome.startsWith('e') && ids.has(id) !== (outcome === 't'));
    // At the top of a WHERE Postgres takes constant NULLs for FALSE and drops what is beside them, errors too.
    if (truth.some((outcome, id) => outcome.startsWith('e') && ids.has(id))) this.report.simplified++;
    if (row === -1) return;
    const expected = ids.has(row) ? 'in the result' : 'not in the result';
    this.#fail({ kind: 'filter', clause, asked, sql: engine.sql, row, expected, got: truth[row] ?? '' });
  }

  /** Makes what failed since the last call small, and tells defects from more clauses that show them. */
  async shrinkFailures(): Promise<void> {
    const { defects } = this.report;
    for (const failure of this.#failures.splice(0)) {
      this.report.failures++;
      const shrunk = await shrink(failure, this.#oracle);
      if (defects.has(shrunk.name)) continue;
      const defect = { failure, shrunk };
      defects.set(shrunk.name, defect);
      this.#options.onDefect?.(defect);
      if (defects.size >= this.#options.maxDefects) return;
    }
  }

  #fail(failure: Failure): void {
    this.#failures.push(failure);
  }

  async #timed<T>(work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    try {
      return await work();
    } finally {
      this.report.postgresMs += performance.now() - start;
    }
  }
}

function tally(into: Map<string, Tally>, key: string, example: string): void {
  const one = into.get(key) ?? { clauses: 0, example };
  one.clauses++;
  if (example.length < one.example.length) one.example = example;
  into.set(key, one);
}
