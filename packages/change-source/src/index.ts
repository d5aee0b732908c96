export type {
  ChangeSource,
  ReplicationHandler,
  ReplicationSession,
  SlotState,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotSink,
  SourceIdentity,
  SourceProgress,
  SubsetRequest,
  SubsetSink,
} from './change-source.ts';
export type { SourceDatabase, TableToPublish, TableTree } from './source-database.ts';
export { openPgChangeSource, type PgChangeSourceOptions } from './pg/pg-change-source.ts';
export { connectionBudget } from './pg/connection-budget.ts';
export { openPgSourceDatabase, type PgSourceDatabaseOptions } from './pg/pg-source-database.ts';
export {
  MemoryDatabase,
  type MemoryRow,
  type MemoryTableDefinition,
  type MemoryTransaction,
} from './memory/memory-database.ts';
export { MemoryChangeSource } from './memory/memory-change-source.ts';
export { MemorySourceDatabase, type MemorySourceDatabaseOptions } from './memory/memory-source-database.ts';
export { runStatements } from './pg/run-statements.ts';
