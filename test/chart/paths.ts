import { fileURLToPath } from 'node:url';

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/[/\\]$/, '');
export const CHART = `${ROOT}/deploy/helm/shapecast`;
export const SCHEMAS = `${ROOT}/deploy/helm/schemas`;
export const GOLDEN = `${ROOT}/test/chart/golden`;
