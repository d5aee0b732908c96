import { parseArgs } from 'node:util';
import pg from 'pg';
import { createDatabase, startPostgres } from '@shapecast/testkit';
import { runOracle, type Defect } from '../oracle-run.ts';

/** `npm run oracle:where`: the where engine against Postgres, for as long as one likes (spec W 10). */

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    rows: { type: 'string', default: '500' },
    postgres: { type: 'string', default: '18' },
    icu: { type: 'string' },
    only: { type: 'string' },
    'max-defects': { type: 'string', default: '20' },
    coverage: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const seed = Number(values.seed);
const server = await startPostgres({ version: Number(values.postgres) });
try {
  const url =
    values.icu === undefined ? (await createDatabase(server.url)).url : await createIcuDatabase(server.url, values.icu);
  let last = performance.now();
  const report = await runOracle({
    url,
    seed,
    count: Number(values.count),
    rows: Number(values.rows),
    maxDefects: Number(values['max-defects']),
    only: values.only === undefined ? undefined : new RegExp(values.only),
    onDefect: (defect) => console.log(describe(defect)),
    onProgress: ({ comparisons, clauses, failures, engineMs, postgresMs }) => {
      if (performance.now() - last < 5000) return;
      last = performance.now();
      console.error(
        `${comparisons} comparisons, ${clauses} clauses, ${failures} failures; engine ${Math.round(engineMs / 1000)} s, Postgres ${Math.round(postgresMs / 1000)} s`,
      );
    },
  });
  const { coverage, refusals, undecidedReasons, defects, ...rest } = report;
  if (values.coverage) console.log(coverage.table());
  const sorted = (map: typeof refusals): string[] =>
    [...map]
      .sort(([, a], [, b]) => b.clauses - a.clauses)
      .slice(0, 60)
      .map(
        ([key, one]) =>
          `${String(one.clauses).padStart(6)}  ${key}\n          ${one.example.replaceAll('\n', '\\n').slice(0, 200)}`,
      );
  console.log(`refused by the engine only:\n${sorted(refusals).join('\n')}`);
  console.log(`undecided:\n${sorted(undecidedReasons).join('\n')}`);
  const thin = coverage.thin();
  console.log(`${coverage.counts.size} constructs, ${thin.length} below 1,000 comparisons or 5 % true or 5 % false`);
  const summary = { postgres: server.version, seed, ...rest, defects: defects.size };
  console.log(JSON.stringify(values.json ? { ...summary, coverage: Object.fromEntries(coverage.counts) } : summary));
  const decided = report.undecided < report.comparisons / 100 || report.comparisons < 1_000_000;
  if (!decided) console.log(`undecided: ${report.undecided} of ${report.comparisons}, which is more than 1 %`);
  process.exitCode = defects.size === 0 && decided ? 0 : 1;
} finally {
  await server.stop();
}

/** A database whose texts are ordered by a language's rules: what depends on them has to be refused (spec W 5.1). */
async function createIcuDatabase(adminUrl: string, locale: string): Promise<string> {
  const client = new pg.Client({ connectionString: adminUrl });
  await client.connect();
  try {
    const quoted = pg.escapeLiteral(locale);
    await client.query(`CREATE DATABASE oracle_icu TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE ${quoted}`);
  } finally {
    await client.end();
  }
  const url = new URL(adminUrl);
  url.pathname = '/oracle_icu';
  return url.href;
}

function describe({ failure: { kind, clause, asked, sql, row }, shrunk }: Defect): string {
  const short = (text: string): string => text.replaceAll('\n', '\\n').slice(0, 1500);
  return [
    `--- ${kind} (seed ${seed})${clause.about === undefined ? '' : `, about ${clause.about}`}`,
    `  clause:    ${short(shrunk.clause)}`,
    `  row:       ${JSON.stringify(shrunk.row)}${row === undefined ? '' : ` (id ${row})`}`,
    `  expected:  ${short(shrunk.expected)}`,
    `  got:       ${short(shrunk.got)}`,
    `  found as:  ${short(asked)}`,
    ...(sql === undefined ? [] : [`  canonical: ${short(sql)}`]),
  ].join('\n');
}
