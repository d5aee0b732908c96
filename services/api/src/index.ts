export { createApi, type Api, type ApiDeps, type ApiOptions } from './api.ts';
export { apiConfig, apiConfigNames, apiOptions, parseApiConfig, type ApiConfig } from './config.ts';
