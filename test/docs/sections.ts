import { apiConfig, apiConfigNames } from '@shapecast/api';
import { replicatorConfig, replicatorConfigNames } from '@shapecast/replicator';
import { routerConfig, routerConfigNames } from '@shapecast/router';
import { configPage } from './config-page.ts';

/** What `docs/config.md` must say. */
export function expectedConfigPage(): string {
  return configPage([
    { title: 'Replicator', schema: replicatorConfig, names: replicatorConfigNames },
    { title: 'Router', schema: routerConfig, names: routerConfigNames },
    { title: 'API', schema: apiConfig, names: apiConfigNames },
  ]);
}
