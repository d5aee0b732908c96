import { readFileSync, writeFileSync } from 'node:fs';
import { withConformanceTable } from './conformance-table.ts';

const page = new URL('../../docs/spec/enforcement.md', import.meta.url);
writeFileSync(page, withConformanceTable(readFileSync(page, 'utf8')));
