import { writeFileSync } from 'node:fs';
import { expectedConfigPage } from './sections.ts';

writeFileSync(new URL('../../docs/config.md', import.meta.url), expectedConfigPage());
