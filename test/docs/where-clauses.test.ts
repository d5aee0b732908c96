import { readFileSync } from 'node:fs';
import { TableIndex } from '@shapecast/matching';
import {
  acceptedExamples,
  EXAMPLE_COLUMNS,
  INDEX_KINDS,
  parseExample,
  REFUSALS,
  whereClausesPage,
} from '@shapecast/where/docs';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../../docs/where-clauses.md', import.meta.url), 'utf8');

/** Tables escape the bar. A plain answer, because a failure would print the whole page. */
const shows = (text: string): boolean => page.replaceAll('\\|', '|').includes(text);

describe('the page on where clauses', () => {
  test('is what the generator prints', async () => {
    expect(page).toBe(await whereClausesPage());
  });

  test.each(acceptedExamples())('shows a clause that is accepted: %s', (clause) => {
    expect(parseExample(clause)).toMatchObject({ ok: true });
    expect(shows(`\`${clause}\``)).toBe(true);
  });

  test.each(REFUSALS.flatMap(({ refusals }) => refusals).map(({ clause }) => clause))(
    'shows a clause that is refused, with the message: %s',
    (clause) => {
      const parsed = parseExample(clause);
      expect(parsed.ok).toBe(false);
      expect(shows(`- \`${clause}\``)).toBe(true);
      expect(shows(`  > ${parsed.ok ? '' : parsed.message}\n`)).toBe(true);
    },
  );

  const indexed = INDEX_KINDS.flatMap(({ kind, examples }) => examples.map((clause) => ({ kind, clause })));
  test.each(indexed)('says how a clause is found: $kind for $clause', ({ kind, clause }) => {
    const parsed = parseExample(clause);
    if (!parsed.ok) throw new Error(parsed.message);
    expect(new TableIndex(EXAMPLE_COLUMNS).explain(parsed.clause).kind).toBe(kind);
  });
});
