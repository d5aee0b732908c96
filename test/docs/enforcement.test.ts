import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** docs/spec/enforcement.md names tests; they have to be there, by these names. */

const ROOT = new URL('../../', import.meta.url);
const PAGE = readFileSync(new URL('docs/spec/enforcement.md', ROOT), 'utf8');

/** A file and the titles that a row of the page says are in it. */
interface Named {
  readonly file: string;
  readonly titles: readonly string[];
}

function named(): Named[] {
  const cells = PAGE.split('\n').filter((line) => line.startsWith('| '));
  return cells.flatMap(namedIn);
}

function namedIn(line: string): Named[] {
  return line.split('<br>').flatMap((part) => {
    const file = /`([^`]+\.ts)`/.exec(part)?.[1];
    if (file === undefined) return [];
    const titles = [...part.matchAll(/“([^”]+)”/g)].flatMap(([, title]) => (title as string).split(' › '));
    return [{ file, titles: titles.map((title) => title.replaceAll('\\|', '|')) }];
  });
}

/** Traps (R 17), scenarios (R 18.1) and cluster tests (R 18.2) whose tests have their numbers in their names. */
const NUMBERS = [
  ...Array.from({ length: 64 }, (_, i) => `T${i + 1}`),
  ...Array.from({ length: 24 }, (_, i) => `A${i + 1}`),
  ...Array.from({ length: 10 }, (_, i) => `18.2.${i + 1}`),
];

/** How often each number is held by a test that is named after it, and how often a reason is given instead. */
function accounts(): Map<string, { tests: number; reasons: number }> {
  const found = new Map(NUMBERS.map((number) => [number, { tests: 0, reasons: 0 }]));
  const section = /### R 17 Traps\n([^]*?)\n## /.exec(PAGE)?.[1] ?? '';
  for (const line of section.split('\n').filter((text) => /^\| (?:[AT]|18\.2\.)\d/.test(text))) {
    const [numbers = '', reason = ''] = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''));
    const titles = namedIn(line).flatMap((one) => one.titles);
    for (const [number] of numbers.matchAll(/(?:[AT]|18\.2\.)\d+/g)) {
      const account = found.get(number);
      if (account === undefined) throw new Error(`there is no ${number}`);
      if (titles.some((title) => new RegExp(`\\b${number.replaceAll('.', '\\.')}\\b`).test(title))) account.tests += 1;
      else if (titles.length === 0 && reason.length > 10) account.reasons += 1;
    }
  }
  return found;
}

test('the page about what is held names tests that exist', () => {
  const all = named();
  const missing = all.flatMap(({ file, titles }) => {
    const path = new URL(file, ROOT);
    if (!existsSync(path)) return [file];
    const source = readFileSync(path, 'utf8').replaceAll("\\'", "'").replaceAll('\\`', '`');
    return titles.filter((title) => !source.includes(title)).map((title) => `${file}: ${title}`);
  });
  expect(missing).toEqual([]);
  expect(all.length).toBeGreaterThan(200);
});

test('every trap and every scenario has a test that is named after it, or a reason why it has none', () => {
  const wrong = [...accounts()].filter(([, { tests, reasons }]) => tests + reasons !== 1);
  expect(wrong).toEqual([]);
});
