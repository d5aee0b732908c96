import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { generatedFiles } from '../src/files.ts';

/** `npm run docs:metrics`: writes docs/metrics.md, rules and dashboards, those of the chart too. */
const root = new URL('../../../', import.meta.url);
for (const [path, text] of generatedFiles((file) => readFileSync(new URL(file, root), 'utf8'))) {
  const url = new URL(path, root);
  mkdirSync(dirname(url.pathname), { recursive: true });
  writeFileSync(url, text);
}
