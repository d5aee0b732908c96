/** What `packages/matching/src/table-index.bench.ts` measured, as Markdown. */
export const FIGURES = `On one of two shared cores (AMD EPYC), matcher alone; each row looks for the shapes it belongs to:

| clauses of one table                                        | rows/s  | memory per shape |
| ----------------------------------------------------------- | ------- | ---------------- |
| 1,000,000 \`owner = uuid AND status = text\`                 | 470,000 | 140 bytes        |
| 100,000 \`price BETWEEN a AND b\`, 10 of them hold a row     | 260,000 | 165 bytes        |
| 100,000 \`path LIKE 'prefix%'\`                              | 345,000 | 155 bytes        |
| 100,000 \`id IN (20 values)\`                                | 735,000 | 1,400 bytes      |
| 10,000 that are scanned, in 5 forms                         | 9,600   | 235 bytes        |

[Figures](benchmarks.md) has the rest, and how to measure your own.`;
