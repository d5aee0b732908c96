export {
  cacheControl,
  entityTag,
  matchesTag,
  nextCursor,
  type CacheKind,
  type CacheOptions,
} from './request/caching.ts';
export { OTHER_CORS, SHAPE_CORS, preflightHeaders, type HeaderList } from './request/cors.ts';
export { invalidRequestBody, type Checked, type FieldErrors } from './request/field-errors.ts';
export { parseTableName, type TableName } from './request/identifier.ts';
export { decodeQuery, emptyParams, isObject, type Params } from './request/query-string.ts';
export { collectSubset, mergeBody } from './request/request-body.ts';
export { schemaHeader } from './request/schema-header.ts';
export { RESTRICTED, requestedTable, resolveDefinition, type ResolvedDefinition } from './request/shape-definition.ts';
export {
  definitionKey,
  parseDeleteRequest,
  parseShapeRequest,
  type DefinitionParams,
  type DeleteRequest,
  type Restriction,
  type ShapeRequest,
} from './request/shape-request.ts';
export { resolveSubset, type SubsetSelection } from './request/subset.ts';
export { exactNumbers } from './request/subset-params.ts';
export { amendMessage, type MessageAmendment } from './messages/amend-message.ts';
export { MUST_REFETCH_MESSAGE, snapshotEndMessage, upToDateMessage } from './messages/control.ts';
export {
  RowEncoder,
  bodyBytes,
  projectionKey,
  transactionHeaders,
  type MessageBody,
  type Projection,
} from './messages/row-encoder.ts';
export { parseRowKey, rowKey } from './messages/row-key.ts';
export { UpdateMerger } from './messages/update-merger.ts';
