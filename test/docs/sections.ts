import { apiConfig, apiConfigNames } from '@shapecast/api';
import { embeddedConfig, embeddedConfigNames } from '@shapecast/embedded';
import { replicatorConfig } from '@shapecast/replicator';
import { routerConfig, routerConfigNames } from '@shapecast/router';
import { configPage, type ConfigSection } from './config-page.ts';

export const configSections: readonly ConfigSection[] = [
  { service: 'replicator', ...replicatorConfig },
  { service: 'router', schema: routerConfig, names: routerConfigNames },
  { service: 'api', schema: apiConfig, names: apiConfigNames },
  { service: 'embedded', schema: embeddedConfig, names: embeddedConfigNames },
];

/** What `docs/config.md` must say. */
export function expectedConfigPage(): string {
  return configPage(configSections);
}
