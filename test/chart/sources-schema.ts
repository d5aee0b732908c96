import type { JsonSchema } from './values-docs.ts';

const text = { type: 'string' };
const some = { type: 'string', minLength: 1 };
const closed = (properties: JsonSchema): JsonSchema => ({ type: 'object', additionalProperties: false, properties });
const count = { type: ['integer', 'string'], pattern: '^[0-9]+$', minimum: 0 };
const size = { type: ['integer', 'string'], pattern: '^[0-9]+ ?([KMGT]i?B?|B)?$', minimum: 1 };
const duration = { type: ['integer', 'string'], pattern: '^[0-9]+(ms|s|sec|m|min|h)?$', minimum: 1 };
const url = { type: 'string', pattern: '^postgres(ql)?://' };

const reference = {
  ...closed({ name: some, key: some }),
  required: ['name', 'key'],
};
const from = {
  ...closed({ file: some, env: { type: 'string', pattern: '^[A-Za-z_][A-Za-z0-9_]*$' }, secretKeyRef: reference }),
  minProperties: 1,
  maxProperties: 1,
};

/** Limits of a source; the keys are those of packages/sources, which a test compares. */
export const limitsSchema = closed({
  maxShapes: count,
  newShapesPerSecond: count,
  unindexableClauses: count,
  parkedReaders: count,
  concurrentInitial: count,
  concurrentExisting: count,
  requestsPerSecond: count,
  egressBytesPerSecond: size,
  snapshotSlots: count,
  subsetSlots: count,
  snapshotBytes: size,
  snapshotBytesPerSecond: size,
  changesPerSecond: count,
  publishBytesPerSecond: size,
  logBytes: size,
  redisBytes: size,
});

/**
 * `sources` of the values: what docs/sources.md says a source is, and `secretKeyRef` where a file or variable is named. Early and
 * with a place in the values; the replicators check all of it again.
 */
export const sourcesSchema: JsonSchema = {
  type: 'object',
  description: 'Id to source, as of docs/sources.md.',
  propertyNames: { pattern: '^[a-z0-9][a-z0-9-]{0,38}[a-z0-9]$' },
  additionalProperties: closed({
    displayName: { ...text, maxLength: 200 },
    labels: { type: 'object', additionalProperties: text },
    state: { enum: ['active', 'paused', 'draining', 'removed'] },
    databaseUrl: url,
    databaseUrlFrom: from,
    pooledDatabaseUrl: url,
    pooledDatabaseUrlFrom: from,
    replicationStreamId: { type: 'string', pattern: '^[a-z0-9_]{1,32}$' },
    publication: closed({ manage: { type: 'boolean' } }),
    slot: closed({ failover: { type: 'boolean' }, temporary: { type: 'boolean' } }),
    partitions: { enum: [1, 2, 4, 8, 16, 32, 64, 128, 256] },
    secrets: { type: 'array', items: some, minItems: 1, maxItems: 2 },
    secretFrom: from,
    insecure: { type: 'boolean' },
    access: { type: 'object' },
    limits: limitsSchema,
    retention: closed({ maxAge: duration, maxBytes: size }),
    settings: { type: 'object', additionalProperties: { type: ['string', 'number', 'boolean'] } },
  }),
};
