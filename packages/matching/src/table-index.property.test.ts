import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RowChange, Tuple } from '@shapecast/log';
import { ClauseEvaluationError, compileCondition, parseWhere, type WhereClause } from '@shapecast/where';
import { anyIndexChange, clausesAround, INDEX_COLUMNS, INDEX_RELATION, PREDICATES } from './clause.arbitrary.ts';
import { TableIndex } from './table-index.ts';

interface Shape {
  readonly text: string | undefined;
  readonly clause: WhereClause | undefined;
}

type Evaluate = (row: Tuple) => boolean | null;

const compiled = new Map<string, { clause: WhereClause; evaluate: Evaluate } | undefined>();

/** Undefined for a clause that is refused. */
function compile(text: string): { clause: WhereClause; evaluate: Evaluate } | undefined {
  if (!compiled.has(text)) {
    const parsed = parseWhere(text, {}, INDEX_COLUMNS);
    const result = parsed.ok
      ? { clause: parsed.clause, evaluate: compileCondition(parsed.clause, INDEX_COLUMNS) }
      : undefined;
    compiled.set(text, result);
  }
  return compiled.get(text);
}

/** What the index says: per shape whether the old and the new row are in it, or that it is undecided. */
function matches(index: TableIndex<string>, change: RowChange): Map<string, string> {
  const found = new Map<string, string>();
  const add = (key: string, what: string): void => {
    expect(found.has(key), `${key} is told once`).toBe(false);
    found.set(key, what);
  };
  index.match(
    change,
    (key, old, next) => {
      add(key, `${old ? 'T' : 'F'}${next ? 'T' : 'F'}`);
    },
    (key) => {
      add(key, 'undecided');
    },
  );
  return found;
}

/** What evaluating every clause says. */
function scan(shapes: ReadonlyMap<string, Shape>, change: RowChange): Map<string, string> {
  const found = new Map<string, string>();
  for (const [key, { text }] of shapes) {
    let undecided = false;
    const holds = (image: Tuple): boolean => {
      if (text === undefined) return true;
      try {
        return compile(text)?.evaluate(image) === true;
      } catch (error) {
        if (!(error instanceof ClauseEvaluationError)) throw error;
        undecided ||= error.reason === 'undecided';
        return false;
      }
    };
    const old = change.kind !== 'insert' && holds(change.old);
    const next = change.kind !== 'delete' && holds(change.new);
    if (undecided) found.set(key, 'undecided');
    else if (old || next) found.set(key, `${old ? 'T' : 'F'}${next ? 'T' : 'F'}`);
  }
  return found;
}

function sorted(found: ReadonlyMap<string, string>): string[] {
  return [...found].map((parts) => parts.join(' ')).sort();
}

const EMPTY = { slots: 0, templates: 0, registrations: 0, postings: 0, signatures: 0, splits: 0 };

type Step =
  | { readonly kind: 'add'; readonly key: string; readonly text: string | undefined }
  | { readonly kind: 'remove'; readonly key: string }
  | { readonly kind: 'match'; readonly change: RowChange };

function steps(text: fc.Arbitrary<string>, keys: number, damaged: boolean): fc.Arbitrary<Step[]> {
  const key = fc.nat({ max: keys }).map(String);
  const add = fc.record({ kind: fc.constant('add' as const), key, text });
  const more = fc.oneof(
    { weight: 4, arbitrary: add },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('remove' as const), key }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('match' as const), change: anyIndexChange(damaged) }) },
  );
  return fc
    .tuple(fc.array(add, { minLength: 10, maxLength: keys }), fc.array(more, { minLength: 10, maxLength: 40 }))
    .map(([first, then]) => [...first, ...then]);
}

/** Numbers of changes start again after three. `code`: predicates are generated code from their first evaluation on, instead of closures. */
function run(
  all: readonly Step[],
  code: boolean,
  check: (index: TableIndex<string>, shapes: Map<string, Shape>, change: RowChange) => void,
): void {
  const index = new TableIndex<string>(INDEX_RELATION.columns, {
    seed: 7,
    changeNumbers: 4,
    ...(code ? { generateAfter: 0 } : {}),
  });
  const shapes = new Map<string, Shape>();
  for (const step of all) {
    if (step.kind === 'remove') {
      expect(index.remove(step.key)).toBe(shapes.delete(step.key));
    } else if (step.kind === 'add') {
      const clause = step.text === undefined ? undefined : compile(step.text)?.clause;
      if (step.text !== undefined && clause === undefined) continue;
      index.add(step.key, clause);
      shapes.set(step.key, { text: step.text, clause });
    } else check(index, shapes, step.change);
  }
  expect(index.size).toBe(shapes.size);
  for (const key of shapes.keys()) index.remove(key);
  expect(index.size).toBe(0);
  expect(index.parts()).toEqual(EMPTY);
  expect(
    matches(index, { kind: 'insert', op: 0, relation: INDEX_RELATION, new: INDEX_COLUMNS.map(() => null) }).size,
  ).toBe(0);
}

const RUNS = Number(process.env['RUNS'] ?? 60);

describe('the index finds what evaluating every clause finds', () => {
  for (const [kind, predicate] of Object.entries(PREDICATES)) {
    for (const keys of [15, 300]) {
      test(`${kind}, up to ${keys} shapes`, () => {
        let compared = 0;
        fc.assert(
          fc.property(steps(clausesAround(predicate), keys, false), (all) => {
            run(all, keys === 300, (index, shapes, change) => {
              const expected = scan(shapes, change);
              expect(sorted(matches(index, change))).toEqual(sorted(expected));
              compared += expected.size;
            });
          }),
          { numRuns: keys < 100 ? RUNS : RUNS / 4 },
        );
        expect(compared).toBeGreaterThan(100);
      });
    }
  }

  test('and for rows that cannot be read, a shape that might hold them is told as one that holds them or as undecided', () => {
    const text = fc.oneof(...Object.values(PREDICATES).map(clausesAround));
    fc.assert(
      fc.property(steps(text, 60, true), (all) => {
        run(all, true, (index, shapes, change) => {
          const found = matches(index, change);
          for (const [key, expected] of scan(shapes, change)) {
            // Where another part of the clause decides, the index need not look at the cell that cannot be read.
            if (expected !== 'undecided') expect([expected, 'undecided']).toContain(found.get(key));
          }
          for (const [key, told] of found) {
            if (told !== 'undecided') expect(scan(new Map([[key, shapes.get(key) as Shape]]), change).size).toBe(1);
          }
        });
      }),
      { numRuns: RUNS * 2 },
    );
  });
});
