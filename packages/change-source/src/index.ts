export type {
  ChangeSource,
  HolderWatch,
  NeighbourSource,
  ReplicationHandler,
  ReplicationSession,
  SlotState,
  SnapshotInfo,
  SnapshotRequest,
  SnapshotSink,
  SnapshotTable,
  SourceIdentity,
  SourceProgress,
  SubsetRequest,
  SubsetSink,
  TimelineEnd,
} from './change-source.ts';
export type { GuardedSlot, SlotHold, SlotReport, WalStatus } from './guarded-slot.ts';
export { keyOf, type KeyPlaces, type KeysetRequest, type KeyTexts } from './keyset.ts';
export type {
  SnapshotMoment,
  SourceDatabase,
  TableDetails,
  TableMember,
  TableSight,
  TableSights,
  TableToPublish,
  Writers,
} from './source-database.ts';
export { sharePublication } from './source-publication.ts';
export type {
  PublicationAction,
  PublicationCheck,
  PublicationFlaw,
  PublicationSight,
  PublishedTable,
  SourcePublication,
} from './source-publication.ts';
export { openPgChangeSource, type PgChangeSourceOptions } from './pg/pg-change-source.ts';
export { openPgGuardedSlot } from './pg/pg-guarded-slot.ts';
export { connectionBudget, permitLimits } from './pg/connection-budget.ts';
export { openPgSourceDatabase, type PgSourceDatabaseOptions } from './pg/pg-source-database.ts';
export {
  MemoryDatabase,
  type MemoryRow,
  type MemoryTableDefinition,
  type MemoryTransaction,
} from './memory/memory-database.ts';
export { MemoryChangeSource } from './memory/memory-change-source.ts';
export { MemorySourceDatabase, type MemorySourceDatabaseOptions } from './memory/memory-source-database.ts';
export { SourceRemoval, type SourceRemains } from './pg/source-removal.ts';
export { openSourceInspection, type SourceInspectionOptions } from './pg/pg-source-inspection.ts';
export type {
  DirectSight,
  PublicationInspection,
  QuerySight,
  RoleSight,
  ServerSight,
  SlotSight,
  SourceInspection,
  TableInspection,
} from './source-inspection.ts';
export { runStatements } from './pg/run-statements.ts';
