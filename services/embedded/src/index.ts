export { embeddedConfig, embeddedConfigNames, parseEmbeddedConfig, type EmbeddedConfig } from './config.ts';
