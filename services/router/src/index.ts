export { createRouter } from './router.ts';
export type { Router, RouterDeps, RouterOptions } from './router-options.ts';
export { parseRouterConfig, routerConfig, routerConfigNames, type RouterConfig } from './config.ts';
