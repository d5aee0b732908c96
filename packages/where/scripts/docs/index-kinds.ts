/** A way to find the shapes that a row belongs to, with clauses that are found by it. */
export interface IndexKindNote {
  /** As `IndexKind` of the matching package has it. */
  readonly kind: string;
  readonly serves: string;
  readonly examples: readonly string[];
  readonly cost: string;
}

export const INDEX_KINDS: readonly IndexKindNote[] = [
  {
    kind: 'equality',
    serves: '`=`, `IN`, `IS NOT DISTINCT FROM`, a boolean, `LIKE` without wildcards; of a column or of an expression',
    examples: [
      `owner = 'b6f3a3c0-5d7c-4b6e-9f5e-0d6a3b7a9c11'`,
      `status IN ('open', 'new')`,
      `lower(title) = 'inbox'`,
      `data ->> 'kind' = 'note'`,
      'id % 16 = 3',
      'done',
    ],
    cost: 'one hash lookup',
  },
  {
    kind: 'composite',
    serves: 'two to four equalities joined by `AND`',
    examples: [`status = 'open' AND priority = 3`],
    cost: 'one hash lookup',
  },
  {
    kind: 'range',
    serves: '`<` `<=` `>` `>=` `BETWEEN` of numbers, dates, times, uuid, bytea, and text by code point',
    examples: ['price > 100', `created BETWEEN '2024-01-01' AND '2024-02-01'`, `title >= 'a' AND title < 'b'`],
    cost: 'logarithmic',
  },
  {
    kind: 'prefix',
    serves: '`LIKE` that begins or ends with a literal part, `starts_with`, `^@`; also `ILIKE`',
    examples: [`title LIKE 'fix%'`, `title ILIKE '%.pdf'`, `starts_with(title, 'fix')`],
    cost: 'one lookup per length of prefix in use',
  },
  {
    kind: 'substring',
    serves: '`LIKE` and `ILIKE` with at least three literal characters in a row',
    examples: [`title LIKE '%error%'`],
    cost: 'the length of the text',
  },
  {
    kind: 'array',
    serves: '`@>`, `<@`, `&&` with a constant, a constant `= ANY` of an array column',
    examples: [`tags @> '{red}'`, `tags && '{red,blue}'`, `'red' = ANY (tags)`],
    cost: 'one lookup per element of the row',
  },
  { kind: 'null', serves: '`IS NULL`, `IS NOT NULL`', examples: ['due IS NULL'], cost: 'one lookup' },
  {
    kind: 'complement',
    serves: '`<>`, `NOT IN`, `IS DISTINCT FROM`',
    examples: [`status <> 'done'`, 'priority NOT IN (1, 2)'],
    cost: 'what matches, which is most',
  },
  {
    kind: 'mixed',
    serves: '`OR` whose sides are found in different ways',
    examples: [`priority = 3 OR title LIKE 'fix%'`, `(status = 'open' OR due IS NULL) AND NOT (price <= 10)`],
    cost: 'the sum of the sides',
  },
  {
    kind: 'scan',
    serves: 'everything else',
    examples: [
      'price > fee',
      'priority = 1 OR price > fee',
      `title LIKE '%a%'`,
      `title NOT LIKE '%wip%'`,
      `title SIMILAR TO '(fix|feat)%'`,
      `data @> '{"kind":"note"}'`,
      `booked @> '2024-06-01'::timestamptz`,
      `address << '10.0.0.0/8'`,
      `spent > '1 hour'`,
      '(priority, id) > (3, 1000)',
    ],
    cost: 'one evaluation per row and different clause',
  },
];
