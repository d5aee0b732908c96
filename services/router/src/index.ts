export { createRouter, type Router, type RouterDeps, type RouterOptions } from './router.ts';
export { parseRouterConfig, routerConfig, routerConfigNames, type RouterConfig } from './config.ts';
