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
  return cells
    .flatMap((line) => line.split('<br>'))
    .flatMap((part) => {
      const file = /`([^`]+\.ts)`/.exec(part)?.[1];
      if (file === undefined) return [];
      const titles = [...part.matchAll(/“([^”]+)”/g)].flatMap(([, title]) => (title as string).split(' › '));
      return [{ file, titles: titles.map((title) => title.replaceAll('\\|', '|')) }];
    });
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
