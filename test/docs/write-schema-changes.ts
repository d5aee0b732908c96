import { writeFileSync } from 'node:fs';
import { schemaChangesPage } from './schema-changes-page.ts';

writeFileSync(new URL('../../docs/schema-changes.md', import.meta.url), schemaChangesPage());
