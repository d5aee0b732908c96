import { apiConfig, apiConfigNames } from '@shapecast/api';
import { embeddedConfig, embeddedConfigNames } from '@shapecast/embedded';
import { replicatorConfig } from '@shapecast/replicator';
import { routerConfig, routerConfigNames } from '@shapecast/router';
import { sourcesConfig, sourcesNames } from '@shapecast/sources';
import { z } from 'zod';
import { configPage, type ConfigSection } from './config-page.ts';

const { sources, sourcesKeys, sourcesApiKeys } = sourcesConfig.shape;

export const configSections: readonly ConfigSection[] = [
  { service: 'replicator', ...replicatorConfig },
  {
    service: 'router',
    schema: z.object({ ...routerConfig.shape, sources, sourcesKeys }),
    names: { ...routerConfigNames, sources: sourcesNames.sources, sourcesKeys: sourcesNames.sourcesKeys },
  },
  {
    service: 'api',
    schema: z.object({ ...apiConfig.shape, sources, sourcesApiKeys }),
    names: { ...apiConfigNames, sources: sourcesNames.sources, sourcesApiKeys: sourcesNames.sourcesApiKeys },
  },
  { service: 'embedded', schema: embeddedConfig, names: embeddedConfigNames },
];

/** What `docs/config.md` must say. */
export function expectedConfigPage(): string {
  return configPage(configSections);
}
