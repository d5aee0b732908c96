export { createReplicator, type Replicator, type ReplicatorDeps, type ReplicatorSettings } from './replicator.ts';
export { replicatorDefaults, type ReplicatorOptions } from './options.ts';
export { parseReplicatorConfig, type ReplicatorConfig } from './config.ts';
export { replicatorConfig } from './documented-config.ts';
