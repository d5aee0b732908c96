import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout this package is part of. */
export const PROJECT_ROOT = fileURLToPath(new URL('../../../../', import.meta.url)).replace(/[/\\]$/, '');

/** Programs and other downloads that outlive a run; git-ignored. */
export const CACHE_DIR = join(PROJECT_ROOT, '.shapecast');
