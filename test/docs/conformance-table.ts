import { readFileSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';

/** Which test holds which case of the conformance table (spec H 28): read from the titles of the tests. */

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['test/conformance', 'test/clients', 'test/edge', 'test/integration', 'services/api/src'];
const CASES = Array.from({ length: 270 }, (_, i) => `C${String(i + 1).padStart(3, '0')}`);

const BEGIN = '<!-- conformance:begin -->';
const END = '<!-- conformance:end -->';

/** Cases without a test, and why. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['C086', 'C087', ...range('C229', 'C238')].map((name) => [
      name,
      'subqueries are not built yet: such a clause is a 400',
    ]),
  ),
  C268: 'the Elixir client is not run: its package registry is not one of those the tests install from',
};

/** Held by something else than a test with a title. */
const EVERYWHERE: Readonly<Record<string, string>> = {
  C011: '`test/conformance/support/http.ts`: looked for in every answer of the suite',
  C133: '`test/conformance/support/http.ts`: looked for in every answer of the suite',
};

/** Titles are string literals that begin with a case; a row of `test.each` is one, too. */
const TITLE = /(['"`])(C\d{3}(?:\\.|(?!\1)[^\\\n])*)\1/g;

function range(from: string, to: string): string[] {
  return CASES.slice(CASES.indexOf(from), CASES.indexOf(to) + 1);
}

/** The cases that the beginning of a title names: `C001, C003-C006 …`. */
function casesOf(title: string): string[] {
  return [...title.matchAll(/C\d{3}(?:-(C\d{3}))?/g)].flatMap(([first, to]) => range(first.slice(0, 4), to ?? first));
}

/** Files and titles by case. */
function found(): Map<string, string[]> {
  const tests = new Map<string, string[]>(
    CASES.map((name) => [name, EVERYWHERE[name] === undefined ? [] : [EVERYWHERE[name]]]),
  );
  for (const folder of FOLDERS) {
    const files = readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' });
    for (const file of files.filter((name) => /\.(test|cases)\.ts$/.test(name)).sort()) {
      const path = join(ROOT, folder, file);
      for (const [, , literal] of readFileSync(path, 'utf8').matchAll(TITLE)) {
        const title = (literal as string).replaceAll(/\\(.)/g, '$1').replaceAll('|', '\\|');
        for (const name of casesOf(title)) tests.get(name)?.push(`\`${relative(ROOT, path)}\`: “${title}”`);
      }
    }
  }
  return tests;
}

/** Cases that neither a test nor the list of those left out names, and cases that both name. */
export function unaccounted(): string[] {
  return [...found()].filter(([name, tests]) => tests.length > 0 === name in LEFT_OUT).map(([name]) => name);
}

/** `page` with the table as the tests are now. */
export function withConformanceTable(page: string): string {
  const rows = [...found()]
    .filter(([, tests]) => tests.length > 0)
    .map(([name, tests]) => `| ${name} | ${tests.slice(0, 3).join('<br>')} |`);
  const left = Object.entries(LEFT_OUT)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, why]) => `| ${name} | ${why} |`);
  const table = [
    '',
    '| case | held by |',
    '| --- | --- |',
    ...rows,
    '',
    '| left out | why |',
    '| --- | --- |',
    ...left,
    '',
  ];
  const [before, rest] = page.split(BEGIN) as [string, string];
  return `${before}${BEGIN}\n${table.join('\n')}\n${END}${rest.split(END)[1] ?? ''}`;
}
