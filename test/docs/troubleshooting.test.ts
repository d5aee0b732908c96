import { globSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

/** docs/troubleshooting.md quotes what users see; it has to be what the code says. */

const ROOT = new URL('../../', import.meta.url);
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8');

/** The code without tests, its string literals put together across lines; `…` where it inserts something. */
const CODE = globSync(['packages/*/src/**/*.ts', 'services/*/src/**/*.ts'], { cwd: ROOT })
  .filter((path) => !/\.(test|contract|bench)\.ts$|\/testing\//.test(path))
  .map(read)
  .join('\n')
  .replaceAll(/['"`] \+\n\s*['"`]/g, '')
  .replaceAll(/\$\{[^}]*\}/g, '…')
  .replaceAll("\\'", "'");

interface Row {
  readonly [column: string]: string | undefined;
}

const ROWS: readonly Row[] = tables(read('docs/troubleshooting.md'));

function tables(page: string): Row[] {
  const rows: Row[] = [];
  let columns: string[] | undefined;
  for (const line of page.split('\n')) {
    const cells = line.startsWith('|') ? line.split('|').slice(1, -1) : undefined;
    if (cells === undefined) columns = undefined;
    else if (columns === undefined) columns = cells.map((cell) => cell.trim());
    else if (!/^[\s|-]+$/.test(line)) {
      const names = columns;
      rows.push(Object.fromEntries(cells.map((cell, i) => [names[i] ?? '', cell.trim()])));
    }
  }
  return rows;
}

/** What stands in backticks in a column, in all tables that have it. */
function quoted(column: string): string[] {
  return ROWS.flatMap((row) => [...(row[column] ?? '').matchAll(/`([^`]+)`/g)].map(([, text]) => text as string));
}

/** In one piece, or put together from two. */
function isInCode(text: string): boolean {
  if (CODE.includes(text)) return true;
  for (let at = 6; at <= text.length - 6; at += 1) {
    if (CODE.includes(text.slice(0, at)) && CODE.includes(text.slice(at))) return true;
  }
  return false;
}

test('messages on the page about troubleshooting are those of the code', () => {
  const messages = quoted('message');
  const missing = messages.filter((message) => !message.split('…').every((piece) => isInCode(piece.trim())));
  expect(missing).toEqual([]);
  expect(messages.length).toBeGreaterThan(80);
});

test.each(['type', 'condition', 'reason'])('each %s on it is one of the code', (column) => {
  const found = quoted(column);
  expect(found.filter((name) => !CODE.includes(`'${name}'`) && !CODE.includes(`${name}: `))).toEqual([]);
  expect(found.length).toBeGreaterThan(5);
});

test('it has every type of database error, every condition, every text of the publication and every reason', () => {
  const union = (name: string) => {
    const declaration = new RegExp(`type ${name} =([^;]+);`).exec(CODE)?.[1] ?? '';
    return [...declaration.matchAll(/'(\w+)'/g)].map(([, type]) => type as string);
  };
  const conditions = [...(/CONDITIONS = \[([^\]]+)\]/.exec(CODE)?.[1] ?? '').matchAll(/'(\w+)'/g)].map(
    ([, name]) => name,
  );
  const expected = [...union('DatabaseErrorType'), ...union('Break'), ...conditions];
  expect(expected.length).toBeGreaterThan(50);
  const texts = [...CODE.matchAll(/`((?:Publication|Database table) "…"[^`]{20,})`/g)].map(
    ([, text]) => text as string,
  );
  expect(texts.length).toBeGreaterThan(10);
  const messages = quoted('message');
  expect(texts.filter((text) => !messages.some((message) => message.startsWith(text.slice(0, 50))))).toEqual([]);
  const page = new Set([...quoted('type'), ...quoted('reason'), ...quoted('condition')]);
  expect(expected.filter((name) => !page.has(name as string))).toEqual([]);
});
