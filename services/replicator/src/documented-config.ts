import { adminConfig, adminNames } from '@shapecast/admin';
import { sourcesConfig, sourcesNames } from '@shapecast/sources';
import { telemetryConfig, telemetryNames } from '@shapecast/telemetry';
import { names, schema } from './config.ts';

/** Names and shape of all that a replicator reads, for the documentation. */
export const replicatorConfig = {
  schema: schema.extend({ ...sourcesConfig.shape, ...adminConfig, ...telemetryConfig }),
  names: { ...names, ...sourcesNames, ...adminNames, ...telemetryNames },
} as const;
