export { ZERO_LSN, formatLsn, lsn, maxLsn, parseDecimalLsn, parseLsn, type Lsn } from './lsn.ts';
export {
  BEFORE_ALL,
  SNAPSHOT_END,
  compareOffsets,
  formatOffset,
  parseOffset,
  snapshotChunkEnd,
  type LogOffset,
} from './offset.ts';
export {
  POSITION_ZERO,
  comparePositions,
  formatPosition,
  parsePosition,
  type Ancestor,
  type RelationPublished,
  type Cell,
  type Change,
  type DeleteChange,
  type InsertChange,
  type Joined,
  type Position,
  type Relation,
  type RelationColumn,
  type RowChange,
  type TransactionPart,
  type TruncateChange,
  type Tuple,
  type UnusableChange,
  type UpdateChange,
} from './change.ts';
export {
  chainAfter,
  lastPosition,
  type DataRecord,
  type LeaderRecord,
  type ProgressRecord,
  type RecordChain,
  type RecordHeader,
  type SliceRecord,
  type TxRecord,
} from './record.ts';
export { checkFormat, FIRST_FORMATS, formatRefusal, KNOWN_FORMATS, type Formats } from './formats.ts';
export { RecordDecoder, decodeRecord, encodeRecord } from './codec.ts';
export { MAX_SLICED_BYTES, SliceAssembler, sliceRecord } from './slices.ts';
