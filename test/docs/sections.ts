import { apiConfig, apiConfigNames } from '@shapecast/api';
import { embeddedConfig, embeddedConfigNames } from '@shapecast/embedded';
import { replicatorConfig } from '@shapecast/replicator';
import { routerConfig, routerConfigNames } from '@shapecast/router';
import { configPage } from './config-page.ts';

/** What `docs/config.md` must say. */
export function expectedConfigPage(): string {
  return configPage([
    { title: 'Replicator', ...replicatorConfig },
    { title: 'Router', schema: routerConfig, names: routerConfigNames },
    { title: 'API', schema: apiConfig, names: apiConfigNames },
    { title: 'Embedded mode (`npm start`)', schema: embeddedConfig, names: embeddedConfigNames },
  ]);
}
