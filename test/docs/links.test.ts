import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const PAGES = ['*.md', 'docs/**/*.md', 'deploy/**/*.md', 'packages/*/*.md']
  .flatMap((pattern) => globSync(pattern, { cwd: ROOT }))
  .map((page) => join(ROOT, page));

/** Headings as the anchors that are made of them. */
function anchors(page: string): Set<string> {
  const headings = readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_\- ]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

test('links of pages lead somewhere', () => {
  let links = 0;
  const broken: string[] = [];
  for (const page of PAGES) {
    for (const [, target = ''] of readFileSync(page, 'utf8').matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      links += 1;
      const [path = '', anchor] = target.split('#');
      const to = path === '' ? page : join(dirname(page), path);
      const found = existsSync(to) && (anchor === undefined || !to.endsWith('.md') || anchors(to).has(anchor));
      if (!found) broken.push(`${relative(ROOT, page)}: ${target}`);
    }
  }
  expect(broken).toEqual([]);
  expect(links).toBeGreaterThan(30);
});
