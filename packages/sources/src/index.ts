export { DeclaredSources } from './declared-sources.ts';
export { keyProblem, sealWith, type Seal } from './seal.ts';
export { SourceCatalog, type OnSource } from './source-catalog.ts';
export {
  openEntry,
  SOURCES_BUCKET,
  type AllSeals,
  type ApiPart,
  type DatabasePart,
  type Seals,
  type Source,
  type SourceEntry,
  type SourceSettings,
  type SourceState,
} from './source-entry.ts';
export { processEnvironment, sourceEnvironment } from './source-environment.ts';
export { SourceHost, type SourceComponent } from './source-host.ts';
export type { SourceLimits } from './source-limits.ts';
export { parseSource, type Lookup, type ParsedSource, type SourceSpec } from './source-spec.ts';
export { parseSourcesFile, type ParsedSources } from './sources-file.ts';
export { registrySources, sourcesConfig, sourcesNames } from './sources-config.ts';
