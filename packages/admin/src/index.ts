export { createAdmin, type Admin, type AdminDeps, type AdminOptions } from './admin.ts';
export { adminConfig, adminNames } from './admin-config.ts';
export { ClauseReader } from './shapes/clause-reader.ts';
export { explainClause } from './shapes/explain.ts';
