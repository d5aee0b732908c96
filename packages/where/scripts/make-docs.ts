import { writeFileSync } from 'node:fs';
import { whereClausesPage } from './docs/page.ts';

writeFileSync(new URL('../../../docs/where-clauses.md', import.meta.url), await whereClausesPage());
