/** What `packages/matching/src/table-index.bench.ts` measured, as Markdown. */
export const FIGURES = '<!-- figures -->';
