export { ERRORS, ShapecastError, isShapecastError, type ErrorCode, type ErrorSpec } from './errors.ts';
