export { TableIndex, type EmitMatch, type ReportUndecided } from './table-index.ts';
